#include "model/api_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/topic.h"

#define MARK         "pw_"
#define RANDOM_BYTES 24
#define MAX_LINE     1024
#define BLANKS       " \t\r"

struct api_keys {
    atomic_uint refs;
    size_t count;
    struct api_key *keys;
};

struct named_scope {
    const char *name;
    enum scope scope;
};

static const struct named_scope scopes[] = {
    {"send", SCOPE_SEND},
    {"read", SCOPE_READ},
    {"manage", SCOPE_MANAGE},
    {"token", SCOPE_TOKEN},
};

#define SCOPES (sizeof scopes / sizeof *scopes)

const char *keys_scope_name(enum scope scope)
{
    size_t i = 0;
    while (i + 1 < SCOPES && scopes[i].scope != scope)
        i++;
    return scopes[i].name;
}

bool keys_parse_scopes(const char *text, unsigned *ret_scopes)
{
    unsigned found = 0;
    for (;;) {
        size_t length = strcspn(text, ","), i = 0;
        while (i < SCOPES &&
               (strlen(scopes[i].name) != length || memcmp(scopes[i].name, text, length) != 0))
            i++;
        if (i == SCOPES)
            return false;
        found |= scopes[i].scope;
        if (!text[length])
            break;
        text += length + 1;
    }
    *ret_scopes = found;
    return true;
}

/* ---- reading a line ---- */

__attribute__((format(printf, 2, 3))) static bool wrong(char **ret_error, const char *format, ...)
{
    char text[MAX_LINE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *ret_error = mem_strdup(text);
    return false;
}

static bool is_id(const char *id)
{
    size_t length = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    return length > 0 && length <= KEY_ID_MAX && !id[length];
}

static bool read_scope(struct api_key *key, const char *value, char **ret_error)
{
    return keys_parse_scopes(value, &key->scopes) ||
           wrong(ret_error, "scope is a list of send, read, manage and token");
}

static bool read_sender(struct api_key *key, const char *value, char **ret_error)
{
    if (!topic_is_name(value, strlen(value)) || strchr(value, ']'))
        return wrong(ret_error, "sender is 1 to 128 bytes of UTF-8 without / and ]");
    key->sender = mem_strdup(value);
    return true;
}

static bool read_prefix(struct api_key *key, const char *value, char **ret_error)
{
    if (!topic_is_name(value, strlen(value)))
        return wrong(ret_error, "prefix is 1 to 128 bytes of UTF-8 without /");
    key->prefix = mem_strdup(value);
    return true;
}

static bool read_created(struct api_key *key, const char *value, char **ret_error)
{
    (void)key;
    return *value || wrong(ret_error, "created is a day or a time");
}

struct attribute {
    const char *name;
    bool (*read)(struct api_key *key, const char *value, char **ret_error);
};

static const struct attribute attributes[] = {
    {"scope", read_scope},
    {"sender", read_sender},
    {"prefix", read_prefix},
    {"created", read_created},
};

#define ATTRIBUTES (sizeof attributes / sizeof *attributes)

/* word is `name=value`; seen has a bit for each attribute there was. */
static bool read_attribute(struct api_key *key, char *word, unsigned *seen, char **ret_error)
{
    char *value = strchr(word, '=');
    if (!value)
        return wrong(ret_error, "\"%.40s\" is not name=value", word);
    *value++ = '\0';
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (strcmp(word, attributes[i].name) != 0)
            continue;
        if (*seen & 1u << i)
            return wrong(ret_error, "%s comes twice", word);
        *seen |= 1u << i;
        return attributes[i].read(key, value, ret_error);
    }
    return wrong(ret_error, "\"%.40s\" is not known here: scope, sender, prefix, created", word);
}

static bool read_digest(struct api_key *key, const char *word, char **ret_error)
{
    if (!word || strlen(word) != DIGEST_HEX_SIZE - 1 ||
        strspn(word, "0123456789abcdef") != DIGEST_HEX_SIZE - 1)
        return wrong(ret_error, "after the id comes the SHA-256 of the key, in 64 hex digits");
    memcpy(key->digest, word, DIGEST_HEX_SIZE);
    return true;
}

static bool read_line(struct api_key *key, char *line, char **ret_error)
{
    char *rest;
    unsigned seen = 0;
    const char *id = strtok_r(line, BLANKS, &rest);
    if (!is_id(id))
        return wrong(ret_error, "an id is 1 to %d letters, digits and -", KEY_ID_MAX);
    key->id = mem_strdup(id);
    if (!read_digest(key, strtok_r(NULL, BLANKS, &rest), ret_error))
        return false;
    for (char *word; (word = strtok_r(NULL, BLANKS, &rest));) {
        if (!read_attribute(key, word, &seen, ret_error))
            return false;
    }
    return key->scopes || wrong(ret_error, "say what the key may do: scope=send");
}

/* ---- the file ---- */

