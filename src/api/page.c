#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/embedded.h"
#include "api/public.h"
#include "http/head.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "http/target.h"

static void serve(struct request *request, const struct embedded *file)
{
    bool zipped = head_list_has(request_head(request), "Accept-Encoding", "gzip");
    const struct embedded_form *form = zipped ? &file->gzip : &file->plain;
    const char *known = head_find(request_head(request), "If-None-Match");
    response_add_field(request_response(request), "ETag", form->etag);
    response_add_field(request_response(request), "Cache-Control",
                       "no-cache"); /* ask, and be told 304 */
    response_add_field(request_response(request), "Vary", "Accept-Encoding");
    if (known && strstr(known, form->etag)) {
        request_answer_static(request, 304, NULL, "", 0);
        return;
    }
    response_add_field(request_response(request), "Content-Security-Policy", file->csp);
    response_add_field(request_response(request), "X-Content-Type-Options", "nosniff");
    if (zipped)
        response_add_field(request_response(request), "Content-Encoding", "gzip");
    request_answer_static(request, 200, file->content_type, form->bytes, form->size);
}

static void page_serve(struct request *request)
{
    const struct api *api = request_context(request);
    if (*api->public_folder)
        public_serve(request);
    else
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
        bsearch(request_target(request)->path, embedded_site, embedded_site_size,
                sizeof *embedded_site, compare_path);
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
