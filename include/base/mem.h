/* mem.h - memory that cannot fail, for start-up and small fixed parts.
 *
 * Out of memory here ends the process with one clear line. What a request or a session causes
 * uses malloc and checks it instead: the request then gets 503, the session closes with 1013
 * (docs/adr: two kinds of memory). Any thread. Free with free(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed. */
void *mem_alloc(size_t size);

void *mem_realloc(void *old, size_t size);

/* mem_strdup(NULL) is NULL. */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t length);

#endif