static struct api_key *find_id(const struct api_keys *keys, const char *id, size_t length)
{
    for (size_t i = 0; i < keys->count; i++) {
        struct api_key *key = &keys->keys[i];
        if (strlen(key->id) == length && memcmp(key->id, id, length) == 0)
            return key;
    }
    return NULL;
}

static void finish_key(struct api_key *key)
{
    free(key->id);
    free(key->sender);
    free(key->prefix);
}

/* A line copied, or NULL: it says nothing. */
static char *copy_line(const char *text, size_t length)
{
    size_t blank = 0;
    while (blank < length && strchr(BLANKS, text[blank]) && text[blank])
        blank++;
    return blank == length || text[blank] == '#' ? NULL : mem_strndup(text, length);
}

static bool add_line(struct api_keys *keys, const char *text, size_t length, char **ret_error)
{
    struct api_key key = {0};
    if (length >= MAX_LINE || memchr(text, '\0', length) || !text_is_utf8(text, length))
        return wrong(ret_error, "a line is at most %d bytes of UTF-8 text", MAX_LINE - 1);
    char *line = copy_line(text, length);
    bool good = !line || read_line(&key, line, ret_error);
    if (good && line && find_id(keys, key.id, strlen(key.id)))
        good = wrong(ret_error, "the id %s is taken by another line", key.id);
    if (good && line) {
        keys->keys = mem_realloc(keys->keys, (keys->count + 1) * sizeof *keys->keys);
        keys->keys[keys->count++] = key;
    } else {
        finish_key(&key);
    }
    free(line);
    return good;
}

struct api_keys *keys_parse(const char *text, size_t size, char **ret_error)
{
    struct api_keys *keys = mem_alloc(sizeof *keys);
    char *error = NULL;
    atomic_init(&keys->refs, 1);
    for (size_t line = 1; size; line++) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;
        if (!add_line(keys, text, length, &error)) {
            wrong(ret_error, "%zu: %s", line, error);
            free(error);
            keys_unref(keys);
            return NULL;
        }
        length += end != NULL;
        text += length;
        size -= length;
    }
    return keys;
}

struct api_keys *keys_ref(struct api_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void keys_unref(struct api_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < keys->count; i++)
        finish_key(&keys->keys[i]);
    free(keys->keys);
    free(keys);
}

size_t keys_count(const struct api_keys *keys)
{
    return keys->count;
}

const struct api_key *keys_at(const struct api_keys *keys, size_t index)
{
    return &keys->keys[index];
}

void keys_inherit(struct api_keys *keys, const struct api_keys *before)
{
    for (size_t i = 0; i < before->count; i++) {
        struct api_key *key = find_id(keys, before->keys[i].id, strlen(before->keys[i].id));
        if (key)
            key->uses = before->keys[i].uses;
    }
}

const struct api_key *keys_find(struct api_keys *keys, const char *text, size_t length)
{
    char digest[DIGEST_HEX_SIZE];
    size_t mark = strlen(MARK);
    if (length <= mark || memcmp(text, MARK, mark) != 0)
        return NULL;
    const char *end = memchr(text + mark, '_', length - mark);
    struct api_key *key = end ? find_id(keys, text + mark, (size_t)(end - text) - mark) : NULL;
    if (!key || !digest_sha256_hex(text, length, digest) ||
        !digest_same(digest, key->digest, sizeof digest))
        return NULL;
    atomic_fetch_add_explicit(&key->uses, 1, memory_order_relaxed);
    return key;
}

/* ---- a new one ---- */

static void add_attribute(struct buf *line, const char *name, const char *value)
{
    if (value)
        buf_add_format(line, " %s=%s", name, value);
}

bool keys_draw(const char *id, const char *scope, const char *sender, const char *prefix,
               const char *created, char ret_text[static KEY_TEXT_MAX], struct buf *ret_line,
               char **ret_error)
{
    unsigned char random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1], made[9], digest[DIGEST_HEX_SIZE];
    digest_random(random, sizeof random);
    digest_hex(random, 4, made);
    digest_random(random, sizeof random);
    digest_hex(random, sizeof random, hex);
    int length = snprintf(ret_text, KEY_TEXT_MAX, MARK "%s_%s", id ? id : made, hex);
    if ((id && !is_id(id)) || !digest_sha256_hex(ret_text, (size_t)length, digest))
        return wrong(ret_error, "an id is 1 to %d letters, digits and -", KEY_ID_MAX);
    buf_add_format(ret_line, "%s %s", id ? id : made, digest);
    add_attribute(ret_line, "scope", scope);
    add_attribute(ret_line, "sender", sender);
    add_attribute(ret_line, "prefix", prefix);
    add_attribute(ret_line, "created", created);
    struct api_keys *check = keys_parse(ret_line->data, ret_line->size, ret_error);
    bool good = check && check->count == 1;
    keys_unref(check);
    buf_add_text(ret_line, "\n");
    return good;
}
