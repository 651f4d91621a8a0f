/* endpoint.h - turns `host:port` and `unix:/path` from the configuration into listening sockets.
 *
 * Main thread, at start. */
#ifndef TOP_ENDPOINT_H
#define TOP_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ENDPOINTS_MAX     16
#define ENDPOINT_TEXT_MAX 128

struct endpoints {
    struct sockaddr_storage addresses[ENDPOINTS_MAX]; /* with their real ports */
    int *fds; /* workers * count: worker w listens on fds[w * count] and the following */
    size_t count;
    size_t workers;
    bool inherited; /* the files of Unix sockets are another's */
};

/* Binds each text for each worker, all or nothing. localhost is 127.0.0.1 and, where the machine
 * has it, ::1. `only_loopback` is NULL, or says why no other address is served. False: the log says
 * what to do. */
bool endpoints_bind(struct endpoints *ret_endpoints, char *const *texts, size_t text_count,
                    size_t workers, const char *only_loopback);
/* The same with sockets that a service manager has made, `first` and those behind it. */
bool endpoints_inherit(struct endpoints *ret_endpoints, int first, size_t count, size_t workers,
                       const char *only_loopback);
/* Binds nothing: can each text be resolved, and may it be served? */
bool endpoints_check(char *const *texts, size_t text_count, const char *only_loopback);
/* The sockets have changed hands by then. Unix sockets are gone from the disk. */
void endpoints_finish(struct endpoints *endpoints);

/* `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/pushwire/http.sock` */
void endpoint_format(const struct sockaddr_storage *address,
                     char ret_text[static ENDPOINT_TEXT_MAX]);

#endif
