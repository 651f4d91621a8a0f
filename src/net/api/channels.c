#include "net/api/channels.h"

#include "base/buf.h"
#include "engine/broker.h"
#include "engine/worker.h"
#include "net/api/history.h"
#include "net/exchange.h"

void channels_describe_serve(struct exchange *exchange)
{
    size_t length;
    const char *name = exchange_id(exchange, &length);
    struct address channel = address_make(ADDRESS_CHANNEL, name, length);
    struct buf body;
    buf_init(&body);
    buf_add_text(&body, "{\"channel\":");
    buf_add_json(&body, name, length);
    buf_add_format(&body, ",\"sessions\":%u}\n",
                   broker_count(exchange_worker(exchange)->broker, &channel));
    exchange_answer(exchange, 200, "application/json", &body);
}

void channels_messages_serve(struct exchange *exchange)
{
    history_serve(exchange, ADDRESS_CHANNEL);
}
