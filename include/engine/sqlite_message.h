/* sqlite_message.h - a message as a row of the table `message`, there and back. */
#ifndef ENGINE_SQLITE_MESSAGE_H
#define ENGINE_SQLITE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

struct message;
typedef struct sqlite3_stmt sqlite3_stmt;

/* The columns in the order that both functions use. */
#define SQLITE_MESSAGE_COLUMNS                                                                     \
    "id, kind, sent_at, expires_at, own_ttl, shared, exempt, addresses, sender, body"
#define SQLITE_MESSAGE_INSERT                                                                      \
    "INSERT INTO message(" SQLITE_MESSAGE_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?)"

/* Binds all columns of SQLITE_MESSAGE_INSERT; the texts are borrowed until it has run. False: out
 * of memory. */
bool sqlite_message_bind(sqlite3_stmt *statement, const struct message *message);

/* The message of the row that the statement stands on, whose first columns are
 * SQLITE_MESSAGE_COLUMNS, with one reference. NULL: out of memory, or *ret_damaged: the row is
 * none that this server writes. It holds nobody up: whoever reads passes over it, and it goes when
 * its time is over. The first one of a process is logged. */
struct message *sqlite_message_read(sqlite3_stmt *statement, bool *ret_damaged);

/* What the row says of itself, damaged or not. */
uint64_t sqlite_message_id(sqlite3_stmt *statement);
int64_t sqlite_message_expires_at_ms(sqlite3_stmt *statement);

#endif
