/* sqlite_answers.h - the questions to the SQLite broker: from memory where it knows, else by
 * threads that read the file, on connections of their own.
 *
 * All but the threads is called by the workers, as broker.h says it. */
#ifndef ENGINE_SQLITE_ANSWERS_H
#define ENGINE_SQLITE_ANSWERS_H

struct device_call;
struct inquiry;
struct lookup;
struct read;
struct sqlite_answers;
struct sqlite_shared;

/* Starts the threads; shared outlives them. */
struct sqlite_answers *sqlite_answers_create(struct sqlite_shared *shared);
/* Once shared->stopping is said: waits until all that was asked is answered. */
void sqlite_answers_destroy(struct sqlite_answers *answers);

int sqlite_answers_read(struct sqlite_answers *answers, struct read *read);
int sqlite_answers_inquire(struct sqlite_answers *answers, struct inquiry *inquiry);
int sqlite_answers_device(struct sqlite_answers *answers, struct device_call *call);
int sqlite_answers_lookup(struct sqlite_answers *answers, struct lookup *lookup);

#endif
