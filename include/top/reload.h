/* reload.h - the configuration and the credentials read again, on SIGHUP. The main thread. */
#ifndef TOP_RELOAD_H
#define TOP_RELOAD_H

struct access;
struct config;
struct revocations;

/* All or nothing. The files stay those named at start: only what they say is read again; what needs
 * a restart is named in the log. Keys that go on keep what they have used of their rates. The
 * configuration, whose caller ends it, and who may come in by it; NULL: the log says why not. */
struct config *reload_read(const struct config *started, struct revocations *revocations,
                           const struct access *current, struct access **ret_access);

#endif
