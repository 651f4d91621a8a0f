#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "model/access.h"
#include "model/identity.h"
#include "model/token.h"
#include "model/topic.h"

#define DEFAULT_TTL_S 3600
#define MAX_TTL_S     86400
#define MAX_PATTERNS  1000

struct asked {
    struct request *request;
    const json_t *body;
    struct token_draft draft;
    const char *channels[MAX_PATTERNS + 1];
    const char *publish[MAX_PATTERNS + 1];
};

static bool wrong(struct asked *asked, const char *field, const char *detail)
{
    request_problem(asked->request, ERR_BAD_FIELD, field, "%s", detail);
    return false;
}

static bool read_user(struct asked *asked)
{
    const json_t *user = json_object_get(asked->body, "user");
    if (!user) {
        request_problem(asked->request, ERR_MISSING_FIELD, "user",
                        "Say whose token it is: \"user\":\"alice\".");
        return false;
    }
    if (!json_is_string(user) || !topic_is_name(json_string_value(user), json_string_length(user)))
        return wrong(asked, "user", "user is a user id.");
    asked->draft.user = json_string_value(user);
    struct topic topic = {.name = asked->draft.user, .length = (uint32_t)json_string_length(user)};
    int err = identity_may(request_who(asked->request), RIGHT_TOKEN, &topic);
    if (err)
        request_refuse(asked->request, (enum err)err, "a key whose prefix this user has");
    return !err;
}

static bool begins_with(const char *text, const char *prefix)
{
    return !prefix || strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool read_patterns(struct asked *asked, const char *field, const char **patterns)
{
    const char *prefix = identity_prefix(request_who(asked->request));
    const json_t *list = json_object_get(asked->body, field);
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > MAX_PATTERNS)
        return wrong(asked, field,
                     "Give a list of at most 1000 names; news* is all that begin so.");
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(list, i);
        if (!json_is_string(one) ||
            !claims_is_pattern(json_string_value(one), json_string_length(one)))
            return wrong(asked, field, "A name is as a channel's; news* is all that begin so.");
        patterns[i] = json_string_value(one);
        if (!begins_with(patterns[i], prefix)) {
            request_refuse(asked->request, ERR_FORBIDDEN, "a key whose prefix all names have");
            return false;
        }
    }
    patterns[count] = NULL;
    return true;
}

static bool read_channels(struct asked *asked)
{
    if (!json_object_get(asked->body, "channels"))
        return true;
    asked->draft.channels = asked->channels;
    return read_patterns(asked, "channels", asked->channels);
}

static bool read_publish(struct asked *asked)
{
    const json_t *publish = json_object_get(asked->body, "publish");
    asked->draft.publish_anywhere = json_is_true(publish);
    if (!publish || json_is_boolean(publish))
        return true;
    asked->draft.publish = asked->publish;
    return read_patterns(asked, "publish", asked->publish);
}

static bool read_ttl(struct asked *asked)
{
    const json_t *ttl = json_object_get(asked->body, "ttl");
    double seconds = ttl ? json_number_value(ttl) : DEFAULT_TTL_S;
    if (!(seconds >= 1 && seconds <= MAX_TTL_S) || seconds != (double)(int64_t)seconds)
        return wrong(asked, "ttl", "ttl is a whole number of seconds from 1 to 86400.");
    asked->draft.ttl_ms = (int64_t)seconds * 1000;
    return true;
}

static void answer(const struct asked *asked, const char *token)
{
    const struct token_draft *draft = &asked->draft;
    char expires[CLOCK_TEXT_SIZE];
    struct buf body;
    buf_init(&body);
    clock_format((draft->issued_ms + draft->ttl_ms) / 1000 * 1000, expires);
    buf_add_format(&body, "{\"token\":\"%s\",\"user\":", token);
    buf_add_json(&body, draft->user, strlen(draft->user));
    buf_add_format(&body, ",\"expires_at\":\"%s\"}\n", expires);
    response_add_field(request_response(asked->request), "Cache-Control", "no-store");
    request_answer(asked->request, 200, "application/json", &body);
}

static void mint(struct asked *asked)
{
    asked->draft.issued_ms = clock_wall_ms();
    asked->draft.prefix = identity_prefix(request_who(asked->request));
    char *token = access_sign(request_access(asked->request), asked->draft);
    if (!token)
        request_problem(asked->request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else if (strlen(token) > TOKEN_MAX)
        wrong(asked, "channels", "With so many names the token would be larger than 8 KiB.");
    else
        answer(asked, token);
    free(token);
}

static void tokens_serve(struct request *request)
{
    struct asked *asked = calloc(1, sizeof *asked);
    json_t *body = json_body_read(request);
    if (!body || !asked) {
        if (body)
            request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        json_decref(body);
        free(asked);
        return;
    }
    asked->request = request;
    asked->body = body;
    if (read_user(asked) && read_channels(asked) && read_publish(asked) && read_ttl(asked))
        mint(asked);
    json_decref(body);
    free(asked);
}

/* ---- the routes ---- */

static const struct route routes[] = {
    {"POST", "/tokens", tokens_serve, NULL, false, RIGHT_TOKEN},
};

const struct route_family tokens_routes = {routes, sizeof routes / sizeof *routes};
