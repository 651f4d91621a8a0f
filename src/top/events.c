#include "top/events.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)64 * 1024 * 1024)

void events_init(struct events *events, bool (*on_event)(void *context, const struct event *event),
                 void *context)
{
    *events = (struct events){.on_event = on_event, .context = context};
    buf_init(&events->line);
    buf_init(&events->data);
}

void events_finish(struct events *events)
{
    buf_finish(&events->line);
    buf_finish(&events->data);
}

void events_restart(struct events *events)
{
    events->line.size = 0;
    events->data.size = 0;
    *events->type = '\0';
}

/* An empty line ends an event; one without data is none. */
static bool end_event(struct events *events)
{
    bool go_on = true;
    if (events->data.size) {
        buf_add(&events->data, "", 1);
        if (!buf_ok(&events->data))
            return false;
        const struct event event = {*events->type ? events->type : "message", events->data.data,
                                    events->id};
        go_on = events->on_event(events->context, &event);
    }
    events->data.size = 0;
    *events->type = '\0';
    return go_on;
}

static bool read_line(struct events *events, const char *line, size_t length)
{
    if (length && line[length - 1] == '\r')
        length--;
    if (!length)
        return end_event(events);
    const char *colon = memchr(line, ':', length);
    size_t name = colon ? (size_t)(colon - line) : length;
    const char *value = colon ? colon + 1 : line + length;
    value += value < line + length && *value == ' ';
    int size = (int)(line + length - value);
    if (name == 4 && memcmp(line, "data", 4) == 0)
        buf_add(&events->data, value, (size_t)size);
    else if (name == 5 && memcmp(line, "event", 5) == 0)
        snprintf(events->type, sizeof events->type, "%.*s", size, value);
    else if (name == 2 && memcmp(line, "id", 2) == 0)
        snprintf(events->id, sizeof events->id, "%.*s", size, value);
    return true;
}

bool events_feed(struct events *events, const char *bytes, size_t size)
{
    buf_add(&events->line, bytes, size);
    if (!size || !buf_ok(&events->line))
        return !size;
    size_t taken = 0;
    for (const char *end;
         (end = memchr(events->line.data + taken, '\n', events->line.size - taken)) != NULL;) {
        const char *line = events->line.data + taken;
        if (!read_line(events, line, (size_t)(end - line)))
            return false;
        taken += (size_t)(end + 1 - line);
    }
    buf_consume(&events->line, taken);
    return events->line.size < LINE_MAX_BYTES;
}
