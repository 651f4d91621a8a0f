#include "base/inbox.h"

void inbox_init(struct inbox *inbox, size_t max_bytes, int doubt_kind, void (*wake)(void *context),
                void *context)
{
    *inbox = (struct inbox){.max_bytes = max_bytes, .wake = wake, .context = context};
    pthread_mutex_init(&inbox->mutex, NULL);
    list_init(&inbox->records);
    inbox->doubts[0].kind = inbox->doubts[1].kind = doubt_kind;
}

void inbox_finish(struct inbox *inbox)
{
    pthread_mutex_destroy(&inbox->mutex);
}

/* Under the lock. Returns whether the owner sleeps and must be woken. */
static bool append(struct inbox *inbox, struct inbox_record *record, bool own)
{
    bool first = list_empty(&inbox->records);
    list_append(&inbox->records, &record->link);
    inbox->bytes += record->bytes;
    return first && !own;
}

void inbox_push(struct inbox *inbox, struct inbox_record *record, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    bool wake = append(inbox, record, own);
    pthread_mutex_unlock(&inbox->mutex);
    if (wake)
        inbox->wake(inbox->context);
}

/* Under the lock. One doubt a take is enough: whoever reads it asks the broker after this take,
 * and by then the broker has everything that was dropped before. */
static bool append_doubt(struct inbox *inbox, bool own)
{
    if (inbox->doubted)
        return false;
    inbox->doubted = true;
    return append(inbox, &inbox->doubts[inbox->next_doubt], own);
}

bool inbox_offer(struct inbox *inbox, struct inbox_record *record, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    bool fits = inbox->bytes + record->bytes <= inbox->max_bytes;
    bool wake = fits ? append(inbox, record, own) : append_doubt(inbox, own);
    pthread_mutex_unlock(&inbox->mutex);
    if (wake)
        inbox->wake(inbox->context);
    return fits;
}

void inbox_doubt(struct inbox *inbox, bool own)
{
    pthread_mutex_lock(&inbox->mutex);
    bool wake = append_doubt(inbox, own);
    pthread_mutex_unlock(&inbox->mutex);
    if (wake)
        inbox->wake(inbox->context);
}

void inbox_take(struct inbox *inbox, struct list *ret_records)
{
    pthread_mutex_lock(&inbox->mutex);
    list_splice(ret_records, &inbox->records);
    inbox->bytes = 0;
    if (inbox->doubted)
        inbox->next_doubt = !inbox->next_doubt;
    inbox->doubted = false;
    pthread_mutex_unlock(&inbox->mutex);
}
