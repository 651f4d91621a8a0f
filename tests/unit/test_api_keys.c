#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "model/api_keys.h"

#define KEY "pw_billing_0123456789abcdef"

static char *digest_of(const char *text)
{
    static char hex[DIGEST_HEX_SIZE];
    assert_true(digest_sha256_hex(text, strlen(text), hex));
    return hex;
}

static struct api_keys *parse(const char *format, const char *digest)
{
    char text[1024], *error = NULL;
    snprintf(text, sizeof text, format, digest);
    struct api_keys *keys = keys_parse(text, strlen(text), &error);
    if (!keys)
        fail_msg("%s", error);
    return keys;
}

static const struct api_key *find(struct api_keys *keys, const char *text)
{
    return keys_find(keys, text, strlen(text));
}

static void a_key_is_found_by_its_text(void **state)
{
    struct api_keys *keys =
        parse("# those of the shop\n\n  \t\r\n"
              "billing %s scope=send,read sender=bill prefix=acme: created=2026\r\n",
              digest_of(KEY));
    (void)state;
    const struct api_key *key = find(keys, KEY);
    assert_non_null(key);
    assert_string_equal(key->id, "billing");
    assert_string_equal(key->sender, "bill");
    assert_string_equal(key->prefix, "acme:");
    assert_int_equal(key->scopes, SCOPE_SEND | SCOPE_READ);
    assert_int_equal(keys_count(keys), 1);
    keys_unref(keys);
    keys_unref(NULL);
}

static void anything_else_is_no_key(void **state)
{
    static const char *const others[] = {
        "",
        "pw_",
        "pw_billing",
        "pw_billing_",
        "pw_billing_0123456789abcdeF",
        "pw_billing_0123456789abcde",
        "pw_billing_0123456789abcdef ",
        "pw_other_0123456789abcdef",
        "PW_billing_0123456789abcdef",
        "billing_0123456789abcdef",
    };
    struct api_keys *keys = parse("billing %s scope=send", digest_of(KEY));
    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_null(find(keys, others[i]));
    assert_null(find(keys, digest_of(KEY))); /* who reads the file has no key */
    keys_unref(keys);
}

static void an_empty_file_lets_nobody_in(void **state)
{
    struct api_keys *keys = parse("%s", "");
    (void)state;
    assert_int_equal(keys_count(keys), 0);
    assert_null(find(keys, KEY));
    keys_unref(keys);
}

static void expect_wrong(const char *format, const char *wanted)
{
    char text[2048], *error = NULL;
    snprintf(text, sizeof text, format, digest_of(KEY));
    assert_null(keys_parse(text, strlen(text), &error));
    if (!strstr(error, wanted))
        fail_msg("\"%s\" is not in \"%s\"", wanted, error);
    free(error);
}

static void a_wrong_line_is_named(void **state)
{
    (void)state;
    expect_wrong("# %s\nbilling abc scope=send", "2: after the id comes");
    expect_wrong("billing", "1: after the id comes");
    expect_wrong("bill_ing %s scope=send", "1: an id is");
    expect_wrong("billing %s", "1: say what the key may do");
    expect_wrong("billing %s scope=", "scope is a list");
    expect_wrong("billing %s scope=send,", "scope is a list");
    expect_wrong("billing %s scope=send,write", "scope is a list");
    expect_wrong("billing %s scope=send scope=read", "scope comes twice");
    expect_wrong("billing %s scope=send sneder=x", "\"sneder\" is not known");
    expect_wrong("billing %s scope=send sender", "\"sender\" is not name=value");
    expect_wrong("billing %s scope=send sender=a]", "sender is");
    expect_wrong("billing %s scope=send prefix=", "prefix is");
    expect_wrong("billing %s scope=send prefix=a/", "prefix is");
    expect_wrong("a %1$s scope=send\na %1$s scope=read", "2: the id a is taken");
    expect_wrong("billing %s scope=send \xff", "UTF-8");
}

static void a_nul_ends_no_line(void **state)
{
    static const char text[] = "a\0b";
    char *error = NULL;
    (void)state;
    assert_null(keys_parse(text, sizeof text, &error));
    free(error);
}

static void a_new_key_is_found_by_its_line(void **state)
{
    char key[KEY_TEXT_MAX], *error = NULL;
    struct buf line;
    (void)state;
    buf_init(&line);
    assert_true(keys_draw("shop", "send,token", "bill", "acme:", "2026", key, &line, &error));
    assert_int_equal(strncmp(key, "pw_shop_", 8), 0);
    assert_int_equal(strlen(key), 8 + 48);
    struct api_keys *keys = keys_parse(line.data, line.size, &error);
    assert_non_null(keys);
    assert_non_null(find(keys, key));
    assert_null(memmem(line.data, line.size, key + 8, 48)); /* the file does not know it */
    keys_unref(keys);
    buf_finish(&line);

    buf_init(&line);
    assert_false(keys_draw("a b", "send", NULL, NULL, "2026", key, &line, &error));
    free(error);
    assert_false(keys_draw("shop", "write", NULL, NULL, "2026", key, &line, &error));
    free(error);
    buf_finish(&line);
}

static void uses_are_counted_over_reloads(void **state)
{
    struct api_keys *keys = parse("billing %s scope=send", digest_of(KEY));
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_non_null(find(keys, KEY));
    assert_null(find(keys, KEY "0"));
    struct api_keys *again = parse("billing %s scope=read", digest_of(KEY));
    keys_inherit(again, keys);
    keys_unref(keys);
    assert_non_null(find(again, KEY));
    assert_int_equal(keys_at(again, 0)->uses, 4);
    keys_unref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_by_its_text),
        cmocka_unit_test(anything_else_is_no_key),
        cmocka_unit_test(an_empty_file_lets_nobody_in),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(a_nul_ends_no_line),
        cmocka_unit_test(a_new_key_is_found_by_its_line),
        cmocka_unit_test(uses_are_counted_over_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
