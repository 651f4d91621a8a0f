#include "model/access.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct access {
    char **origins;
    size_t count;
    bool insecure_open;
};

struct access *access_create(char *const *origins, size_t count, bool insecure_open)
{
    struct access *access = mem_alloc(sizeof *access);
    access->origins = mem_alloc(count * sizeof *access->origins);
    access->count = count;
    access->insecure_open = insecure_open;
    for (size_t i = 0; i < count; i++)
        access->origins[i] = mem_strdup(origins[i]);
    return access;
}

void access_destroy(struct access *access)
{
    if (!access)
        return;
    for (size_t i = 0; i < access->count; i++)
        free(access->origins[i]);
    free(access->origins);
    free(access);
}

/* What follows a host name: nothing, or `:` and one to five digits. */
static bool is_port_or_end(const char *text)
{
    if (!*text)
        return true;
    size_t digits = strspn(text + 1, "0123456789");
    return *text == ':' && digits > 0 && digits <= 5 && text[1 + digits] == '\0';
}

static bool is_this_machine(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i]);
        if (strncasecmp(host, names[i], length) == 0 && is_port_or_end(host + length))
            return true;
    }
    return false;
}

bool access_host_allowed(const struct access *access, const char *host)
{
    return access->insecure_open || is_this_machine(host);
}

/* The part after the scheme, or NULL. */
static const char *origin_host(const char *origin)
{
    if (strncmp(origin, "http://", 7) == 0)
        return origin + 7;
    if (strncmp(origin, "https://", 8) == 0)
        return origin + 8;
    return NULL;
}

bool access_origin_allowed(const struct access *access, const char *origin, const char *host)
{
    for (size_t i = 0; i < access->count; i++) {
        if (strcmp(origin, access->origins[i]) == 0)
            return true;
    }
    const char *from = origin_host(origin);
    return from && (is_this_machine(from) || strcasecmp(from, host) == 0);
}

bool access_is_origin(const char *origin)
{
    const char *host = origin_host(origin);
    if (!host || !*host)
        return false;
    size_t name = *host == '[' ? strcspn(host, "]") + 1
                               : strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    return name > 0 && name <= strlen(host) && is_port_or_end(host + name);
}
