/* json_text.h - finds a value in JSON text and keeps it as it was written.
 *
 * A message's numbers and escapes should reach the receiver as the sender wrote them (19.99 must
 * not become 19.989999999999998), so the value is cut out instead of being parsed and printed. Of
 * text that turns out to be no JSON the answers mean nothing, but asking is safe. No state, any
 * thread. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* The value of a member of the outermost object, whether its name, which is ASCII, is written
 * plainly or with escapes. False: there is none. */
bool json_text_member(const char *json, size_t size, const char *name, const char **ret_value,
                      size_t *ret_size);

/* How long the value is that begins at the first byte. */
size_t json_text_value_size(const char *json, size_t size);

/* What follows the first item of a list that is proper JSON, up to its end: the text between the
 * comma and the closing bracket, without the white space around it; empty where there is but one.
 * False: it is no list, or an empty one. */
bool json_text_tail(const char *json, size_t size, const char **ret_tail, size_t *ret_size);

/* Is there no white space between its tokens? */
bool json_text_is_compact(const char *json, size_t size);

/* Appends the text without the white space between its tokens (RFC 8259 section 2). */
void json_text_compact(struct buf *buf, const char *json, size_t size);

/* Overwrites each number that no double can hold, in its place, with one that is huge but fits;
 * json[size] is NUL. Makes nothing proper that was not. */
void json_text_tame_numbers(char *json, size_t size);

#endif
