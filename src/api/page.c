#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/embedded.h"
#include "http/request.h"
#include "http/route.h"

static void serve(struct request *request, const struct embedded *file)
{
    bool zipped = request_header_has(request, "Accept-Encoding", "gzip");
    const struct embedded_form *form = zipped ? &file->gzip : &file->plain;
    const char *known = request_header(request, "If-None-Match");
    request_add_header(request, "ETag", form->etag);
    request_add_header(request, "Cache-Control", "no-cache"); /* ask, and be told 304 */
    request_add_header(request, "Vary", "Accept-Encoding");
    if (known && strstr(known, form->etag)) {
        request_answer_static(request, 304, NULL, "", 0);
        return;
    }
    request_add_header(request, "Content-Security-Policy", file->csp);
    request_add_header(request, "X-Content-Type-Options", "nosniff");
    if (zipped)
        request_add_header(request, "Content-Encoding", "gzip");
    request_answer_static(request, 200, file->content_type, form->bytes, form->size);
}

static void page_serve(struct request *request)
{
    serve(request, &page_html);
}

static void page_client_serve(struct request *request)
{
    if (client_js.content_type)
        serve(request, &client_js);
    else
        request_problem(request, ERR_NOT_IMPLEMENTED, NULL,
                        "This server was built without its client, for want of Node.");
}

static int compare_path(const void *path, const void *file)
{
    return strcmp(path, ((const struct embedded_file *)file)->path);
}

static void page_site_serve(struct request *request)
{
    const struct embedded_file *found =
        bsearch(request_path(request), embedded_site, embedded_site_size, sizeof *embedded_site,
                compare_path);
    if (found)
        serve(request, &found->file);
    else
        request_problem(request, ERR_NOT_FOUND, NULL,
                        "There is no such page here; /docs and /llms.txt list those there are.");
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"GET", "/", page_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/client.js", page_client_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/docs", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/docs/:id", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/llms.txt", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/openapi.yaml", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/openapi.json", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/asyncapi.yaml", page_site_serve, NULL, false, RIGHT_OPEN},
    {"GET", "/asyncapi.json", page_site_serve, NULL, false, RIGHT_OPEN},
};

const struct route_family page_routes = {routes, sizeof routes / sizeof *routes};
