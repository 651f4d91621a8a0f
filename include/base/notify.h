/* notify.h - what a service manager wants to hear of this process, and what it hands to it.
 *
 * The protocols of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3), which systemd
 * promises to keep: datagrams to $NOTIFY_SOCKET, the seconds of $WATCHDOG_USEC, open sockets from
 * descriptor 3 on. Main thread. Without a manager all of it does nothing. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before there are threads: reads the environment, and takes these variables out of it, so that no
 * child speaks for us. */
void notify_init(void);

/* "READY=1", "STATUS=12 sessions": lines with \n between them. What cannot be delivered is lost. */
__attribute__((format(printf, 1, 2))) void notify_say(const char *format, ...);

/* RELOADING=1, with the time that goes with it. */
void notify_reloading(void);

/* How often at least the manager wants to hear WATCHDOG=1; 0: it does not care. */
int64_t notify_watchdog_ms(void);

/* Is a manager listening at all? */
bool notify_is_heard(void);

/* How many sockets were handed to us, from *ret_first on; 0: none. They belong to the caller. */
size_t notify_sockets(int *ret_first);

#endif
