/* json_load.h - parses JSON text, however large its numbers are.
 *
 * What is sent on is the text as it was written, so the value is only asked what it is. Any thread.
 */
#ifndef BASE_JSON_LOAD_H
#define BASE_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* With flags of jansson's; numbers are all reals, and a name that stands twice in an object is
 * refused. 0 and the value, to be decref'd; ERR_BAD_JSON, with the error told, or
 * ERR_OUT_OF_MEMORY. */
int json_load(const char *text, size_t size, size_t flags, json_t **ret_value,
              json_error_t *ret_error);

#endif
