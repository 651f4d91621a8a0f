/* api_keys.h - the publishers' keys, of which only digests are kept.
 *
 * A key is `pw_<id>_<random>`; the keys file has a line for each:
 *
 *     <id> <sha256 of the key> scope=send,read [sender=billing] [prefix=acme:] [created=2026-01-31]
 *
 * Empty lines and those that begin with # say nothing. The random part has 192 bits, so a plain
 * digest protects it. But for the count of uses immutable once parsed, and counted; any thread. */
#ifndef MODEL_API_KEYS_H
#define MODEL_API_KEYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct api_keys;
struct buf;

enum scope { SCOPE_SEND = 1, SCOPE_READ = 2, SCOPE_MANAGE = 4, SCOPE_TOKEN = 8 };

struct api_key {
    char *id;
    char *sender; /* all its messages are from; NULL: each says */
    char *prefix; /* of every name it may use; NULL: any */
    unsigned scopes;
    _Atomic uint64_t uses; /* how often it was found */
    char digest[DIGEST_HEX_SIZE];
};

#define KEY_ID_MAX   32
#define KEY_TEXT_MAX 96 /* a whole key and a NUL */

/* NULL, and *ret_error (to be freed) says which line is wrong and why: "3: ...". */
struct api_keys *keys_parse(const char *text, size_t size, char **ret_error);
struct api_keys *keys_ref(struct api_keys *keys);
void keys_unref(struct api_keys *keys);

size_t keys_count(const struct api_keys *keys);

const struct api_key *keys_at(const struct api_keys *keys, size_t index);

/* Goes on counting the uses of keys that were there before. */
void keys_inherit(struct api_keys *keys, const struct api_keys *before);

/* The key whose text this is, borrowed; NULL: none. */
const struct api_key *keys_find(struct api_keys *keys, const char *text, size_t length);

/* `send,read`: sets its bits. False: something else, or nothing, is there. */
bool keys_parse_scopes(const char *text, unsigned *ret_scopes);
/* "send"; of one bit. */
const char *keys_scope_name(enum scope scope);

/* Draws a new key and writes its line, with a newline. id NULL: one is made. False, and *ret_error
 * as above: what was asked for is no proper line. */
bool keys_draw(const char *id, const char *scopes, const char *sender, const char *prefix,
               const char *created, char ret_text[static KEY_TEXT_MAX], struct buf *ret_line,
               char **ret_error);

#endif
