/* sqlite_reader.h - pages of what is kept on disk, on a connection of its own.
 *
 * Never waits for the writer. No read transaction outlives a page. One thread at a time. */
#ifndef ENGINE_SQLITE_READER_H
#define ENGINE_SQLITE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/age.h"

struct device_call;
struct lookup;
struct read_call;
struct sqlite_file_error;
struct sqlite_reader;
struct topic;

struct sqlite_reader *sqlite_reader_open(const char *folder, struct sqlite_file_error *ret_error);
void sqlite_reader_close(struct sqlite_reader *reader); /* NULL is fine */

/* Appends to the page what the index has up to and with `upto`, in the page's order, and tells the
 * gaps; `more` when the page is full. Gives at least one message, or all there are: none.
 * Passes over what is past its time. Returns 0, ERR_OUT_OF_MEMORY or ERR_BROKER_DOWN. */
int sqlite_reader_read(struct sqlite_reader *reader, struct read_call *read, uint64_t upto,
                       struct expiry expiry);

/* Where a device stands: *ret_found, *ret_cursor. Errors as above. */
int sqlite_reader_device(struct sqlite_reader *reader, const struct device_call *call,
                         bool *ret_found, uint64_t *ret_cursor);

/* Fills in the message, if it is kept and not past its time; then who has it. Errors as above. */
int sqlite_reader_lookup(struct sqlite_reader *reader, struct lookup *lookup, struct expiry expiry);
int sqlite_reader_acks(struct sqlite_reader *reader, struct lookup *lookup);

/* When a user's last session left; 0: not known. */
int64_t sqlite_reader_last_seen(struct sqlite_reader *reader, const struct topic *topic);

#endif
