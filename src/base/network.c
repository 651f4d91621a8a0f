#include "base/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void bytes_of(const struct sockaddr *address, unsigned char ret_bytes[static 16])
{
    const union network_address *given = (const union network_address *)address;
    if (address->sa_family == AF_INET6) {
        memcpy(ret_bytes, &given->v6.sin6_addr, 16);
    } else {
        memcpy(ret_bytes, mapped, sizeof mapped);
        memcpy(ret_bytes + sizeof mapped, &given->v4.sin_addr, 4);
    }
}

bool network_parse_address(const char *text, size_t length, union network_address *ret_address)
{
    char copy[INET6_ADDRSTRLEN];
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, copy, &ret_address->v4.sin_addr) == 1) {
        ret_address->any.sa_family = AF_INET;
        return true;
    }
    ret_address->any.sa_family = AF_INET6;
    return inet_pton(AF_INET6, copy, &ret_address->v6.sin6_addr) == 1;
}

bool network_parse(const char *text, struct network *ret_network)
{
    union network_address address;
    size_t length = strcspn(text, "/");
    uint64_t bits = 0;
    if (!network_parse_address(text, length, &address))
        return false;
    unsigned width = address.any.sa_family == AF_INET6 ? 128 : 32;
    if (!text[length])
        bits = width;
    else if (!text_parse_u64(text + length + 1, strlen(text + length + 1), &bits) || bits > width)
        return false;
    bytes_of(&address.any, ret_network->bytes);
    ret_network->bits = (unsigned)bits + 128 - width;
    return true;
}

bool network_is(const char *text)
{
    struct network network;
    return network_parse(text, &network);
}

void network_format(const struct sockaddr *address, char ret_text[static NETWORK_TEXT_SIZE])
{
    const union network_address *given = (const union network_address *)address;
    const void *bytes =
        address->sa_family == AF_INET6 ? (const void *)&given->v6.sin6_addr : &given->v4.sin_addr;
    if (!inet_ntop(address->sa_family, bytes, ret_text, NETWORK_TEXT_SIZE))
        ret_text[0] = '\0';
}

bool network_has(const struct network *network, const struct sockaddr *address)
{
    unsigned char bytes[16];
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    bytes_of(address, bytes);
    return memcmp(bytes, network->bytes, whole) == 0 &&
           (!rest || !((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)));
}
