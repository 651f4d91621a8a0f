#include "posts.h"

#include "bench.h"

#include <stdlib.h>

void posts_init(struct posts *p)
{
    *p = (struct posts){.room = 65536, .latency_room = 65536, .count = 1, .window_from = 1};
    p->all = must_alloc(p->room, sizeof(*p->all));
    p->latencies_ns = must_alloc(p->latency_room, sizeof(*p->latencies_ns));
}

void posts_finish(struct posts *p)
{
    free(p->all);
    free(p->latencies_ns);
}

void posts_start_window(struct posts *p)
{
    p->deliveries = 0;
    p->latency_count = 0;
    p->window_from = p->count;
}

uint32_t posts_add(struct posts *p, uint32_t user, uint32_t expected, int64_t due_ns)
{
    if (p->count == p->room) {
        p->room *= 2;
        p->all = must_grow(p->all, p->room, sizeof(*p->all));
    }
    p->all[p->count] = (struct post){.due_ns = due_ns, .user = user, .expected = expected};
    p->open++;
    return p->count++;
}

static bool is_over(struct posts *p, const struct post *post)
{
    if (!post->id || post->arrived < post->expected)
        return false;
    p->open--;
    return true;
}

static void add_latency(struct posts *p, const struct post *post)
{
    int64_t took_ns = now_ns() - post->due_ns;

    if (p->latency_count == p->latency_room) {
        p->latency_room *= 2;
        p->latencies_ns = must_grow(p->latencies_ns, p->latency_room, sizeof(*p->latencies_ns));
    }
    p->latencies_ns[p->latency_count++] = took_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)took_ns;
}

bool posts_answered(struct posts *p, uint32_t number, uint64_t id, uint64_t delivered)
{
    struct post *post = &p->all[number];

    if (!id)
        return false; /* stays open: settling counts it */
    if (delivered != post->expected)
        p->faults.miscounted++;
    post->id = id;
    if (!post->expected)
        add_latency(p, post);
    return is_over(p, post);
}

bool posts_arrived(struct posts *p, uint32_t number, uint32_t user, uint32_t *last)
{
    if (number == 0 || number >= p->count) {
        p->faults.corrupt++;
        return false;
    }
    struct post *post = &p->all[number];
    if (post->user != user) {
        p->faults.misdirected++;
        return false;
    }
    p->deliveries++;
    if (++post->arrived > post->expected) {
        p->faults.doubled++;
        return false;
    }
    if (post->arrived == 1)
        post->before = *last;
    else if (post->before != *last)
        p->faults.disordered++;
    *last = number;
    if (post->arrived == post->expected)
        add_latency(p, post);
    return is_over(p, post);
}

void posts_settle(struct posts *p)
{
    for (uint32_t i = 1; i < p->count; i++) {
        const struct post *post = &p->all[i];
        if (!post->id)
            p->faults.refused++;
        if (post->arrived < post->expected)
            p->faults.lost += post->expected - post->arrived;
        if (post->before && p->all[post->before].id >= post->id)
            p->faults.disordered++;
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

double posts_latency_us(struct posts *p, double share)
{
    if (p->latency_count == 0)
        return 0;
    qsort(p->latencies_ns, p->latency_count, sizeof(*p->latencies_ns), compare);
    return p->latencies_ns[(uint32_t)(share * (p->latency_count - 1))] / 1000.0;
}

uint64_t faults_total(const struct faults *f)
{
    return f->lost + f->doubled + f->disordered + f->misdirected + f->corrupt + f->miscounted +
           f->refused + f->closed;
}
