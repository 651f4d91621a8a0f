/* moved.h - the fields of a head, shown elsewhere than where they were received, as a later
 * libmicrohttpd may show them. */
#ifndef LIBRARY_MOVED_H
#define LIBRARY_MOVED_H

#include <assert.h>
#include <microhttpd.h>
#include <string.h>

struct moved {
    MHD_KeyValueIteratorN take; /* who is shown them */
    void *cls;
    char store[65536];
    size_t used;
};

static inline const char *moved_copy(struct moved *moved, const char *text, size_t length)
{
    char *copy = moved->store + moved->used;
    if (!text)
        return NULL;
    assert(length < sizeof moved->store - moved->used);
    memcpy(copy, text, length);
    copy[length] = '\0';
    moved->used += length + 1;
    return copy;
}

/* To be given to the library, with a struct moved. */
static inline enum MHD_Result moved_take(void *cls, enum MHD_ValueKind kind, const char *name,
                                         size_t name_length, const char *value, size_t value_length)
{
    struct moved *moved = cls;
    return moved->take(moved->cls, kind, moved_copy(moved, name, name_length), name_length,
                       moved_copy(moved, value, value_length), value_length);
}

#endif
