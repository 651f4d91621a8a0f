/* topic.h - where a message goes: `user:alice`, `channel:news`, `all`.
 *
 * A value that borrows its name and carries its keyed hash, so that each floor hashes once. Names
 * are exact bytes. No state, any thread. */
#ifndef MODEL_TOPIC_H
#define MODEL_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum topic_kind {
    TOPIC_USER,
    TOPIC_CHANNEL,
    TOPIC_ALL,
    TOPIC_GUEST, /* one session without a user; nobody outside can name it */
};

struct topic {
    uint64_t hash;
    const char *name; /* borrowed; empty for TOPIC_ALL; need not end in NUL */
    uint32_t length;
    enum topic_kind kind;
};

#define TOPIC_NAME_MAX 128

/* A user id or channel name: 1 to 128 bytes of UTF-8, no control characters, no `/`, and neither
 * `.` nor `..` (docs/wire.md). */
bool topic_is_name(const char *name, size_t length);

/* name must be proper by topic_is_name (and empty for TOPIC_ALL). */
struct topic topic_make(enum topic_kind kind, const char *name, size_t length);

bool topic_equal(const struct topic *a, const struct topic *b);

#endif
