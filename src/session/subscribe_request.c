#include "session/subscribe_request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/broker.h"
#include "engine/reactor.h"
#include "http/head.h"
#include "http/json_body.h"
#include "http/request.h"
#include "http/target.h"
#include "model/identity.h"

/* Of ?max=. */
#define MAX_LOWEST  1024
#define MAX_HIGHEST 1073741824

bool subscribe_request_parse_cursor(const char *text, uint64_t *ret_cursor)
{
    size_t length = strlen(text);
    return length < TEXT_ID_SIZE && text_parse_u64(text, length, ret_cursor);
}

/* Where a stream that comes back left off: the header of an EventSource; the parameter of those
 * that are written in JavaScript, which can send none to another origin unasked, and who leave the
 * URL as it was at first; else what the URL says. */
static const char *find_after(struct request *request)
{
    const char *last = head_find(request_head(request), "Last-Event-ID");
    if (!last || !*last)
        last = target_query(request_target(request), "lastEventId");
    return last && *last ? last : target_query(request_target(request), "after");
}

static bool read_after(struct request *request, struct catch_up_start *start)
{
    const char *after = find_after(request);
    start->has_after = after != NULL;
    if (!after || subscribe_request_parse_cursor(after, &start->after))
        return true;
    request_problem(request, ERR_BAD_PARAMETER, "after",
                    "after is an id, or 0 for all that is kept.");
    return false;
}

/* What is told in a message's place must fit in. */
static bool read_max(struct request *request, struct subscribe_request *subscribe_request)
{
    const char *text = target_query(request_target(request), "max");
    uint64_t max = 0;
    if (text &&
        (!text_parse_u64(text, strlen(text), &max) || max < MAX_LOWEST || max > MAX_HIGHEST)) {
        request_problem(request, ERR_BAD_PARAMETER, "max",
                        "max is a number of bytes from %d to %d.", MAX_LOWEST, MAX_HIGHEST);
        return false;
    }
    subscribe_request->max = (uint32_t)max;
    return true;
}

static size_t count_words(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* How many channels the URL names, at most, and how long they are, each with a NUL. */
static size_t count_channels(struct request *request, const char *list, size_t *ret_size)
{
    size_t count = count_words(list);
    *ret_size = strlen(list) + 1;
    for (const char *name = NULL;
         (name = target_query_next(request_target(request), "channel", name)); count++)
        *ret_size += strlen(name) + 1;
    return count;
}

static bool has_channel(const struct subscribe_request *subscribe_request,
                        const struct topic *channel)
{
    for (size_t i = 0; i < subscribe_request->start.channel_count; i++) {
        if (topic_equal(&subscribe_request->channels[i], channel))
            return true;
    }
    return false;
}

/* There is room for it. False: it is no name. */
static bool add_channel(struct subscribe_request *subscribe_request, const char *name,
                        size_t length)
{
    if (!topic_is_name(name, length))
        return false;
    struct topic channel = topic_make(TOPIC_CHANNEL, name, length);
    if (!has_channel(subscribe_request, &channel))
        subscribe_request->channels[subscribe_request->start.channel_count++] = channel;
    return true;
}

/* Names a comma parts, and after them each that has a parameter to itself, whatever is in it; they
 * are copied to `to`. False: one of them is no name. */
static bool add_channels(struct request *request, struct subscribe_request *subscribe_request,
                         const char *list, char *to)
{
    memcpy(to, list, strlen(list) + 1);
    for (; *to; to += *to == ',') {
        size_t length = strcspn(to, ",");
        if (!add_channel(subscribe_request, to, length))
            return false;
        to += length;
    }
    to++;
    for (const char *name = NULL;
         (name = target_query_next(request_target(request), "channel", name));) {
        size_t length = strlen(name);
        memcpy(to, name, length + 1);
        if (!add_channel(subscribe_request, to, length))
            return false;
        to += length + 1;
    }
    return true;
}

/* The user, the device and the channels, one after the other. */
static bool copy_names(struct request *request, struct subscribe_request *subscribe_request,
                       const char *list, const char *device)
{
    size_t length, size, device_length = strlen(device);
    const char *user = target_id(request_target(request), &length);
    size_t words = count_channels(request, list, &size);
    if (words > CATCH_UP_MAX_CHANNELS) {
        request_problem(request, ERR_TOO_MANY_CHANNELS, "channels",
                        "See max_channels_per_session.");
        return false;
    }
    subscribe_request->names = malloc(length + device_length + size);
    subscribe_request->channels = malloc(words * sizeof *subscribe_request->channels);
    if (!subscribe_request->names || !subscribe_request->channels) {
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return false;
    }
    memcpy(subscribe_request->names, user, length);
    memcpy(subscribe_request->names + length, device, device_length);
    subscribe_request->start.user = topic_make(TOPIC_USER, subscribe_request->names, length);
    subscribe_request->start.device = device_length ? subscribe_request->names + length : NULL;
    subscribe_request->start.device_length = device_length;
    subscribe_request->start.channels = subscribe_request->channels;
    if (add_channels(request, subscribe_request, list,
                     subscribe_request->names + length + device_length))
        return true;
    request_problem(request, ERR_BAD_PARAMETER, "channels",
                    "channels is a list of names, channels=news,sport; one with a comma is said by "
                    "channel=a%%2Cb.");
    return false;
}

/* ---- names that come as JSON ---- */

/* 0 and how long they are, or why not. */
static int measure(const struct subscribe_request *subscribe_request, const json_t *names,
                   size_t *ret_size)
{
    size_t i;
    const json_t *name;
    *ret_size = 1; /* never nothing */
    if (!json_is_array(names))
        return ERR_BAD_FIELD;
    if (subscribe_request->start.channel_count + json_array_size(names) > CATCH_UP_MAX_CHANNELS)
        return ERR_TOO_MANY_CHANNELS;
    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name) ||
            !topic_is_name(json_string_value(name), json_string_length(name)))
            return ERR_BAD_FIELD;
        *ret_size += json_string_length(name);
    }
    return 0;
}

