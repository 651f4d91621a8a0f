/* mail_index.h - fills the table `mail`, which says what lies at which topic, behind the log.
 *
 * An index kept up at insert time would cost several times the message itself. So what was
 * committed is noted in memory and filed later, in bulks sorted by topic and in slices between
 * commits; until then those messages are read from memory. Holds the limits of each topic, too,
 * to within an eighth: where the distance of its first and its last number is beyond them, it is
 * counted what is there and alive, and of that the oldest leave the index at once, and the log as
 * tombstones. What is past its time does not count, and leaves as well. The writer's thread only.
 */
#ifndef ENGINE_MAIL_INDEX_H
#define ENGINE_MAIL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mail_index;
struct message;
struct tombstones;
typedef struct sqlite3 sqlite3;

struct mail_index_limits {
    uint64_t keep_messages; /* a topic */
    uint64_t keep_bytes;    /* a topic */
};

/* What the limits took from a topic: all up to an id. */
struct mail_cut {
    uint64_t hash;
    uint64_t upto;
};

/* db and tombstones are borrowed. NULL: a statement could not be prepared. */
struct mail_index *mail_index_create(sqlite3 *db, const struct mail_index_limits *limits,
                                     struct tombstones *tombstones);
void mail_index_destroy(struct mail_index *index); /* NULL is fine */

/* Notes a message whose commit is through, or is under way in this transaction. Ids rise. False:
 * out of memory. */
bool mail_index_note(struct mail_index *index, const struct message *message);

/* The message noted last does not lie at its i-th topic: it was erased there. */
void mail_index_unnote(struct mail_index *index, const struct message *message, uint32_t i);

/* Walks what is noted for a topic and not filed yet: start with *cursor = 0, ends with false. */
bool mail_index_each(const struct mail_index *index, uint64_t hash, size_t *cursor,
                     uint64_t *ret_id);
/* Drops it: the topic was erased. */
void mail_index_forget(struct mail_index *index, uint64_t hash);
/* A message above what the last complete bulk had has left the log. */
void mail_index_lose(struct mail_index *index, uint64_t id);

/* Entries noted and not yet in a bulk, and what their messages cost in memory. */
size_t mail_index_noted(const struct mail_index *index);
uint64_t mail_index_noted_bytes(const struct mail_index *index);

/* Messages above what the last complete bulk had. */
uint64_t mail_index_unfiled(const struct mail_index *index);

/* Is a bulk under way? */
bool mail_index_busy(const struct mail_index *index);
/* Makes a bulk of all that is noted, if none is under way. False: out of memory, try again. */
bool mail_index_begin(struct mail_index *index);

/* Files part of the bulk, in the writer's transaction, until the time on the monotonic clock, and
 * no less than so many steps: one to file an entry, one to count some rows. now_ms: what has
 * expired by then is over; 0: nothing is. *ret_upto: set once the bulk is complete; every message
 * up to it is in the index when the transaction is through. No removal of tombstones is under way.
 * Returns SQLite's code, SQLITE_OK when all is well. */
int mail_index_slice(struct mail_index *index, int64_t until_us, size_t least, int64_t now_ms,
                     uint64_t *ret_upto);

/* What has been cut since it was asked last, to be cut from memory as well; valid until the next
 * slice. Without memory some of it is missing. */
const struct mail_cut *mail_index_take_cuts(struct mail_index *index, size_t *ret_count);

#endif
