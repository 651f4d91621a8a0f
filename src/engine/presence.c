#include "engine/presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/call.h"
#include "model/connection_manager.h"
#include "model/session.h"

/* ---- sessions ---- */

/* One control message at one member. */
struct serving {
    const struct control *control;
    struct buf *reply;
    uint64_t sessions;
};

static void close_one(struct session *session, void *context)
{
    struct serving *serving = context;
    serving->sessions++;
    session_close(session, serving->control->reason);
}

static void describe_one(struct session *session, void *context)
{
    struct serving *serving = context;
    const char *device = session_device(session);
    struct session_info info = {
        .id = session->id,
        .protocol = session->ops->protocol,
        .behind = session->state == SESSION_BEHIND,
        .opened_at_ms = (int64_t)session->opened_at_s * 1000,
    };
    if (device)
        strcpy(info.device, device);
    serving->sessions++;
    buf_add(serving->reply, &info, sizeof info);
}

const struct session_info *presence_sessions(const struct buf *records, size_t *ret_count)
{
    *ret_count = records->size / sizeof(struct session_info);
    return (const struct session_info *)records->data;
}

/* ---- names ---- */

/* The `limit` smallest names after `from`, as a heap with the largest on top. */
struct name_heap {
    const struct control *control;
    struct user_name *names;
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct user_name *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static void sift_down(struct name_heap *heap, size_t i)
{
    for (;;) {
        size_t largest = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap->count; child++) {
            if (compare_names(&heap->names[child], &heap->names[largest]) > 0)
                largest = child;
        }
        if (largest == i)
            return;
        struct user_name moved = heap->names[i];
        heap->names[i] = heap->names[largest];
        heap->names[largest] = moved;
        i = largest;
    }
}

static void collect_name(const char *text, size_t length, void *context)
{
    struct name_heap *heap = context;
    const struct control *control = heap->control;
    struct user_name name = {text, length};
    struct user_name from = {control->from, control->from_length};
    if (from.length && compare_names(&name, &from) <= 0)
        return;
    if (heap->count < control->limit) {
        heap->names[heap->count++] = name;
        if (heap->count == control->limit) {
            for (size_t i = heap->count / 2; i-- > 0;)
                sift_down(heap, i);
        }
    } else if (compare_names(&name, &heap->names[0]) < 0) {
        heap->names[0] = name;
        sift_down(heap, 0);
    }
}

static void add_name(struct buf *reply, const struct user_name *name)
{
    uint16_t length = (uint16_t)name->length; /* at most TOPIC_NAME_MAX */
    buf_add(reply, &length, sizeof length);
    buf_add(reply, name->text, name->length);
}

static void list_users(struct connection_manager *manager, const struct serving *serving)
{
    struct name_heap heap = {.control = serving->control};
    heap.names = malloc(serving->control->limit * sizeof *heap.names);
    if (!heap.names) {
        serving->reply->failed = true;
        return;
    }
    connection_manager_each_user(manager, collect_name, &heap);
    for (size_t i = 0; i < heap.count; i++)
        add_name(serving->reply, &heap.names[i]);
    free(heap.names);
}

/* False: there is none at this place. */
static bool next_name(const struct buf *records, size_t *at, struct user_name *ret_name)
{
    uint16_t length;
    if (*at >= records->size)
        return false;
    memcpy(&length, records->data + *at, sizeof length);
    *ret_name = (struct user_name){records->data + *at + sizeof length, length};
    *at += sizeof length + length;
    return true;
}

struct user_name *presence_names(const struct buf *records, size_t *ret_count)
{
    struct user_name name;
    size_t all = 0, count = 0;
    for (size_t at = 0; next_name(records, &at, &name);)
        all++;
    struct user_name *names = malloc((all + 1) * sizeof *names);
    if (!names)
        return NULL;
    for (size_t at = 0, i = 0; next_name(records, &at, &name);)
        names[i++] = name;
    qsort(names, all, sizeof *names, compare_names);
    for (size_t i = 0; i < all; i++) {
        if (!count || compare_names(&names[count - 1], &names[i]) != 0)
            names[count++] = names[i];
    }
    *ret_count = count;
    return names;
}

/* ---- all of it ---- */

uint64_t presence_serve(struct connection_manager *manager, const struct control *control,
                        struct buf *reply)
{
    struct serving serving = {.control = control, .reply = reply};
    switch (control->verb) {
    case CONTROL_CLOSE:
        connection_manager_each(manager, &control->topic, close_one, &serving);
        break;
    case CONTROL_DESCRIBE:
        connection_manager_each(manager, &control->topic, describe_one, &serving);
        break;
    case CONTROL_USERS:
        list_users(manager, &serving);
        break;
    }
    return serving.sessions;
}
