#include "net/receiving.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "model/identity.h"
#include "net/api/json_body.h"
#include "net/exchange.h"

/* Of ?max=. */
#define MAX_LOWEST  1024
#define MAX_HIGHEST 1073741824

bool receiving_parse_cursor(const char *text, uint64_t *ret_cursor)
{
    size_t length = strlen(text);
    return length < TEXT_ID_SIZE && text_parse_u64(text, length, ret_cursor);
}

/* Where a stream that comes back left off: the header of an EventSource; the parameter of those
 * that are written in JavaScript, which can send none to another origin unasked, and who leave the
 * address as it was at first; else what the address says. */
static const char *find_after(struct exchange *exchange)
{
    const char *last = exchange_header(exchange, "Last-Event-ID");
    if (!last || !*last)
        last = exchange_query(exchange, "lastEventId");
    return last && *last ? last : exchange_query(exchange, "after");
}

static bool read_after(struct exchange *exchange, struct catch_up_start *start)
{
    const char *after = find_after(exchange);
    start->has_after = after != NULL;
    if (!after || receiving_parse_cursor(after, &start->after))
        return true;
    exchange_problem(exchange, ERR_BAD_PARAMETER, "after",
                     "after is an id, or 0 for all that is kept.");
    return false;
}

/* What is told in a message's place must fit in. */
static bool read_max(struct exchange *exchange, struct receiving *receiving)
{
    const char *text = exchange_query(exchange, "max");
    uint64_t max = 0;
    if (text &&
        (!text_parse_u64(text, strlen(text), &max) || max < MAX_LOWEST || max > MAX_HIGHEST)) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "max",
                         "max is a number of bytes from %d to %d.", MAX_LOWEST, MAX_HIGHEST);
        return false;
    }
    receiving->max = (uint32_t)max;
    return true;
}

