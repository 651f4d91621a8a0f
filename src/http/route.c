#include "http/route.h"

#include <string.h>

#include "base/buf.h"
#include "http/target.h"

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || strcmp(route->method, "*") == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 && !route->upgrade);
}

static void allow(const struct route *route, struct buf *ret_allow)
{
    if (ret_allow->size &&
        memmem(ret_allow->data, ret_allow->size, route->method, strlen(route->method)))
        return;
    buf_add_text(ret_allow, ret_allow->size ? ", " : "");
    buf_add_text(ret_allow, route->method);
    if (strcmp(route->method, "GET") == 0 && !route->upgrade)
        buf_add_text(ret_allow, ", HEAD");
}

const struct route *route_find(const struct route *routes, size_t count, const char *method,
                               bool is_handshake, struct target *target, struct buf *ret_allow)
{
    const struct route *other = NULL; /* for handshakes, and this is none, or the other way round */
    for (size_t i = 0; i < count; i++) {
        const struct route *route = &routes[i];
        bool is_any = strcmp(route->path, ROUTE_ANY) == 0;
        if (is_any ? other || ret_allow->size || !method_fits(route, method)
                   : !target_fits(target, route->path))
            continue;
        if (!method_fits(route, method))
            allow(route, ret_allow);
        else if (route->upgrade == is_handshake)
            return route;
        else if (!other)
            other = route;
    }
    if (other && strcmp(other->path, ROUTE_ANY) != 0)
        target_fits(target, other->path);
    return other;
}
