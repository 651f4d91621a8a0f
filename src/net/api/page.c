#include "net/api/page.h"

#include <string.h>

#include "net/embedded.h"
#include "net/exchange.h"

static void serve(struct exchange *exchange, const struct embedded *file)
{
    bool zipped = exchange_header_has(exchange, "Accept-Encoding", "gzip");
    const struct embedded_form *form = zipped ? &file->gzip : &file->plain;
    const char *known = exchange_header(exchange, "If-None-Match");
    exchange_add_header(exchange, "ETag", form->etag);
    exchange_add_header(exchange, "Cache-Control", "no-cache"); /* ask, and be told 304 */
    exchange_add_header(exchange, "Vary", "Accept-Encoding");
    if (known && strstr(known, form->etag)) {
        exchange_answer_static(exchange, 304, NULL, "", 0);
        return;
    }
    exchange_add_header(exchange, "Content-Security-Policy", file->csp);
    exchange_add_header(exchange, "X-Content-Type-Options", "nosniff");
    if (zipped)
        exchange_add_header(exchange, "Content-Encoding", "gzip");
    exchange_answer_static(exchange, 200, file->content_type, form->bytes, form->size);
}

void page_serve(struct exchange *exchange)
{
    serve(exchange, &page_html);
}

void page_client_serve(struct exchange *exchange)
{
    if (client_js.content_type)
        serve(exchange, &client_js);
    else
        exchange_problem(exchange, ERR_NOT_IMPLEMENTED, NULL,
                         "This server was built without its client, for want of Node.");
}

void page_errors_serve(struct exchange *exchange)
{
    serve(exchange, &errors_md);
}
