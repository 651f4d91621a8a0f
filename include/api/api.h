/* api.h - the routes over HTTP, in families.
 *
 * A family is a file of src/api/, which ends with the rows of its routes, and a row here. All of
 * them have the struct api of their worker for a context. */
#ifndef API_API_H
#define API_API_H

#include <stddef.h>

#include "http/route.h"

struct publish_options;
struct status;

struct api {
    const struct publish_options *publish_options; /* the worker's */
    struct status *status;                         /* the server's */
    const char *public_folder;                     /* borrowed; "": none */
    size_t public_open;                            /* files of it that are being sent */
};

#define API_TABLE(X)                                                                               \
    X(send_routes)                                                                                 \
    X(send_lines_routes)                                                                           \
    X(users_query_routes)                                                                          \
    X(users_routes)                                                                                \
    X(devices_routes)                                                                              \
    X(messages_routes)                                                                             \
    X(channels_routes)                                                                             \
    X(tokens_routes)                                                                               \
    X(status_routes)                                                                               \
    X(page_routes)

#define API_EXTERN(family) extern const struct route_family family;
API_TABLE(API_EXTERN)
#undef API_EXTERN

size_t api_count(void);
const struct route_family *api_at(size_t row);

#endif
