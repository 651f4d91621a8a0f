#include "net/api/page.h"

#include <stddef.h>
#include <string.h>

#include "net/exchange.h"

/* Made by scripts/embed. */
extern const unsigned char page_html[];
extern const size_t page_html_size;
extern const char page_html_csp[];
extern const char page_html_etag[];
extern const unsigned char errors_md[];
extern const size_t errors_md_size;
extern const char errors_md_csp[];
extern const char errors_md_etag[];

struct embedded {
    const char *content_type;
    const unsigned char *bytes;
    size_t size;
    const char *csp;
    const char *etag;
};

static void serve(struct exchange *exchange, const struct embedded *page)
{
    const char *known = exchange_header(exchange, "If-None-Match");
    exchange_add_header(exchange, "ETag", page->etag);
    exchange_add_header(exchange, "Cache-Control", "no-cache"); /* ask, and be told 304 */
    exchange_add_header(exchange, "Content-Security-Policy", page->csp);
    exchange_add_header(exchange, "X-Content-Type-Options", "nosniff");
    if (known && strstr(known, page->etag))
        exchange_answer_static(exchange, 304, NULL, "", 0);
    else
        exchange_answer_static(exchange, 200, page->content_type, page->bytes, page->size);
}

void page_serve(struct exchange *exchange)
{
    serve(exchange, &(struct embedded){"text/html; charset=utf-8", page_html, page_html_size,
                                       page_html_csp, page_html_etag});
}

void page_errors_serve(struct exchange *exchange)
{
    serve(exchange, &(struct embedded){"text/markdown; charset=utf-8", errors_md, errors_md_size,
                                       errors_md_csp, errors_md_etag});
}
