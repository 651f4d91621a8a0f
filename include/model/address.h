/* address.h - where a message goes: `user:alice`, `channel:news`, `all`.
 *
 * A value that borrows its name and carries its keyed hash, so that each floor hashes once. Names
 * are exact bytes. No state, any thread. */
#ifndef MODEL_ADDRESS_H
#define MODEL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_kind {
    ADDRESS_USER,
    ADDRESS_CHANNEL,
    ADDRESS_ALL,
    ADDRESS_GUEST, /* one session without a user; nobody outside can name it */
};

struct address {
    uint64_t hash;
    const char *name; /* borrowed; empty for ADDRESS_ALL; need not end in NUL */
    uint32_t length;
    enum address_kind kind;
};

#define ADDRESS_NAME_MAX 128

/* A user id or channel name: 1 to 128 bytes of UTF-8, no control characters, no `/`, and neither
 * `.` nor `..` (docs/wire.md). */
bool address_is_name(const char *name, size_t length);

/* name must be proper by address_is_name (and empty for ADDRESS_ALL). */
struct address address_make(enum address_kind kind, const char *name, size_t length);

bool address_equal(const struct address *a, const struct address *b);

#endif
