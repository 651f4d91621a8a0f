/* A libmicrohttpd that lets loose heads through as 0.9.75 does, and does not leave strings where
 * they were received: to be preloaded. */
#include <dlfcn.h>
#include <microhttpd.h>
#include <string.h>

static struct {
    MHD_KeyValueIteratorN take;
    void *cls;
    char store[65536];
    size_t used;
} moved;

static const char *move(const char *text, size_t length)
{
    char *copy = moved.store + moved.used;
    if (!text || length >= sizeof moved.store - moved.used)
        return text;
    memcpy(copy, text, length);
    copy[length] = '\0';
    moved.used += length + 1;
    return copy;
}

static enum MHD_Result take_moved(void *cls, enum MHD_ValueKind kind, const char *name,
                                  size_t name_length, const char *value, size_t value_length)
{
    (void)cls;
    return moved.take(moved.cls, kind, move(name, name_length), name_length,
                      move(value, value_length), value_length);
}

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN take, void *cls)
{
    int (*real)(struct MHD_Connection *, enum MHD_ValueKind, MHD_KeyValueIteratorN, void *);
    void *found = dlsym(RTLD_NEXT, "MHD_get_connection_values_n");
    memcpy(&real, &found, sizeof real);
    moved.take = take;
    moved.cls = cls;
    moved.used = 0;
    return real(connection, kind, take_moved, NULL);
}
