#include "base/origin.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define MAX_HOST  253
#define MAX_LABEL 63

static bool is_scheme(const struct origin *origin, const char *scheme)
{
    return origin->scheme_length == strlen(scheme) &&
           memcmp(origin->scheme, scheme, origin->scheme_length) == 0;
}

bool origin_is_web(const struct origin *origin)
{
    return is_scheme(origin, "http") || is_scheme(origin, "https");
}

bool origin_is_null(const struct origin *origin)
{
    return !origin->host_length;
}

static unsigned own_port(const struct origin *origin)
{
    return is_scheme(origin, "http") ? 80 : is_scheme(origin, "https") ? 443 : 0;
}

/* ---- reading ---- */

static bool is_ip(int family, const char *text, size_t length)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return inet_pton(family, copy, &ignored) == 1;
}

/* Labels with dots between them, and maybe one at the end. What ends in a number is an IPv4
 * address, or nothing. */
static bool is_name(const char *name, size_t length)
{
    size_t label = 0;
    bool digits = true;
    for (size_t i = 0; i < length; i++) {
        if (name[i] != '.') {
            digits = (digits || !label) && strchr(DIGITS, name[i]);
            label++;
        } else if (label == 0) {
            return false;
        } else {
            label = 0;
        }
        if (label > MAX_LABEL)
            return false;
    }
    return length > 0 && length <= MAX_HOST && (!digits || is_ip(AF_INET, name, length));
}

/* The host at the beginning of a text: its length, or 0. */
static size_t host_length(const char *text)
{
    if (*text != '[') {
        size_t length = strspn(text, LOWER UPPER DIGITS "-._");
        return is_name(text, length) ? length : 0;
    }
    size_t inside = strcspn(text + 1, "]");
    return text[1 + inside] && is_ip(AF_INET6, text + 1, inside) ? inside + 2 : 0;
}

/* Nothing, or `:` and a port from 1 on as one writes it. */
static bool parse_port(const char *text, unsigned *ret_port)
{
    uint64_t port = 0;
    if (*text && (*text != ':' || text[1] == '0' ||
                  !text_parse_u64(text + 1, strlen(text + 1), &port) || port > 65535))
        return false;
    *ret_port = (unsigned)port;
    return true;
}

static bool parse_host(const char *text, struct origin *origin)
{
    origin->host = text;
    origin->host_length = host_length(text);
    if (!origin->host_length || !parse_port(text + origin->host_length, &origin->port))
        return false;
    if (origin->port == own_port(origin))
        origin->port = 0;
    return true;
}

static const char *parse_scheme(const char *text, struct origin *origin)
{
    *origin = (struct origin){.scheme = text};
    origin->scheme_length = strspn(text, LOWER DIGITS "+-.");
    if (!origin->scheme_length || strncmp(text + origin->scheme_length, "://", 3) != 0)
        return NULL;
    return text + origin->scheme_length + 3;
}

/* Without a host, so like no other. */
static bool parse_null(const char *text, struct origin *ret_origin)
{
    *ret_origin = (struct origin){
        .scheme = text, .scheme_length = strlen(ORIGIN_NULL), .host = text + strlen(ORIGIN_NULL)};
    return true;
}

bool origin_parse(const char *text, struct origin *ret_origin)
{
    if (strcmp(text, ORIGIN_NULL) == 0)
        return parse_null(text, ret_origin);
    const char *host = parse_scheme(text, ret_origin);
    return host && parse_host(host, ret_origin);
}

bool origin_parse_host(const char *host, struct origin *ret_origin)
{
    *ret_origin = (struct origin){.scheme = ""};
    return parse_host(host, ret_origin);
}

/* A star stands for names below one that somebody can own, not for all there are. */
static bool is_owned(const struct origin *origin)
{
    const char *dot = memchr(origin->host, '.', origin->host_length);
    return dot && dot + 1 < origin->host + origin->host_length &&
           !is_ip(AF_INET, origin->host, origin->host_length);
}

/* Browsers know these schemes, and no page comes by one of them. */
static bool has_no_pages(const struct origin *origin)
{
    static const char *const schemes[] = {"ws", "wss", "ftp", "file"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (is_scheme(origin, schemes[i]))
            return true;
    }
    return false;
}

bool origin_parse_listed(const char *text, struct origin *ret_origin)
{
    if (strcmp(text, ORIGIN_NULL) == 0)
        return parse_null(text, ret_origin);
    const char *host = parse_scheme(text, ret_origin);
    if (!host || has_no_pages(ret_origin) || text[strcspn(text, UPPER)])
        return false;
    ret_origin->any_below = strncmp(host, "*.", 2) == 0;
    return parse_host(host + (ret_origin->any_below ? 2 : 0), ret_origin) &&
           (!ret_origin->any_below || is_owned(ret_origin));
}

bool origin_is_listed_form(const char *text)
{
    struct origin ignored;
    return origin_parse_listed(text, &ignored);
}

/* ---- comparing ---- */

bool origin_matches(const struct origin *listed, const struct origin *origin)
{
    size_t below = origin->host_length - listed->host_length;
    if (listed->scheme_length != origin->scheme_length ||
        memcmp(listed->scheme, origin->scheme, listed->scheme_length) != 0 ||
        listed->port != origin->port || origin->host_length < listed->host_length)
        return false;
    if (listed->any_below ? below < 2 || origin->host[below - 1] != '.' : below != 0)
        return false;
    return strncasecmp(listed->host, origin->host + below, listed->host_length) == 0;
}

bool origin_has_host(const struct origin *origin, const char *name)
{
    return text_equal_nocase(origin->host, origin->host_length, name);
}

bool origin_is_of(const struct origin *origin, const char *host)
{
    struct origin here = {.scheme = origin->scheme, .scheme_length = origin->scheme_length};
    return parse_host(host, &here) && origin_matches(&here, origin);
}
