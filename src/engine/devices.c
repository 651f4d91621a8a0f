#include "engine/devices.h"

#include <stdlib.h>
#include <string.h>

struct owner {
    uint64_t user;
    struct list devices;
    size_t count;
};

void devices_init(struct devices *devices, size_t per_user, size_t max)
{
    map_init(&devices->users);
    list_init(&devices->order);
    devices->count = 0;
    devices->per_user = per_user;
    devices->max = max;
}

static bool is_owner(const void *value, const void *key)
{
    return ((const struct owner *)value)->user == *(const uint64_t *)key;
}

static struct owner *find_owner(const struct devices *devices, uint64_t user)
{
    return map_find(&devices->users, user, is_owner, &user);
}

static void remove_device(struct devices *devices, struct owner *owner, struct device *device)
{
    list_remove(&device->link);
    list_remove(&device->order);
    free(device);
    devices->count--;
    if (--owner->count)
        return;
    map_remove(&devices->users, owner->user, owner);
    free(owner);
}

void devices_finish(struct devices *devices)
{
    size_t cursor = 0;
    for (struct owner *owner; (owner = map_next(&devices->users, &cursor));) {
        list_for_each_safe(device, &owner->devices, struct device, link)
            free(device);
        free(owner);
    }
    map_finish(&devices->users);
}

struct list *devices_of(const struct devices *devices, uint64_t user)
{
    struct owner *owner = find_owner(devices, user);
    return owner ? &owner->devices : NULL;
}

static struct device *find_of(const struct owner *owner, const char *name, size_t length)
{
    list_for_each(device, &owner->devices, struct device, link) {
        if (device->length == length && memcmp(device->name, name, length) == 0)
            return device;
    }
    return NULL;
}

struct device *devices_find(const struct devices *devices, uint64_t user, const char *name,
                            size_t length)
{
    const struct owner *owner = find_owner(devices, user);
    return owner ? find_of(owner, name, length) : NULL;
}

static struct owner *get_owner(struct devices *devices, uint64_t user)
{
    struct owner *owner = find_owner(devices, user);
    if (owner)
        return owner;
    owner = malloc(sizeof *owner);
    if (!owner)
        return NULL;
    owner->user = user;
    owner->count = 0;
    list_init(&owner->devices);
    if (map_add(&devices->users, user, owner))
        return owner;
    free(owner);
    return NULL;
}

static void remove_oldest(struct devices *devices)
{
    struct device *device = list_first(&devices->order, struct device, order);
    remove_device(devices, find_owner(devices, device->user), device);
}

static struct device *add(struct devices *devices, uint64_t user, const char *name, size_t length)
{
    struct device *device = malloc(sizeof *device);
    struct owner *owner = device ? get_owner(devices, user) : NULL;
    if (!owner) {
        free(device);
        return NULL;
    }
    *device = (struct device){.user = user, .length = length};
    memcpy(device->name, name, length);
    list_append(&owner->devices, &device->link);
    list_append(&devices->order, &device->order);
    owner->count++;
    devices->count++;
    if (owner->count > devices->per_user)
        remove_device(devices, owner, list_first(&owner->devices, struct device, link));
    if (devices->count > devices->max)
        remove_oldest(devices);
    return device;
}

struct device *devices_move(struct devices *devices, uint64_t user, const char *name, size_t length,
                            uint64_t cursor, int64_t now_ms)
{
    struct device *device = devices_find(devices, user, name, length);
    if (!device)
        device = add(devices, user, name, length);
    if (!device || (device->moved_at_ms && cursor <= device->cursor))
        return device;
    device->cursor = cursor;
    device->moved_at_ms = now_ms;
    list_remove(&device->link);
    list_append(&find_owner(devices, user)->devices, &device->link);
    list_remove(&device->order);
    list_append(&devices->order, &device->order);
    return device;
}

bool devices_forget(struct devices *devices, uint64_t user, const char *name, size_t length)
{
    struct owner *owner = find_owner(devices, user);
    struct device *device = owner ? find_of(owner, name, length) : NULL;
    if (device)
        remove_device(devices, owner, device);
    return device != NULL;
}

struct device *devices_copy(const struct devices *devices, size_t *ret_count)
{
    struct device *copy = devices->count ? malloc(devices->count * sizeof *copy) : NULL;
    size_t cursor = 0, count = 0;
    for (struct owner *owner; copy && (owner = map_next(&devices->users, &cursor));) {
        list_for_each(device, &owner->devices, struct device, link)
            copy[count++] = *device;
    }
    *ret_count = count;
    return copy;
}

int device_compare(const void *a, const void *b)
{
    const struct device *x = a, *y = b;
    if (x->user != y->user)
        return (int64_t)x->user > (int64_t)y->user ? 1 : -1;
    size_t length = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->name, y->name, length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

void devices_forget_copied(struct devices *devices, const struct device *copy, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct owner *owner = find_owner(devices, copy[i].user);
        struct device *device = owner ? find_of(owner, copy[i].name, copy[i].length) : NULL;
        if (device && device->cursor == copy[i].cursor)
            remove_device(devices, owner, device);
    }
}
