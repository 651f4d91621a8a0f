#include "net/api/json_body.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/exchange.h"

#define CURL_DEFAULT "application/x-www-form-urlencoded"

/* The media type without parameters (RFC 9110 section 8.3.1). */
static size_t media_type_length(const char *type)
{
    size_t length = strcspn(type, ";");
    while (length && (type[length - 1] == ' ' || type[length - 1] == '\t'))
        length--;
    return length;
}

static bool is_json_type(const char *type)
{
    size_t length = media_type_length(type);
    return text_equal_nocase(type, length, "application/json") ||
           (length > 5 && strncasecmp(type + length - 5, "+json", 5) == 0);
}

/* A page of another site can make a browser send a form's content type without asking first, so
 * only clients that are no browsers may leave the right one out. */
static bool may_omit_type(const struct exchange *exchange, const char *type)
{
    return !exchange_header(exchange, "Origin") && !exchange_header(exchange, "Sec-Fetch-Site") &&
           (!type || text_equal_nocase(type, media_type_length(type), CURL_DEFAULT));
}

static bool starts_like_object(const char *body, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n", body[i]) && body[i])
        i++;
    return i < size && body[i] == '{';
}

json_t *json_body_read(struct exchange *exchange)
{
    size_t size;
    const char *body = exchange_body(exchange, &size);
    const char *type = exchange_header(exchange, "Content-Type");
    bool typed = type && is_json_type(type);
    if (!typed && !(may_omit_type(exchange, type) && starts_like_object(body, size))) {
        exchange_problem(exchange, ERR_UNSUPPORTED_MEDIA_TYPE, NULL,
                         "Send a JSON object with the header Content-Type: application/json.");
        return NULL;
    }
    json_error_t error;
    json_t *root =
        json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (json_is_object(root))
        return root;
    if (root)
        exchange_problem(exchange, ERR_BAD_JSON, NULL, "The body must be a JSON object.");
    else if (json_error_code(&error) == json_error_out_of_memory)
        exchange_problem(exchange, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else
        exchange_problem(exchange, ERR_BAD_JSON, NULL, "Line %d, column %d: %s", error.line,
                         error.column, error.text);
    json_decref(root);
    return NULL;
}
