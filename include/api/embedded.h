/* embedded.h - the files that are carried inside the binary; scripts/embed makes them.
 *
 * They are constants: any thread. */
#ifndef API_EMBEDDED_H
#define API_EMBEDDED_H

#include <stddef.h>

struct embedded_form {
    const unsigned char *bytes;
    size_t size;
    const char *etag; /* strong, with its quotes: each form has its own (RFC 9110 section 8.8.3) */
};

struct embedded {
    const char *content_type; /* NULL: this build has no such file */
    const char *csp;          /* the Content-Security-Policy to serve it with */
    struct embedded_form plain;
    struct embedded_form gzip;
};

extern const struct embedded page_html;
extern const struct embedded client_js; /* only where Node was there to build it */

/* The pages of docs/ and docs/api, and /llms.txt; in the order of their paths. */
struct embedded_file {
    const char *path;
    struct embedded file;
};

extern const struct embedded_file embedded_site[];
extern const size_t embedded_site_size;

#endif
