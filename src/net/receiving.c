#include "net/receiving.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/broker.h"
#include "engine/worker.h"
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

/* False: a problem was answered, and there is nothing to finish. */
static bool read_all(struct exchange *exchange, struct receiving *receiving)
{
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

/* A request whose device is looked up. */
struct opening {
    struct device_call call; /* first: on_device finds the rest */
    struct exchange *exchange;
    struct receiving receiving;
    void (*go_on)(struct exchange *exchange, struct receiving *receiving);
};

static void on_device(struct call *call)
{
    struct opening *opening = (struct opening *)call;
    struct catch_up_start *start = &opening->receiving.start;
    if (exchange_drop_late(opening->exchange)) {
        receiving_finish(&opening->receiving);
    } else if (opening->call.err) {
        exchange_problem(opening->exchange, opening->call.err, NULL, "Try again in a moment.");
        receiving_finish(&opening->receiving);
    } else {
        if (!start->has_after)
            start->after = opening->call.cursor;
        start->has_after = true;
        opening->go_on(opening->exchange, &opening->receiving);
    }
    free(opening);
}

static void ask_for_device(struct exchange *exchange, const struct receiving *receiving,
                           void (*go_on)(struct exchange *exchange, struct receiving *receiving))
{
    struct worker *worker = exchange_worker(exchange);
    const struct catch_up_start *start = &receiving->start;
    struct opening *opening = malloc(sizeof *opening);
    if (!opening) {
        struct receiving lost = *receiving;
        receiving_finish(&lost);
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
        return;
    }
    *opening = (struct opening){
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
        .receiving = *receiving,
        .go_on = go_on,
    };
    int err = broker_device(worker->broker, worker->member, &opening->call);
    if (err == BROKER_PENDING)
        exchange_wait(exchange);
    else
        on_device(&opening->call.call);
}

void receiving_start(struct exchange *exchange,
                     void (*go_on)(struct exchange *exchange, struct receiving *receiving))
{
    struct receiving receiving;
    if (!exchange_may_ask(exchange) || !read_all(exchange, &receiving))
        return;
    if (receiving.start.device)
        ask_for_device(exchange, &receiving, go_on);
    else
        go_on(exchange, &receiving);
}

void receiving_finish(struct receiving *receiving)
{
    free(receiving->channels);
    free(receiving->names);
    *receiving = (struct receiving){0};
}
