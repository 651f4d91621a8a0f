/* inbox.h - the one bounded queue through which news reaches a thread.
 *
 * Any thread pushes; the owner takes everything at once and so sees each push in order. The bytes
 * of what may be dropped are bounded: when they are full, content is dropped and one overflow
 * record takes its place in the order ("you may have missed something"). What is larger than the
 * bound itself may stick out: nothing is too large to come. Answers to the owner's own questions
 * are never dropped; their number is bounded by the questions in flight. */
#ifndef BASE_INBOX_H
#define BASE_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

/* Embedded as the first part of whatever travels; `kind` is the reader's to interpret. */
struct inbox_record {
    struct list link;
    int kind;
    size_t bytes; /* counted against the bound while queued */
};

struct inbox {
    pthread_mutex_t mutex;
    struct list records;
    size_t bytes;
    size_t max_bytes;
    /* One for the reader's batch and one for what piles up meanwhile. */
    struct inbox_record overflows[2];
    int next_overflow;
    bool doubted;           /* since the last take */
    atomic_bool unnotified; /* the owner may sleep on what was pushed */
    void (*wake)(void *context);
    void *context;
};

/* wake is for inbox_wake. overflow_kind is the kind of the overflow record, which belongs to the
 * inbox and is never freed. */
void inbox_init(struct inbox *inbox, size_t max_bytes, int overflow_kind,
                void (*wake)(void *context), void *context);
/* The caller has taken and freed all records. */
void inbox_finish(struct inbox *inbox);

/* Queues a record, which changes hands. Whoever pushes calls inbox_wake soon after, but for the
 * owner (own = true), who takes at the end of its turn anyway. */
void inbox_push(struct inbox *inbox, struct inbox_record *record, bool own);

/* The same for content that may be dropped. False: the inbox is full; the record stays the
 * caller's and an overflow stands in its place. */
bool inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own);

/* Leaves an overflow at this place of the order without offering anything (the record itself could
 * not be made, for want of memory). */
void inbox_overflow(struct inbox *inbox, bool own);

/* Calls wake, on this thread, if something was pushed by another than the owner that it neither
 * took nor was woken for. Best outside of locks that the owner would run into, and once for many.
 */
void inbox_wake(struct inbox *inbox);

/* Moves everything queued to the end of ret_records; owner only, who is done with the records of
 * the take before. */
void inbox_take(struct inbox *inbox, struct list *ret_records);

#endif
