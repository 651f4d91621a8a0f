/* fuzz_json_body.c - the body of POST /send-message. The message that is cut out means what jansson
 * reads there, with and without white space; reading around it agrees with reading everything. */
#include "fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_text.h"
#include "http/json_body.h"

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL)

/* The texts of both, so that reals of the same digits are the same. */
static void assert_same(const json_t *a, const json_t *b)
{
    char *x = json_dumps(a, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    char *y = json_dumps(b, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    assert(x && y && !strcmp(x, y));
    free(x);
    free(y);
}

static void check_cut(const char *text, size_t size, const json_t *message)
{
    const char *value;
    size_t value_size;
    struct buf compact;

    if (!json_text_member(text, size, "message", &value, &value_size))
        return;
    assert(value >= text && value_size <= size - (size_t)(value - text));
    buf_init(&compact);
    json_text_compact(&compact, value, value_size);
    assert(json_text_is_compact(value, value_size) == (compact.size == value_size));
    if (message) {
        json_t *cut = json_loadb(value, value_size, FLAGS | JSON_DECODE_ANY, NULL);
        json_t *again = json_loadb(compact.data, compact.size, FLAGS | JSON_DECODE_ANY, NULL);
        assert_same(cut, message);
        assert_same(again, message);
        assert(json_text_is_compact(compact.data, compact.size));
        json_decref(cut);
        json_decref(again);
    }
    buf_finish(&compact);
}

static void check_around(const char *text, size_t size)
{
    json_t *around = json_body_parse_around(text, size, "message"), *root;
    json_error_t error;

    if (!around)
        return;
    int err = json_body_parse(text, size, &root, &error);
    assert(!err);
    assert(json_is_object(root) && json_is_string(json_object_get(root, "message")));
    json_object_set_new(root, "message", json_string(""));
    assert_same(around, root);
    json_decref(root);
    json_decref(around);
}

/* Numbers made smaller make no text proper that was not. */
static void check_tamed(const char *text, size_t size, const json_t *root,
                        const json_error_t *error)
{
    char *copy = malloc(size + 1);

    memcpy(copy, text, size);
    copy[size] = '\0';
    json_text_tame_numbers(copy, size);
    if (root) {
        assert(!memcmp(copy, text, size));
    } else if (json_error_code(error) != json_error_numeric_overflow) {
        json_t *tamed = json_loadb(copy, size, FLAGS, NULL);
        assert(!tamed);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    json_error_t error;
    json_t *root = json_loadb(text, size, FLAGS, &error);

    check_tamed(text, size, root, &error);
    check_cut(text, size, json_object_get(root, "message"));
    check_around(text, size);
    json_decref(root);
    return 0;
}
