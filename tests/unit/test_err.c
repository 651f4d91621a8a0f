#include "support.h"

#include <ctype.h>

#include "base/err.h"

static void rows_say_what_the_contract_says(void **state)
{
    static const struct {
        enum err err;
        const char *code;
        int status;
        int close_code;
    } rows[] = {
        {ERR_NONE, "none", 200, 1000},
        {ERR_BAD_JSON, "bad_json", 400, 4400},
        {ERR_MISSING_FIELD, "missing_field", 422, 4400},
        {ERR_UNAUTHORIZED, "unauthorized", 401, 4401},
        {ERR_KICKED, "kicked", 403, 4403},
        {ERR_NO_HEARTBEAT, "no_heartbeat", 408, 4408},
        {ERR_GAP, "gap", 410, 4410},
        {ERR_STALLED, "stalled", 408, 4508},
        {ERR_TOO_MANY_SESSIONS_OF_USER, "too_many_sessions_of_user", 429, 4429},
        {ERR_STOPPING, "stopping", 503, 1001},
        {ERR_NO_ROOM, "no_room", 507, 1013},
        {ERR_UPGRADE_REQUIRED, "upgrade_required", 426, 1002},
        {ERR_TOO_MANY_FRAGMENTS, "too_many_fragments", 400, 1008},
    };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(err_code(rows[i].err), rows[i].code);
        assert_int_equal(err_status(rows[i].err), rows[i].status);
        assert_int_equal(err_close_code(rows[i].err), rows[i].close_code);
    }
}

static void codes_are_words_and_no_two_are_the_same(void **state)
{
    (void)state;

    for (int a = 0; a < ERR_COUNT; a++) {
        const char *code = err_code((enum err)a);
        assert_true(code[0]);
        for (const char *at = code; *at; at++)
            assert_true(islower((unsigned char)*at) || isdigit((unsigned char)*at) || *at == '_');
        for (int b = 0; b < a; b++)
            assert_string_not_equal(code, err_code((enum err)b));
    }
}

static void every_row_is_whole(void **state)
{
    (void)state;

    for (int err = 1; err < ERR_COUNT; err++) {
        assert_in_range(err_status((enum err)err), 400, 599);
        int close_code = err_close_code((enum err)err);
        assert_true((close_code >= 1000 && close_code <= 1014) ||
                    (close_code >= 4000 && close_code <= 4999));
        /* RFC 6455 section 7.4.1: these three stand in no frame that means something else. */
        assert_true(close_code != 1004 && close_code != 1005);
        assert_true(close_code != 1006 || err == ERR_CONNECTION_LOST);
        assert_true(isupper((unsigned char)err_title((enum err)err)[0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_the_contract_says),
        cmocka_unit_test(codes_are_words_and_no_two_are_the_same),
        cmocka_unit_test(every_row_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
