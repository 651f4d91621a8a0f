/* list.h - a doubly linked list whose links live inside the things it holds.
 *
 * A list head and an element's link are the same type. A link that is on no list points to
 * itself, so removing twice is fine. Nothing is owned. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

/* For a head: nothing on it. For a link: it is on no list. */
static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Moves all of from to the end of to; from is then empty. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* The first element, or NULL. */
#define list_first(head, type, member)                                                             \
    (list_empty(head) ? NULL : list_entry((head)->next, type, member))

/* The body must not remove or add elements. */
#define list_for_each(it, head, type, member)                                                      \
    for (type *it = list_entry((head)->next, type, member); &it->member != (head);                 \
         it = list_entry(it->member.next, type, member))

/* The body may remove `it`, nothing else. */
#define list_for_each_safe(it, head, type, member)                                                 \
    for (type *it = list_entry((head)->next, type, member),                                        \
              *it##_next = list_entry(it->member.next, type, member);                              \
         &it->member != (head);                                                                    \
         it = it##_next, it##_next = list_entry(it->member.next, type, member))

#endif
