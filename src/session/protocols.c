#include "session/protocols.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/message.h"
#include "model/session.h"
#include "session/sessions.h"

static_assert(FRAME_SLOTS <= MESSAGE_FORMATS, "a message has a slot for each form");
static_assert(PROTOCOL_COUNT <= METRICS_PROTOCOLS, "each is counted");

static const struct protocol *const protocols[PROTOCOL_COUNT] = {
#define PROTOCOLS_ROW(row, rows_protocol, forms) [PROTOCOL_##row] = &rows_protocol,
    PROTOCOLS_TABLE(PROTOCOLS_ROW)
#undef PROTOCOLS_ROW
};

size_t protocols_count(void)
{
    return PROTOCOL_COUNT;
}

const struct protocol *protocol_at(size_t row)
{
    assert(row < PROTOCOL_COUNT);
    return protocols[row];
}

void *protocol_state(const struct sessions *sessions, enum protocol_row row)
{
    return sessions->states[row];
}

void protocols_list_transports(const char *ret_transports[static METRICS_PROTOCOLS + 1])
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        ret_transports[i] = protocols[i]->session_ops->transport;
    ret_transports[PROTOCOL_COUNT] = NULL;
}

void protocols_create(struct sessions *sessions)
{
    sessions->states = mem_alloc(PROTOCOL_COUNT * sizeof *sessions->states);
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if (protocols[i]->create)
            sessions->states[i] = protocols[i]->create(sessions);
    }
}

void protocols_destroy(struct sessions *sessions)
{
    for (size_t i = 0; sessions->states && i < PROTOCOL_COUNT; i++) {
        if (protocols[i]->destroy)
            protocols[i]->destroy(sessions->states[i]);
    }
    free(sessions->states);
}

void protocols_close_all(struct sessions *sessions, enum err reason)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if (protocols[i]->close_all)
            protocols[i]->close_all(sessions->states[i], reason);
    }
}

void protocols_abort_all(struct sessions *sessions)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if (protocols[i]->abort_all)
            protocols[i]->abort_all(sessions->states[i]);
    }
}
