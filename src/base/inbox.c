#include "base/inbox.h"

void inbox_init(struct inbox *inbox, size_t max_bytes, int overflow_kind,
                void (*wake)(void *context), void *context)
{
    *inbox = (struct inbox){.max_bytes = max_bytes, .wake = wake, .context = context};
    pthread_mutex_init(&inbox->mutex, NULL);
    list_init(&inbox->records);
    inbox->overflows[0].kind = inbox->overflows[1].kind = overflow_kind;
}

void inbox_finish(struct inbox *inbox)
{
    pthread_mutex_destroy(&inbox->mutex);
}

/* Under the lock. */
static void append(struct inbox *inbox, struct inbox_record *record, bool own)
{
    if (list_empty(&inbox->records) && !own)
        atomic_store_explicit(&inbox->unnotified, true, memory_order_relaxed);
    list_append(&inbox->records, &record->link);
    inbox->bytes += record->bytes;
}

void inbox_push(struct inbox *inbox, struct inbox_record *record, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    append(inbox, record, own);
    pthread_mutex_unlock(&inbox->mutex);
}

/* Under the lock. One overflow a take is enough: whoever reads it asks the broker after this take,
 * and by then the broker has everything that was dropped before. */
static void append_overflow(struct inbox *inbox, bool own)
{
    if (inbox->doubted)
        return;
    inbox->doubted = true;
    append(inbox, &inbox->overflows[inbox->next_overflow], own);
}

bool inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    size_t room = inbox->bytes < inbox->max_bytes ? inbox->max_bytes - inbox->bytes : 0;
    bool fits = record->bytes <= room || (record->bytes > inbox->max_bytes && room);
    if (fits)
        append(inbox, record, own);
    else
        append_overflow(inbox, own);
    pthread_mutex_unlock(&inbox->mutex);
    return fits;
}

void inbox_overflow(struct inbox *inbox, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    append_overflow(inbox, own);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_wake(struct inbox *inbox)
{
    if (atomic_exchange_explicit(&inbox->unnotified, false, memory_order_relaxed))
        inbox->wake(inbox->context);
}

void inbox_take(struct inbox *inbox, struct list *ret_records)
{
    pthread_mutex_lock(&inbox->mutex);
    list_splice(ret_records, &inbox->records);
    inbox->bytes = 0;
    if (inbox->doubted)
        inbox->next_overflow = !inbox->next_overflow;
    inbox->doubted = false;
    atomic_store_explicit(&inbox->unnotified, false, memory_order_relaxed);
    pthread_mutex_unlock(&inbox->mutex);
}
