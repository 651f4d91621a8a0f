/* origin.h - the origin of a web page: scheme, host and port, as browsers name it (RFC 6454).
 *
 * The port of its scheme is the same as none, and the case of a host says nothing. Borrows the text
 * it was read from. No state. */
#ifndef BASE_ORIGIN_H
#define BASE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

struct origin {
    const char *scheme;
    size_t scheme_length;
    const char *host; /* of a list's `*.host`, what follows the star */
    size_t host_length;
    unsigned port; /* 0: the scheme's own, or none */
    bool any_below;
};

/* What a browser sends of a page that was opened as a file, or in a sandbox: of no site. */
#define ORIGIN_NULL "null"

/* What a browser sends. False: no origin. */
bool origin_parse(const char *text, struct origin *ret_origin);

/* What may stand in a list of them: an origin, in lower case, whose host may begin with a star and
 * a dot: each one whose host ends so; or `null`. Not by ws, wss, ftp or file: no page comes from
 * there. */
bool origin_parse_listed(const char *text, struct origin *ret_origin);
bool origin_is_listed_form(const char *text);

bool origin_matches(const struct origin *listed, const struct origin *origin);

/* A Host header's value: an origin of an unknown scheme. */
bool origin_parse_host(const char *host, struct origin *ret_origin);

/* Is it of this host, by the value of a Host header? */
bool origin_is_of(const struct origin *origin, const char *host);

bool origin_is_null(const struct origin *origin);
/* Is it of the web, by http or https; does it have that host, whatever its port? */
bool origin_is_web(const struct origin *origin);
bool origin_has_host(const struct origin *origin, const char *name);

#endif
