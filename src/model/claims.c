#include "model/claims.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "model/topic.h"

#define MAX_PATTERNS 4096         /* in a list */
#define MAX_SECONDS  253402300799 /* the year 9999 */

/* Patterns stand one after the other, each with its NUL; an empty one ends a list. */
struct claims {
    int64_t issued_ms;
    int64_t end_ms;
    bool publish_anywhere;
    const char *prefix; /* or NULL */
    const char *channels;
    const char *publish;
    char user[];
};

bool claims_is_pattern(const char *text, size_t length)
{
    if (length == 1 && text[0] == '*')
        return true;
    return length > 0 && topic_is_name(text, length - (text[length - 1] == '*'));
}

/* Seconds since 1970, perhaps with a fraction, as milliseconds. False: something else is there. */
static bool read_time(const json_t *claims, const char *name, int64_t *ret_ms)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_real_value(value);
    if (!json_is_real(value) || !(seconds >= 0 && seconds <= MAX_SECONDS))
        return false;
    *ret_ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

static bool read_times(const json_t *json, const struct claims_rules *rules, int64_t now_ms,
                       struct claims *claims, enum err *ret_err, const char **ret_why)
{
    int64_t not_before = 0, expires;
    *ret_err = ERR_UNAUTHORIZED;
    claims->issued_ms = INT64_MIN;
    *ret_why = "the token has no exp, or iat or nbf is no time";
    if (!read_time(json, "exp", &expires) ||
        (json_object_get(json, "nbf") && !read_time(json, "nbf", &not_before)) ||
        (json_object_get(json, "iat") && !read_time(json, "iat", &claims->issued_ms)))
        return false;
    claims->end_ms = expires + CLAIMS_LEEWAY_MS;
    *ret_why = "the token is not valid yet";
    /* One issued in the future would pass any age, and every revocation. */
    if (not_before > now_ms + CLAIMS_LEEWAY_MS || claims->issued_ms > now_ms + CLAIMS_LEEWAY_MS)
        return false;
    *ret_why = "the token is valid for longer than token_max_age";
    if (expires - (claims->issued_ms == INT64_MIN ? now_ms : claims->issued_ms) > rules->max_age_ms)
        return false;
    *ret_why = "the token has expired";
    *ret_err = ERR_TOKEN_EXPIRED;
    return now_ms < claims->end_ms;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool is_for_audience(const json_t *aud, const char *audience)
{
    size_t i;
    json_t *one;
    json_array_foreach(aud, i, one)
    {
        if (is_text(one, audience))
            return true;
    }
    return is_text(aud, audience);
}

static bool check_parties(const json_t *json, const struct claims_rules *rules,
                          const char **ret_why)
{
    *ret_why = "the token's iss is another";
    if (rules->issuer && !is_text(json_object_get(json, "iss"), rules->issuer))
        return false;
    *ret_why = "the token's aud is another";
    return !rules->audience || is_for_audience(json_object_get(json, "aud"), rules->audience);
}

static bool is_name(const json_t *value)
{
    return json_is_string(value) &&
           topic_is_name(json_string_value(value), json_string_length(value));
}

/* The room its patterns take; 0: it is no list of patterns. */
static size_t measure_patterns(const json_t *list)
{
    size_t i, room = 1;
    json_t *one;
    if (!list)
        return room;
    if (!json_is_array(list) || json_array_size(list) > MAX_PATTERNS)
        return 0;
    json_array_foreach(list, i, one)
    {
        if (!json_is_string(one) ||
            !claims_is_pattern(json_string_value(one), json_string_length(one)))
            return 0;
        room += json_string_length(one) + 1;
    }
    return room;
}

static const char *copy_patterns(char **to, const json_t *list)
{
    const char *start = *to;
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) *to =
        mempcpy(*to, json_string_value(one), json_string_length(one) + 1);
    *(*to)++ = '\0';
    return start;
}

/* What the token says besides times. NULL: it is not proper (or memory is out). */
static struct claims *copy_claims(const json_t *json, const char **ret_why, enum err *ret_err)
{
    const json_t *sub = json_object_get(json, "sub"), *prefix = json_object_get(json, "prefix");
    const json_t *channels = json_object_get(json, "channels");
    const json_t *publish = json_object_get(json, "publish");
    bool anywhere = json_is_true(publish);
    publish = json_is_boolean(publish) ? NULL : publish;
    size_t heard = measure_patterns(channels), said = measure_patterns(publish);
    *ret_err = ERR_UNAUTHORIZED;
    *ret_why = "the token's sub, channels, publish or prefix is not proper";
    if (!is_name(sub) || (prefix && !is_name(prefix)) || !heard || !said)
        return NULL;
    size_t user_size = json_string_length(sub) + 1;
    struct claims *claims =
        malloc(sizeof *claims + user_size + heard + said + json_string_length(prefix) + 1);
    if (!claims) {
        *ret_err = ERR_OUT_OF_MEMORY;
        return NULL;
    }
    char *at = mempcpy(claims->user, json_string_value(sub), user_size);
    claims->publish_anywhere = anywhere;
    claims->channels = copy_patterns(&at, channels);
    claims->publish = copy_patterns(&at, publish);
    claims->prefix = prefix ? at : NULL;
    if (prefix)
        memcpy(at, json_string_value(prefix), json_string_length(prefix) + 1);
    return claims;
}

int claims_read(const json_t *json, const struct claims_rules *rules, int64_t now_ms,
                struct claims **ret_claims, const char **ret_why)
{
    enum err err = ERR_UNAUTHORIZED;
    if (!check_parties(json, rules, ret_why))
        return ERR_UNAUTHORIZED;
    struct claims *claims = copy_claims(json, ret_why, &err);
    if (!claims)
        return (int)err;
    if (!read_times(json, rules, now_ms, claims, &err, ret_why)) {
        claims_destroy(claims);
        return (int)err;
    }
    *ret_claims = claims;
    return 0;
}

void claims_destroy(struct claims *claims)
{
    free(claims);
}

const char *claims_user(const struct claims *claims)
{
    return claims->user;
}

const char *claims_prefix(const struct claims *claims)
{
    return claims->prefix;
}

int64_t claims_issued_ms(const struct claims *claims)
{
    return claims->issued_ms;
}

int64_t claims_end_ms(const struct claims *claims)
{
    return claims->end_ms;
}

static bool fits_one(const char *patterns, const char *name, size_t length)
{
    for (; *patterns; patterns += strlen(patterns) + 1) {
        size_t size = strlen(patterns);
        bool open = patterns[size - 1] == '*';
        size -= open;
        if ((open ? length >= size : length == size) && memcmp(patterns, name, size) == 0)
            return true;
    }
    return false;
}

bool claims_cover_channel(const struct claims *claims, const char *name, size_t length)
{
    return fits_one(claims->channels, name, length);
}

bool claims_may_publish(const struct claims *claims, const char *name, size_t length)
{
    return claims->publish_anywhere || fits_one(claims->publish, name, length);
}

bool claims_may_publish_anywhere(const struct claims *claims)
{
    return claims->publish_anywhere;
}

bool claims_publish_some(const struct claims *claims)
{
    return claims->publish_anywhere || *claims->publish;
}
