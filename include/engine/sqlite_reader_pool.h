/* sqlite_reader_pool.h - the questions to the SQLite broker: from memory where it knows, else by
 * threads that read the file, on connections of their own.
 *
 * All but the threads is called by the workers, as broker.h says it. */
#ifndef ENGINE_SQLITE_READER_POOL_H
#define ENGINE_SQLITE_READER_POOL_H

#include "engine/broker.h"

struct sqlite_reader_pool;
struct sqlite_shared;

/* Starts the threads; shared outlives them. */
struct sqlite_reader_pool *sqlite_reader_pool_create(struct sqlite_shared *shared);
/* Once shared->stopping is said: waits until all that was asked is answered. */
void sqlite_reader_pool_destroy(struct sqlite_reader_pool *answers);

enum broker_end sqlite_reader_pool_read(struct sqlite_reader_pool *answers, struct read_call *read);
enum broker_end sqlite_reader_pool_inquire(struct sqlite_reader_pool *answers,
                                           struct inquiry *inquiry);
enum broker_end sqlite_reader_pool_device(struct sqlite_reader_pool *answers,
                                          struct device_call *call);
enum broker_end sqlite_reader_pool_lookup(struct sqlite_reader_pool *answers,
                                          struct lookup *lookup);

#endif
