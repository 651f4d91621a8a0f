#include "base/json_load.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL)

/* jansson refuses what no double can hold, 1e400 or an integer of 400 digits. Here such numbers
 * need only be huge. */
static json_t *load_tamed(const char *text, size_t size, size_t flags, json_error_t *error,
                          bool *ret_no_memory)
{
    char *copy = malloc(size + 1);
    *ret_no_memory = !copy;
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    json_text_tame_numbers(copy, size);
    json_t *value = json_loadb(copy, size, FLAGS | flags, error);
    free(copy);
    return value;
}

int json_load(const char *text, size_t size, size_t flags, json_t **ret_value,
              json_error_t *ret_error)
{
    bool no_memory = false;
    json_t *value = json_loadb(text, size, FLAGS | flags, ret_error);
    if (!value && json_error_code(ret_error) == json_error_numeric_overflow)
        value = load_tamed(text, size, flags, ret_error, &no_memory);
    if (!value)
        return no_memory || json_error_code(ret_error) == json_error_out_of_memory
                   ? ERR_OUT_OF_MEMORY
                   : ERR_BAD_JSON;
    *ret_value = value;
    return 0;
}
