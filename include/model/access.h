/* access.h - which hosts and origins a browser may come from.
 *
 * Strings in, a verdict out. Open mode (no credentials) trusts whoever reaches the machine itself,
 * so a page from elsewhere must not be able to: its Origin is refused, and so is a Host that is not
 * this machine's own name (DNS rebinding). Immutable once made; any thread. */
#ifndef MODEL_ACCESS_H
#define MODEL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

struct access;

/* origins, as `https://app.example.com` or `https://app.example.com:8443`, are copied. */
struct access *access_create(char *const *origins, size_t count, bool insecure_open);
void access_destroy(struct access *access);

/* A Host header's value: localhost, 127.0.0.1 or [::1], any port; with insecure_open any. */
bool access_host_allowed(const struct access *access, const char *host);

/* An Origin header's value: one of the list, exactly; http(s) on localhost, 127.0.0.1 or [::1] at
 * any port; or the page of this very server, whose host and port are those of Host. */
bool access_origin_allowed(const struct access *access, const char *origin, const char *host);

/* Is this an origin in its one proper form, for checking a list? */
bool access_is_origin(const char *origin);

#endif
