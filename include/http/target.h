/* target.h - what a request asks for: the path, the words in it, the query; all decoded once.
 *
 * A copy, since the parser writes into the original. One thread at a time. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#define TARGET_INLINE_ROOM 512 /* longer ones are allocated */
#define TARGET_MAX_WORDS   2

struct target {
    char *text; /* owned, with room to decode into; as it came, until it is split */
    size_t length;
    char *authority; /* of absolute-form; else NULL */
    char *path;      /* the part before `?`; NULL: not split yet */
    char *query;     /* decoded, as `name\0value\0…\0`; or NULL */
    struct {         /* the segments that stand for something, as they came */
        const char *text;
        size_t length;
    } raw[TARGET_MAX_WORDS];
    char *id; /* the first of them, decoded; a NUL follows */
    size_t id_length;
    char *name; /* the second, likewise */
    size_t name_length;
    char room[TARGET_INLINE_ROOM]; /* last: never cleared */
};

/* In absolute-form (RFC 9112 section 3.2.2): what stands between `http://` or `https://` and the
 * path. NULL: it has another form. */
const char *target_find_authority(const char *text, size_t *ret_length);

/* False: out of memory; it is to be finished all the same. */
bool target_init(struct target *ret_target, const char *text);
void target_finish(struct target *target);

/* Parts authority, path and query. False: the query has a broken escape. */
bool target_split(struct target *target);

/* Does the path fit a pattern such as `/users/:id/devices/:name`? Then the words in it are raw. */
bool target_fits(struct target *target, const char *pattern);

/* Decodes the words of the path that fitted last. False: one is not proper by topic_is_name. */
bool target_decode_words(struct target *target);

/* The first of these words, decoded, a NUL follows; and the second. */
const char *target_id(const struct target *target, size_t *ret_length);
const char *target_name(const struct target *target, size_t *ret_length);

/* A query parameter, decoded, borrowed; NULL: not there. */
const char *target_query(const struct target *target, const char *name);
/* The next one of that name after the value `last`; NULL: from the first. */
const char *target_query_next(const struct target *target, const char *name, const char *last);

#endif
