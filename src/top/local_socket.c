#include "top/local_socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

bool local_socket_is(const char *text)
{
    return strncmp(text, LOCAL_SOCKET_PREFIX, strlen(LOCAL_SOCKET_PREFIX)) == 0;
}

/* Nobody answers at what is a socket: it is left over. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat found;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 && lstat(address->sun_path, &found) == 0 && S_ISSOCK(found.st_mode) &&
                   connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

int local_socket_bind(const char *text, struct sockaddr_storage *ret_address, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = text + strlen(LOCAL_SOCKET_PREFIX);
    if (strlen(path) >= sizeof address.sun_path)
        return ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (is_left_over(&address))
        unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int err = errno;
        close(fd);
        return err;
    }
    memcpy(ret_address, &address, sizeof address);
    *ret_fd = fd;
    return 0;
}

void local_socket_remove(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_UNIX)
        unlink(((const struct sockaddr_un *)address)->sun_path);
}
