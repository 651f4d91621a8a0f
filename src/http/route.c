#include "http/route.h"

#include <string.h>

#include "base/buf.h"
#include "http/target.h"

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 && !route->upgrade);
}

const struct route *route_find(const struct route *routes, size_t count, const char *method,
                               struct target *target, struct buf *ret_allow)
{
    for (size_t i = 0; i < count; i++) {
        const struct route *route = &routes[i];
        if (!target_fits(target, route->path))
            continue;
        if (method_fits(route, method))
            return route;
        buf_add_text(ret_allow, ret_allow->size ? ", " : "");
        buf_add_text(ret_allow, route->method);
        if (strcmp(route->method, "GET") == 0 && !route->upgrade)
            buf_add_text(ret_allow, ", HEAD");
    }
    return NULL;
}
