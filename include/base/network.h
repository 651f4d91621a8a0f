/* network.h - is an address in one of these networks?
 *
 * For lists of trusted proxies: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. Immutable once made;
 * any thread. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

union network_address { /* room for either family */
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct network {
    unsigned char bytes[16]; /* an IPv4 address as the IPv6 address it maps to */
    unsigned bits;
};

/* An address, or an address and the bits of its prefix. False: neither. */
bool network_parse(const char *text, struct network *ret_network);
bool network_is(const char *text);

bool network_has(const struct network *network, const struct sockaddr *address);

/* An address without a port. False: it is none. */
bool network_parse_address(const char *text, size_t length, union network_address *ret_address);

/* As text, without the port. */
#define NETWORK_TEXT_SIZE 46
void network_format(const struct sockaddr *address, char ret_text[static NETWORK_TEXT_SIZE]);

#endif
