#include "http/deadlines.h"

#include <linux/tcp.h> /* libc's has too short a tcp_info */
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SILENT_MS 1000 /* a request may take so long to follow its connection */
#define MAX_LOOKS 64

void deadlines_init(struct deadlines *deadlines, const int64_t limit_ms[static DEADLINE_PHASES])
{
    for (int i = 0; i < DEADLINE_PHASES; i++)
        list_init(&deadlines->by_phase[i]);
    memcpy(deadlines->limit_ms, limit_ms, sizeof deadlines->limit_ms);
    deadlines->frozen_ms = 0;
    deadlines->count = 0;
}

void deadlines_move(struct deadlines *deadlines, struct deadline *deadline,
                    enum deadline_phase phase, int64_t now_ms)
{
    deadline->phase = phase;
    deadline->due_ms = now_ms - deadlines->frozen_ms + deadlines->limit_ms[phase];
    list_remove(&deadline->link);
    list_append(&deadlines->by_phase[phase], &deadline->link);
}

void deadlines_add(struct deadlines *deadlines, struct deadline *deadline, int fd, int64_t now_ms)
{
    list_init(&deadline->link);
    deadline->fd = fd;
    deadlines->count++;
    deadlines_move(deadlines, deadline, DEADLINE_FIRST_HEAD, now_ms);
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
    list_remove(&deadline->link);
    deadlines->count--;
}

void deadlines_forgive(struct deadlines *deadlines, int64_t frozen_ms)
{
    deadlines->frozen_ms += frozen_ms;
}

void deadlines_visit_recent(const struct deadlines *deadlines, enum deadline_phase phase,
                            int64_t since_ms, void (*visit)(const struct deadline *deadline))
{
    const struct list *head = &deadlines->by_phase[phase];
    int64_t first_due_ms = since_ms - deadlines->frozen_ms + deadlines->limit_ms[phase];
    for (const struct list *link = head->prev; link != head; link = link->prev) {
        const struct deadline *deadline = list_entry(link, struct deadline, link);
        if (deadline->due_ms < first_due_ms)
            return;
        visit(deadline);
    }
}

struct deadline *deadlines_take_late(struct deadlines *deadlines, int64_t now_ms)
{
    for (int phase = 0; phase < DEADLINE_PHASES; phase++) {
        struct deadline *first = list_first(&deadlines->by_phase[phase], struct deadline, link);
        if (!first || now_ms - deadlines->frozen_ms < first->due_ms)
            continue;
        list_remove(&first->link);
        return first;
    }
    return NULL;
}

/* Of those that came SILENT_MS ago or earlier; a few are looked at, the oldest first. */
static struct deadline *find_silent(const struct deadlines *deadlines, int64_t now_ms)
{
    int64_t last_due_ms =
        now_ms - SILENT_MS - deadlines->frozen_ms + deadlines->limit_ms[DEADLINE_FIRST_HEAD];
    size_t looked_at = 0;
    list_for_each(fresh, &deadlines->by_phase[DEADLINE_FIRST_HEAD], struct deadline, link) {
        if (fresh->due_ms > last_due_ms || looked_at++ == MAX_LOOKS)
            return NULL;
        if (!deadline_heard(fresh))
            return fresh;
    }
    return NULL;
}

struct deadline *deadlines_take_idle(struct deadlines *deadlines, int64_t now_ms)
{
    struct deadline *idle =
        list_first(&deadlines->by_phase[DEADLINE_NEXT_HEAD], struct deadline, link);
    if (!idle)
        idle = find_silent(deadlines, now_ms);
    if (idle)
        list_remove(&idle->link);
    return idle;
}

bool deadline_heard(const struct deadline *deadline)
{
    uint64_t bytes;
    return !deadline_received(deadline, &bytes) || bytes > 0;
}

int deadline_unread(const struct deadline *deadline)
{
    int bytes = 0;
    return ioctl(deadline->fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

bool deadline_received(const struct deadline *deadline, uint64_t *ret_bytes)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(deadline->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    *ret_bytes = info.tcpi_bytes_received;
    return true;
}