int subscribe_request_add(struct subscribe_request *subscribe_request, const json_t *names)
{
    size_t i, size, count = subscribe_request->start.channel_count + json_array_size(names);
    const json_t *name;
    if (!names)
        return 0;
    int err = measure(subscribe_request, names, &size);
    if (err)
        return err;
    assert(!subscribe_request->more_names);
    struct topic *channels = realloc(subscribe_request->channels, (count + 1) * sizeof *channels);
    if (channels)
        subscribe_request->start.channels = subscribe_request->channels = channels;
    char *to = channels ? malloc(size) : NULL;
    if (!to)
        return ERR_OUT_OF_MEMORY;
    subscribe_request->more_names = to;
    json_array_foreach(names, i, name)
    {
        size_t length = json_string_length(name);
        memcpy(to, json_string_value(name), length);
        add_channel(subscribe_request, to, length);
        to += length;
    }
    return 0;
}

/* What a POST says beside its URL. */
static bool read_body(struct request *request, struct subscribe_request *subscribe_request)
{
    json_t *body = json_body_read(request);
    if (!body)
        return false;
    int err = subscribe_request_add(subscribe_request, json_object_get(body, "channels"));
    json_decref(body);
    if (err)
        request_problem(request, (enum err)err, "channels",
                        err == ERR_BAD_FIELD           ? SUBSCRIBE_REQUEST_CHANNELS
                        : err == ERR_TOO_MANY_CHANNELS ? "See max_channels_per_session."
                                                       : "Try again in a moment.");
    return !err;
}

bool subscribe_request_read(struct request *request, struct subscribe_request *ret_request)
{
    struct subscribe_request *subscribe_request = ret_request;
    const char *list = target_query(request_target(request), "channels");
    const char *device = target_query(request_target(request), "device");
    *subscribe_request = (struct subscribe_request){0};
    if (device && !topic_is_name(device, strlen(device))) {
        request_problem(request, ERR_BAD_PARAMETER, "device",
                        "device is a name: 1 to 128 bytes without control characters or /.");
        return false;
    }
    if (!read_after(request, &subscribe_request->start) || !read_max(request, subscribe_request))
        return false;
    if (copy_names(request, subscribe_request, list ? list : "", device ? device : "") &&
        (!request_is_post(request) || read_body(request, subscribe_request)))
        return true;
    subscribe_request_finish(subscribe_request);
    return false;
}

/* ---- where a device goes on ---- */

struct locating {
    struct device_call call; /* first: on_device finds the rest */
    struct request *request;
    struct catch_up_start *start;
    void (*go_on)(void *context, int err);
    void *context;
};

static void on_device(struct call *call)
{
    struct locating *locating = (struct locating *)call;
    int err = (int)locating->call.call.err;
    if (!locating->start->has_after)
        locating->start->after = locating->call.cursor;
    locating->start->has_after = true;
    if (locating->request && request_drop_late(locating->request))
        err = SUBSCRIBE_REQUEST_LATE;
    locating->go_on(locating->context, err);
    free(locating);
}

void subscribe_request_locate(struct reactor *reactor, struct request *request,
                              struct subscribe_request *subscribe_request,
                              void (*go_on)(void *context, int err), void *context)
{
    struct catch_up_start *start = &subscribe_request->start;
    struct locating *locating = start->device ? malloc(sizeof *locating) : NULL;
    if (!locating) {
        go_on(context, start->device ? ERR_OUT_OF_MEMORY : 0);
        return;
    }
    *locating = (struct locating){
        .call =
            {
                .call = {.done = on_device},
                .verb = DEVICE_OPEN,
                .user = start->user,
                .device = start->device,
                .length = start->device_length,
                .has_cursor = start->has_after,
                .cursor = start->after,
            },
        .request = request,
        .start = start,
        .go_on = go_on,
        .context = context,
    };
    if (broker_device(reactor->broker, reactor->member, &locating->call) == BROKER_ANSWERED)
        on_device(&locating->call.call);
    else if (request)
        request_wait(request);
}

/* ---- who may ---- */

int subscribe_request_check(const struct subscribe_request *subscribe_request,
                            const struct identity *who, const char **ret_why)
{
    const struct catch_up_start *start = &subscribe_request->start;
    int err = identity_may(who, RIGHT_RECEIVE, &start->user);
    *ret_why = identity_need(RIGHT_RECEIVE);
    for (size_t i = 0; !err && i < start->channel_count; i++) {
        err = identity_may_hear(who, &start->channels[i]);
        *ret_why = "a token that covers these channels";
    }
    return err;
}

int subscribe_request_admit(struct request *request,
                            const struct subscribe_request *subscribe_request, const char **ret_why)
{
    int err = request_identify(request, ret_why);
    return err ? err : subscribe_request_check(subscribe_request, request_who(request), ret_why);
}

void subscribe_request_finish(struct subscribe_request *subscribe_request)
{
    free(subscribe_request->channels);
    free(subscribe_request->names);
    free(subscribe_request->more_names);
    *subscribe_request = (struct subscribe_request){0};
}
