#include "model/topic.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"

/* C0 and DEL are single bytes; C1 is U+0080 to U+009F, c2 80 to c2 9f in UTF-8. */
static bool has_control(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < length && (unsigned char)name[i + 1] < 0xa0)
            return true;
    }
    return false;
}

bool topic_is_name(const char *name, size_t length)
{
    if (length == 0 || length > TOPIC_NAME_MAX || memchr(name, '/', length))
        return false;
    if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
        return false;
    return !has_control(name, length) && text_is_utf8(name, length);
}

struct topic topic_make(enum topic_kind kind, const char *name, size_t length)
{
    char tagged[1 + TOPIC_NAME_MAX];
    tagged[0] = (char)kind; /* user:x and channel:x must not share a hash */
    memcpy(tagged + 1, name, length);
    return (struct topic){
        .hash = hash_bytes(tagged, length + 1),
        .name = name,
        .length = (uint32_t)length,
        .kind = kind,
    };
}

bool topic_equal(const struct topic *a, const struct topic *b)
{
    return a->hash == b->hash && a->kind == b->kind && a->length == b->length &&
           memcmp(a->name, b->name, a->length) == 0;
}
