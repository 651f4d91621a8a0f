/* sqlite_reader_pool.h - the questions to a file: from memory where it knows, else by threads that
 * read the file, on connections of their own.
 *
 * These but the first are operations of the store; see store.h. */
#ifndef ENGINE_SQLITE_READER_POOL_H
#define ENGINE_SQLITE_READER_POOL_H

#include "engine/store.h"

struct sqlite_reader_pool;
struct sqlite_store;

/* Starts the threads; the store outlives them. */
struct sqlite_reader_pool *sqlite_reader_pool_create(struct sqlite_store *sqlite);

void sqlite_reader_pool_stop(struct store *store);
void sqlite_reader_pool_asked(struct store *store);

enum broker_end sqlite_reader_pool_read(struct store *store, struct read_call *read);
enum broker_end sqlite_reader_pool_find(struct store *store, struct lookup *lookup);
enum broker_end sqlite_reader_pool_device(struct store *store, struct device_call *call);
enum broker_end sqlite_reader_pool_last_seen(struct store *store, struct inquiry *inquiry);

#endif