static size_t count_words(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* How many channels the address names, at most, and how long they are, each with a NUL. */
static size_t count_channels(struct exchange *exchange, const char *list, size_t *ret_size)
{
    size_t count = count_words(list);
    *ret_size = strlen(list) + 1;
    for (const char *name = NULL; (name = exchange_query_next(exchange, "channel", name)); count++)
        *ret_size += strlen(name) + 1;
    return count;
}

static bool has_channel(const struct receiving *receiving, const struct address *channel)
{
    for (size_t i = 0; i < receiving->start.channel_count; i++) {
        if (address_equal(&receiving->channels[i], channel))
            return true;
    }
    return false;
}

/* There is room for it. False: it is no name. */
static bool add_channel(struct receiving *receiving, const char *name, size_t length)
{
    if (!address_is_name(name, length))
        return false;
    struct address channel = address_make(ADDRESS_CHANNEL, name, length);
    if (!has_channel(receiving, &channel))
        receiving->channels[receiving->start.channel_count++] = channel;
    return true;
}

/* Names a comma parts, and after them each that has a parameter to itself, whatever is in it; they
 * are copied to `to`. False: one of them is no name. */
static bool add_channels(struct exchange *exchange, struct receiving *receiving, const char *list,
                         char *to)
{
    memcpy(to, list, strlen(list) + 1);
    for (; *to; to += *to == ',') {
        size_t length = strcspn(to, ",");
        if (!add_channel(receiving, to, length))
            return false;
        to += length;
    }
    to++;
    for (const char *name = NULL; (name = exchange_query_next(exchange, "channel", name));) {
        size_t length = strlen(name);
        memcpy(to, name, length + 1);
        if (!add_channel(receiving, to, length))
            return false;
        to += length + 1;
    }
    return true;
}

/* The user, the device and the channels, one after the other. */
static bool copy_names(struct exchange *exchange, struct receiving *receiving, const char *list,
                       const char *device)
{
    size_t length, size, device_length = strlen(device);
    const char *user = exchange_id(exchange, &length);
    size_t words = count_channels(exchange, list, &size);
    if (words > CATCH_UP_MAX_CHANNELS) {
        exchange_problem(exchange, ERR_TOO_MANY_CHANNELS, "channels",
                         "See max_channels_per_session.");
        return false;
    }
    receiving->names = malloc(length + device_length + size);
    receiving->channels = malloc(words * sizeof *receiving->channels);
    if (!receiving->names || !receiving->channels) {
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return false;
    }
    memcpy(receiving->names, user, length);
    memcpy(receiving->names + length, device, device_length);
    receiving->start.user = address_make(ADDRESS_USER, receiving->names, length);
    receiving->start.device = device_length ? receiving->names + length : NULL;
    receiving->start.device_length = device_length;
    receiving->start.channels = receiving->channels;
    if (add_channels(exchange, receiving, list, receiving->names + length + device_length))
        return true;
    exchange_problem(
        exchange, ERR_BAD_PARAMETER, "channels",
        "channels is a list of names, channels=news,sport; one with a comma is said by "
        "channel=a%%2Cb.");
    return false;
}

/* ---- names that come as JSON ---- */

/* 0 and how long they are, or why not. */
static int measure(const struct receiving *receiving, const json_t *names, size_t *ret_size)
{
    size_t i;
    const json_t *name;
    *ret_size = 1; /* never nothing */
    if (!json_is_array(names))
        return ERR_BAD_FIELD;
    if (receiving->start.channel_count + json_array_size(names) > CATCH_UP_MAX_CHANNELS)
        return ERR_TOO_MANY_CHANNELS;
    json_array_foreach(names, i, name)
    {
        if (!json_is_string(name) ||
            !address_is_name(json_string_value(name), json_string_length(name)))
            return ERR_BAD_FIELD;
        *ret_size += json_string_length(name);
    }
    return 0;
}

int receiving_add(struct receiving *receiving, const json_t *names)
{
    size_t i, size, count = receiving->start.channel_count + json_array_size(names);
    const json_t *name;
    if (!names)
        return 0;
    int err = measure(receiving, names, &size);
    if (err)
        return err;
    assert(!receiving->more_names);
    struct address *channels = realloc(receiving->channels, (count + 1) * sizeof *channels);
    if (channels)
        receiving->start.channels = receiving->channels = channels;
    char *to = channels ? malloc(size) : NULL;
    if (!to)
        return ERR_OUT_OF_MEMORY;
    receiving->more_names = to;
    json_array_foreach(names, i, name)
    {
        size_t length = json_string_length(name);
        memcpy(to, json_string_value(name), length);
        add_channel(receiving, to, length);
        to += length;
    }
    return 0;
}

/* What a POST says beside its address. */
static bool read_body(struct exchange *exchange, struct receiving *receiving)
{
    json_t *body = json_body_read(exchange);
    if (!body)
        return false;
    int err = receiving_add(receiving, json_object_get(body, "channels"));
    json_decref(body);
    if (err)
        exchange_problem(exchange, (enum err)err, "channels",
                         err == ERR_BAD_FIELD           ? RECEIVING_CHANNELS
                         : err == ERR_TOO_MANY_CHANNELS ? "See max_channels_per_session."
                                                        : "Try again in a moment.");
    return !err;
}

bool receiving_read(struct exchange *exchange, struct receiving *ret_receiving)
{
    struct receiving *receiving = ret_receiving;
    const char *list = exchange_query(exchange, "channels");
    const char *device = exchange_query(exchange, "device");
    *receiving = (struct receiving){0};
    if (device && !address_is_name(device, strlen(device))) {
        exchange_problem(exchange, ERR_BAD_PARAMETER, "device",
                         "device is a name: 1 to 128 bytes without control characters or /.");
        return false;
    }
    if (!read_after(exchange, &receiving->start) || !read_max(exchange, receiving))
        return false;
    if (copy_names(exchange, receiving, list ? list : "", device ? device : "") &&
        (!exchange_is_post(exchange) || read_body(exchange, receiving)))
        return true;
    receiving_finish(receiving);
    return false;
}

/* ---- where a device goes on ---- */

struct locating {
    struct device_call call; /* first: on_device finds the rest */
    struct exchange *exchange;
    struct catch_up_start *start;
    void (*go_on)(void *context, int err);
    void *context;
};

static void on_device(struct call *call)
{
    struct locating *locating = (struct locating *)call;
    int err = (int)locating->call.err;
    if (!locating->start->has_after)
        locating->start->after = locating->call.cursor;
    locating->start->has_after = true;
    if (locating->exchange && exchange_drop_late(locating->exchange))
        err = RECEIVING_LATE;
    locating->go_on(locating->context, err);
    free(locating);
}

void receiving_locate(struct worker *worker, struct exchange *exchange, struct receiving *receiving,
                      void (*go_on)(void *context, int err), void *context)
{
    struct catch_up_start *start = &receiving->start;
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
        .exchange = exchange,
        .start = start,
        .go_on = go_on,
        .context = context,
    };
    int err = broker_device(worker->broker, worker->member, &locating->call);
    if (err != BROKER_PENDING)
        on_device(&locating->call.call);
    else if (exchange)
        exchange_wait(exchange);
}

/* ---- who may ---- */

int receiving_check(const struct receiving *receiving, const struct identity *who,
                    const char **ret_why)
{
    const struct catch_up_start *start = &receiving->start;
    int err = identity_may(who, RIGHT_RECEIVE, &start->user);
    *ret_why = identity_need(RIGHT_RECEIVE);
    for (size_t i = 0; !err && i < start->channel_count; i++) {
        err = identity_may_hear(who, &start->channels[i]);
        *ret_why = "a token that covers these channels";
    }
    return err;
}

int receiving_admit(struct exchange *exchange, const struct receiving *receiving,
                    const char **ret_why)
{
    int err = exchange_identify(exchange, ret_why);
    return err ? err : receiving_check(receiving, exchange_who(exchange), ret_why);
}

void receiving_finish(struct receiving *receiving)
{
    free(receiving->channels);
    free(receiving->names);
    free(receiving->more_names);
    *receiving = (struct receiving){0};
}
