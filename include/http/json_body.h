/* json_body.h - the JSON object that a request brings.
 *
 * Shared by every route that takes one, and by the frames of clients. A member that is null, and a
 * null in a list, is as if it were not there: it is not in the object. Only `message` may be null,
 * and what stands in `args`. Worker's thread only. */
#ifndef HTTP_JSON_BODY_H
#define HTTP_JSON_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct request;

/* The body as an object, to be decref'd; numbers are all reals, so that none is too long. NULL: a
 * problem was answered: 415 for another content type (a client that is no browser may send none,
 * or curl's default, with an object), 400 for what is not a JSON object, 503 without memory. */
json_t *json_body_read(struct request *request);

/* The same, but a string that is the value of `member` and holds no escapes is only checked, not
 * parsed, and stands as "" in the object: most of a request is the message, and nobody asks what it
 * says. json_text_member finds it in the body. */
json_t *json_body_read_around(struct request *request, const char *member);

/* Is a body announced that is one object a line (NDJSON)? Else a problem was answered. A client
 * that is no browser may leave the content type out here, too. */
bool json_body_is_lines(struct request *request);

/* Its way with the bytes alone. NULL: they are no object, or have to be parsed as they are. */
json_t *json_body_parse_around(const char *body, size_t size, const char *member);

/* Parses bytes as json_body_read does, whatever JSON they are. 0, ERR_BAD_JSON with the error told,
 * or ERR_OUT_OF_MEMORY. */
int json_body_parse(const char *body, size_t size, json_t **ret_root, json_error_t *ret_error);

#endif
