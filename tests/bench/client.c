#include "client.h"

#include "bench.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int client_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* holds for connect too */
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("cannot connect to 127.0.0.1:%u", port);
    set_no_delay(fd);
    return fd;
}

/* "0000000042 u000007 abcdef..." */
void message_write(char *at, uint32_t number, uint32_t user)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    const int used = MESSAGE_DIGITS + 2 + USER_DIGITS + 1;

    write_digits(at, number, MESSAGE_DIGITS);
    memcpy(at + MESSAGE_DIGITS, " u", 2);
    write_digits(at + MESSAGE_DIGITS + 2, user, USER_DIGITS);
    at[used - 1] = ' ';
    for (int left = MESSAGE_SIZE - used; left > 0; left -= 26)
        memcpy(at + MESSAGE_SIZE - left, letters, (size_t)(left < 26 ? left : 26));
}
