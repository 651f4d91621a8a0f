#include "http/parking.h"

#include <linux/tcp.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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

/* How much of what came the library has taken from the kernel. In this order: what comes in between
 * counts as taken, so that nobody is thought to stand still who does not. False: the kernel does
 * not say (a Unix socket). */
static bool count_taken(const struct deadline *deadline, int *ret_unread, uint64_t *ret_taken)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    *ret_unread = unread(deadline);
    *ret_taken = 0;
    if (getsockopt(deadline->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    *ret_taken = info.tcpi_bytes_received - (uint64_t)*ret_unread;
    return true;
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
    int size;
    uint64_t taken;
    bool known = count_taken(deadline, &size, &taken);
    bool still =
        deadline->looked_at && deadline->calls == request->calls && deadline->taken == taken;
    deadline->looked_at = true;
    deadline->calls = request->calls;
    deadline->taken = taken;
    if (still && size == 0)
        park(parking, deadline);
    else if (still && known)
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
