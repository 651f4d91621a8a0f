#include "http/parking.h"

#include <microhttpd.h>
#include <sys/ioctl.h>

#include "http/deadlines.h"
#include "http/requests.h"

/* The phases in which a body is on its way. */
static const enum deadline_phase phases[] = {DEADLINE_BODY, DEADLINE_LINGER};

#define PHASES (sizeof phases / sizeof *phases)

static int unread(const struct deadline *deadline)
{
    int size = 0;
    return ioctl(deadline->fd, FIONREAD, &size) == 0 ? size : 0;
}

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
    int size = unread(deadline);
    bool still = deadline->looked_at && deadline->calls == request->calls;
    bool taken = size < deadline->unread || deadline->unread == 0;
    deadline->looked_at = true;
    deadline->calls = request->calls;
    deadline->unread = size;
    if (still && size == 0)
        park(parking, deadline);
    else if (still && !taken)
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
            if (!deadline->parked || unread(deadline) == 0)
                continue;
            deadline->looked_at = false;
            parking_release(parking, deadline);
        }
    }
    return parking->count < before;
}
