/* A libmicrohttpd that lets loose heads through as 0.9.75 does, and does not leave strings where
 * they were received: to be preloaded. */
#include "moved.h"

#include <dlfcn.h>

static struct moved moved;

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN take, void *cls)
{
    int (*real)(struct MHD_Connection *, enum MHD_ValueKind, MHD_KeyValueIteratorN, void *);
    void *found = dlsym(RTLD_NEXT, "MHD_get_connection_values_n");
    memcpy(&real, &found, sizeof real);
    moved.take = take;
    moved.cls = cls;
    moved.used = 0;
    return real(connection, kind, moved_take, &moved);
}
