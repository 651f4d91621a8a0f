/* text.h - small questions about text that comes from outside.
 *
 * No state, any thread. Lengths are bytes; text need not end in NUL. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Proper UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool text_is_utf8(const char *text, size_t length);

/* How many bytes from the start are ASCII and no C0 control; looks at eight at a time. */
size_t text_plain_length(const char *text, size_t length);

/* Decodes %XX once, in place or into a buffer of at least `length` bytes. Returns the new length
 * or -1 for a broken escape or one that yields a NUL. */
ptrdiff_t text_percent_decode(char *ret_text, const char *text, size_t length);

/* A token of RFC 9110 section 5.6.2, at least one character. */
bool text_is_token(const char *text, size_t length);

/* One or more of them, with commas and spaces between and around them. */
bool text_is_token_list(const char *text);

/* Is `token` one of the comma-separated words of a header's value, ASCII case set aside?
 * (RFC 9110 section 5.6.1) */
bool text_list_has(const char *list, const char *token);

/* ASCII case set aside; `word` ends in NUL. */
bool text_equal_nocase(const char *text, size_t length, const char *word);

/* Decimal digits only, no sign, no overflow; false otherwise. */
bool text_parse_u64(const char *text, size_t length, uint64_t *ret_number);

/* How many single-character edits lead from one word to the other; for "did you mean". */
size_t text_distance(const char *a, const char *b);

/* 20 bytes: an id as 19 digits and a NUL. Ids are below 10^19, so text order is number order. */
#define TEXT_ID_SIZE 20
void text_format_id(uint64_t id, char ret_text[static TEXT_ID_SIZE]);

/* 17 bytes: 16 hex digits and a NUL. */
#define TEXT_HEX_SIZE 17
void text_format_hex(uint64_t number, char ret_text[static TEXT_HEX_SIZE]);
/* Exactly 16 hex digits; false otherwise. */
bool text_parse_hex(const char *text, size_t length, uint64_t *ret_number);

#endif
