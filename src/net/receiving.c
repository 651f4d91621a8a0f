#include "net/receiving.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "model/identity.h"
#include "net/exchange.h"

bool receiving_parse_cursor(const char *text, uint64_t *ret_cursor)
{
    size_t length = strlen(text);
    return length < TEXT_ID_SIZE && text_parse_u64(text, length, ret_cursor);
}

static bool read_after(struct exchange *exchange, struct catch_up_start *start)
{
    const char *last = exchange_header(exchange, "Last-Event-ID");
    const char *after = last && *last ? last : exchange_query(exchange, "after");
    start->has_after = after != NULL;
    if (!after || receiving_parse_cursor(after, &start->after))
        return true;
    exchange_problem(exchange, ERR_BAD_PARAMETER, "after",
                     "after is an id, or 0 for all that is kept.");
    return false;
}

static size_t count_words(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
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

/* Names a comma parts; a comma within a name cannot be said here, but by a subscribe frame. False:
 * one of them is no name. */
static bool add_channels(struct receiving *receiving, const char *list)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        if (!address_is_name(list, length))
            return false;
        struct address channel = address_make(ADDRESS_CHANNEL, list, length);
        if (!has_channel(receiving, &channel))
            receiving->channels[receiving->start.channel_count++] = channel;
        list += length + (list[length] == ',');
    }
    return true;
}

/* The user, the device and the channels, one after the other. */
static bool copy_names(struct exchange *exchange, struct receiving *receiving, const char *list,
                       const char *device)
{
    size_t length, device_length = strlen(device);
    const char *user = exchange_id(exchange, &length);
    size_t list_size = strlen(list) + 1, words = count_words(list);
    if (words > CATCH_UP_MAX_CHANNELS) {
        exchange_problem(exchange, ERR_TOO_MANY_CHANNELS, "channels",
                         "See max_channels_per_session.");
        return false;
    }
    receiving->names = malloc(length + device_length + list_size);
    receiving->channels = malloc(words * sizeof *receiving->channels);
    if (!receiving->names || !receiving->channels) {
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return false;
    }
    memcpy(receiving->names, user, length);
    memcpy(receiving->names + length, device, device_length);
    memcpy(receiving->names + length + device_length, list, list_size);
    receiving->start.user = address_make(ADDRESS_USER, receiving->names, length);
    receiving->start.device = device_length ? receiving->names + length : NULL;
    receiving->start.device_length = device_length;
    receiving->start.channels = receiving->channels;
    if (add_channels(receiving, receiving->names + length + device_length))
        return true;
    exchange_problem(exchange, ERR_BAD_PARAMETER, "channels",
                     "channels is a list of names: channels=news,sport.");
    return false;
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
    if (!read_after(exchange, &receiving->start))
        return false;
    if (copy_names(exchange, receiving, list ? list : "", device ? device : ""))
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
    *receiving = (struct receiving){0};
}
