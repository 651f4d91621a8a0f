/* local_socket.h - Unix sockets to listen on: `unix:/run/pushwire/http.sock`.
 *
 * Who may reach the file's folder may connect, as with a port of this machine. Main thread, at
 * start and at the end. */
#ifndef TOP_LOCAL_SOCKET_H
#define TOP_LOCAL_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

#define LOCAL_SOCKET_PREFIX "unix:"

/* Does the text name one? */
bool local_socket_is(const char *text);

/* Makes the file and listens. One that is left of a process that is gone is replaced; EADDRINUSE:
 * somebody listens there. 0 and all it returns, or an errno. */
int local_socket_bind(const char *text, struct sockaddr_storage *ret_address, int *ret_fd);

/* Takes the file away; an address of another kind is left alone. */
void local_socket_remove(const struct sockaddr_storage *address);

#endif
