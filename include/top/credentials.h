/* credentials.h - the files that say who may come in: keys, secrets, JWK set, revocations.
 *
 * Main thread; what it makes serves all. Errors come back as text, to be freed. */
#ifndef TOP_CREDENTIALS_H
#define TOP_CREDENTIALS_H

#include <stdbool.h>

struct access;
struct config;
struct revocations;

/* Is there a file of keys, secrets or public keys? Then every door but the open ones is closed,
 * even when the file is empty. */
bool credentials_configured(const struct config *config);

/* Does credentials_read make a secret, since none is configured and the server has made none yet?
 * Then *ret_path (to be freed) is where. */
bool credentials_lack_secret(const struct config *config, char **ret_path);

/* NULL and an error. In open mode nothing is read or written. */
struct revocations *credentials_open_revocations(const struct config *config, char **ret_error);

/* Reads the files that `files` names, for the origins, proxies and claims that `rules` says; after
 * a reload these are two. A secret that is needed and nowhere given is made, once, in data_dir.
 * revocations are borrowed. NULL and an error. */
struct access *credentials_read(const struct config *files, const struct config *rules,
                                struct revocations *revocations, char **ret_error);

/* Would credentials_read find all it needs? Makes nothing. False and an error. */
bool credentials_check(const struct config *files, char **ret_error);

#endif
