#include "session/protocols.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "model/message.h"
#include "session/sessions.h"

static_assert(FRAME_SLOTS <= MESSAGE_FORMATS, "a message has a slot for each form");

static const struct protocol *const protocols[PROTOCOL_COUNT] = {
#define PROTOCOLS_ROW(row, rows_protocol) [PROTOCOL_##row] = &rows_protocol,
    PROTOCOLS_TABLE(PROTOCOLS_ROW)
#undef PROTOCOLS_ROW
};

const struct protocol *protocol_at(enum protocol_row row)
{
    return protocols[row];
}

void *protocol_state(const struct sessions *sessions, enum protocol_row row)
{
    return sessions->states[row];
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
            protocols[i]->close_all(sessions, reason);
    }
}

void protocols_abort_all(struct sessions *sessions)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if (protocols[i]->abort_all)
            protocols[i]->abort_all(sessions);
    }
}
