#include "support.h"

#include "base/base64.h"
#include "base/buf.h"

static void expect(const char *bytes, size_t size, const char *text)
{
    struct buf buf;
    buf_init(&buf);
    base64_encode(&buf, bytes, size);
    assert_int_equal(buf.size, strlen(text));
    assert_true(size == 0 || memcmp(buf.data, text, buf.size) == 0);
    buf.size = 0;
    assert_true(base64_is(text, strlen(text)));
    assert_true(base64_decode(&buf, text, strlen(text)));
    assert_int_equal(buf.size, size);
    assert_true(size == 0 || memcmp(buf.data, bytes, size) == 0);
    buf_finish(&buf);
}

#define EXPECT(literal, text) expect(literal, sizeof(literal) - 1, text)

/* RFC 4648 section 10, and bytes that are no text. */
static void bytes_come_back(void **state)
{
    (void)state;
    EXPECT("", "");
    EXPECT("f", "Zg==");
    EXPECT("fo", "Zm8=");
    EXPECT("foo", "Zm9v");
    EXPECT("foob", "Zm9vYg==");
    EXPECT("foobar", "Zm9vYmFy");
    EXPECT("\x00\xff\xfe\x01", "AP/+AQ==");
}

static void nothing_is_no_bytes(void **state)
{
    struct buf buf; /* which has no memory yet */
    (void)state;
    buf_init(&buf);
    assert_true(base64_decode(&buf, "", 0));
    assert_int_equal(buf.size, 0);
    buf_finish(&buf);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Z",    "Zg",   "Zg=",  "Zg===", "=",    "====", "Z===",  "Zm9v\n",
        "Zm 9", "Zm9-", "Zm_v", "Zg=v",  "A===", "AQ=D", "AQIDA", "Z\x80==",
    };
    struct buf buf;
    buf_init(&buf);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(base64_is(wrong[i], strlen(wrong[i])));
        assert_false(base64_decode(&buf, wrong[i], strlen(wrong[i])));
        assert_int_equal(buf.size, 0);
    }
    assert_false(base64_is("Zg\0=", 4));
    buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(nothing_is_no_bytes),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
