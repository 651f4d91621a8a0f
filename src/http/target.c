#include "http/target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/topic.h"

/* The copy is followed by room for the decoded words (as long at most) and for the decoded query
 * (twice as long at most: a lone name gains a NUL). */
static size_t room_for(size_t length)
{
    return (length + 1) * 4;
}

bool target_init(struct target *ret_target, const char *text)
{
    size_t length = strlen(text), room = room_for(length);
    memset(ret_target, 0, offsetof(struct target, room));
    ret_target->text = room > TARGET_INLINE_ROOM ? malloc(room) : ret_target->room;
    if (!ret_target->text)
        return false;
    memcpy(ret_target->text, text, length + 1);
    ret_target->length = length;
    return true;
}

void target_finish(struct target *target)
{
    if (target->text != target->room)
        free(target->text);
}

/* ---- the parts ---- */

const char *target_find_authority(const char *text, size_t *ret_length)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t skip = strlen(schemes[i]);
        if (strncasecmp(text, schemes[i], skip) == 0) {
            *ret_length = strcspn(text + skip, "/?");
            return text + skip;
        }
    }
    return NULL;
}

/* ---- the query ---- */

/* Appends raw text, decoded, and a NUL. False: a broken escape. */
static bool decode_word(char **to, char *raw, size_t length)
{
    for (size_t i = 0; i < length; i++)
        raw[i] = raw[i] == '+' ? ' ' : raw[i];
    ptrdiff_t decoded = text_percent_decode(*to, raw, length);
    if (decoded < 0)
        return false;
    *to += decoded;
    *(*to)++ = '\0';
    return true;
}

/* Decodes `a=b&c=d` into `a\0b\0c\0d\0\0`. False: a broken escape. */
static bool decode_query(char *to, char *from)
{
    while (*from) {
        size_t length = strcspn(from, "&");
        size_t name = strcspn(from, "=&");
        size_t value = name < length ? name + 1 : length; /* where it starts */
        if (name &&
            (!decode_word(&to, from, name) || !decode_word(&to, from + value, length - value)))
            return false;
        from += length + (from[length] == '&');
    }
    *to = '\0';
    return true;
}

/* The authority moves to where the scheme was, which leaves room for a NUL and a path of `/`. */
static void split_authority(struct target *target)
{
    size_t length;
    const char *authority = target_find_authority(target->text, &length);
    target->path = target->text;
    if (!authority)
        return;
    target->path += (size_t)(authority - target->text) + length;
    target->authority = memmove(target->text, authority, length);
    target->authority[length] = '\0';
    if (*target->path != '/')
        *--target->path = '/';
}

bool target_split(struct target *target)
{
    split_authority(target);
    char *mark = strchr(target->path, '?');
    if (!mark)
        return true;
    *mark = '\0';
    target->query = target->text + 2 * (target->length + 1);
    return decode_query(target->query, mark + 1);
}

const char *target_id(const struct target *target, size_t *ret_length)
{
    *ret_length = target->id_length;
    return target->id;
}

const char *target_name(const struct target *target, size_t *ret_length)
{
    *ret_length = target->name_length;
    return target->name;
}

const char *target_query(const struct target *target, const char *name)
{
    return target_query_next(target, name, NULL);
}

const char *target_query_next(const struct target *target, const char *name, const char *last)
{
    const char *at = last ? last + strlen(last) + 1 : target->query;
    for (; at && *at; at += strlen(at) + 1) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, name) == 0)
            return value;
        at = value;
    }
    return NULL;
}

/* ---- the path ---- */

bool target_fits(struct target *target, const char *pattern)
{
    const char *path = target->path;
    size_t words = 0;
    memset(target->raw, 0, sizeof target->raw);
    while (*pattern && *path) {
        if (*pattern == ':') {
            assert(words < TARGET_MAX_WORDS);
            pattern += strcspn(pattern, "/");
            target->raw[words].text = path;
            target->raw[words++].length = strcspn(path, "/");
            path += strcspn(path, "/");
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    /* An empty word is still a word: it gets 400, not 404. */
    if (*pattern == ':') {
        assert(words < TARGET_MAX_WORDS);
        target->raw[words].text = path;
        pattern += strcspn(pattern, "/");
    }
    return !*pattern && !*path;
}

static bool decode_name(char *to, const char *raw, size_t raw_length, size_t *ret_length)
{
    ptrdiff_t length = text_percent_decode(to, raw, raw_length);
    *ret_length = length < 0 ? 0 : (size_t)length;
    to[*ret_length] = '\0';
    return topic_is_name(to, *ret_length);
}

/* The second follows the first in its room: what parts them in the path is the NUL's. */
bool target_decode_words(struct target *target)
{
    target->id = target->text + target->length + 1;
    if (target->raw[0].text &&
        !decode_name(target->id, target->raw[0].text, target->raw[0].length, &target->id_length))
        return false;
    target->name = target->id + target->id_length + 1;
    return !target->raw[1].text || decode_name(target->name, target->raw[1].text,
                                               target->raw[1].length, &target->name_length);
}
