#include "http/parking.h"

#include <microhttpd.h>

#include "http/deadlines.h"
#include "http/requests.h"

/* The phases in which a body is on its way. */
static const enum deadline_phase phases[] = {DEADLINE_BODY, DEADLINE_LINGER};

#define PHASES (sizeof phases / sizeof *phases)

static void park(struct parking *parking, struct deadline *deadline)
{
    deadline->parked = true;
    parking->count++;
    MHD_suspend_connection(deadline->connection);
}

void parking_release(struct parking *parking, struct deadline *deadline)
{
    if (!deadline->parked)
        return;
    deadline->parked = false;
    parking->count--;
    MHD_resume_connection(deadline->connection);
}

/* Each is looked at twice: in between it was the library's turn. */
static void judge(struct parking *parking, struct deadline *deadline)
{
    const struct request *request = deadline->request;
    if (deadline->parked || request->suspended || !request->announced.chunked)
        return;
    /* More may come while we ask: what was taken is at least one of the two and at most the other.
     * Who was at the one and is at the other stands still; who comes further is never thought to.
     */
    uint64_t before, after;
    bool known = deadline_received(deadline, &before);
    int unread = deadline_unread(deadline);
    known = known && deadline_received(deadline, &after);
    if (!known)
        before = after = (uint64_t)unread;
    bool still = deadline->looked_at && deadline->calls == request->calls &&
                 deadline->taken == after - (uint64_t)unread;
    bool lay = deadline->lay; /* through the library's turn, else it has just come */
    deadline->lay = unread > 0;
    deadline->looked_at = true;
    deadline->calls = request->calls;
    deadline->taken = before - (uint64_t)unread;
    if (still && unread == 0)
        park(parking, deadline);
    else if (still && known && lay)
        parking->end(parking->context, deadline);
}

void parking_look(struct parking *parking, int64_t now_ms)
{
    if (now_ms - parking->looked_ms < PARKING_LOOK_MS)
        return;
    parking->looked_ms = now_ms;
    for (size_t i = 0; i < PHASES; i++) {
        list_for_each_safe(deadline, &parking->deadlines->by_phase[phases[i]], struct deadline,
                           link)
            judge(parking, deadline);
    }
}

bool parking_wake(struct parking *parking)
{
    size_t before = parking->count;
    for (size_t i = 0; i < PHASES && parking->count; i++) {
        list_for_each_safe(deadline, &parking->deadlines->by_phase[phases[i]], struct deadline,
                           link) {
            if (!deadline->parked || deadline_unread(deadline) == 0)
                continue;
            deadline->looked_at = false;
            parking_release(parking, deadline);
        }
    }
    return parking->count < before;
}
