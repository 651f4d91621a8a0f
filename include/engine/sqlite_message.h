/* sqlite_message.h - a message as a row of the table `message`, there and back. */
#ifndef ENGINE_SQLITE_MESSAGE_H
#define ENGINE_SQLITE_MESSAGE_H

#include <stdbool.h>

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
 * SQLITE_MESSAGE_COLUMNS, with one reference. NULL: out of memory, or the row is damaged. */
struct message *sqlite_message_read(sqlite3_stmt *statement);

#endif
