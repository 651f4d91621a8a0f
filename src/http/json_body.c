#include "http/json_body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_load.h"
#include "base/json_text.h"
#include "base/text.h"
#include "http/head.h"
#include "http/request.h"

#define CURL_DEFAULT "application/x-www-form-urlencoded"
#define PARSE_FLAGS  (JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL)
#define MAX_REST     1024

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
static bool may_omit_type(const struct request *request, const char *type)
{
    return !head_find(request_head(request), "Origin") &&
           !head_find(request_head(request), "Sec-Fetch-Site") &&
           (!type || text_equal_nocase(type, media_type_length(type), CURL_DEFAULT));
}

static bool starts_like_object(const char *body, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n", body[i]) && body[i])
        i++;
    return i < size && body[i] == '{';
}

/* Is its content type one we read? */
static bool is_accepted(const struct request *request)
{
    size_t size;
    const char *body = request_body(request, &size);
    const char *type = head_find(request_head(request), "Content-Type");
    return (type && is_json_type(type)) ||
           (may_omit_type(request, type) && starts_like_object(body, size));
}

bool json_body_is_lines(struct request *request)
{
    static const char *const names[] = {"application/x-ndjson", "application/ndjson",
                                        "application/jsonl"};
    const char *type = head_find(request_head(request), "Content-Type");
    bool fits = may_omit_type(request, type);
    for (size_t i = 0; !fits && i < sizeof names / sizeof *names; i++)
        fits = type && text_equal_nocase(type, media_type_length(type), names[i]);
    if (!fits)
        request_problem(request, ERR_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send one JSON object a line with the header Content-Type: "
                        "application/x-ndjson.");
    return fits;
}

/* One JSON string and nothing else, without escapes? */
static bool is_plain_string(const char *value, size_t size)
{
    if (size < 2 || value[0] != '"' || memchr(value + 1, '"', size - 1) != value + size - 1 ||
        memchr(value, '\\', size))
        return false;
    size_t plain = text_plain_length(value, size);
    for (size_t i = plain; i < size; i++) {
        if ((unsigned char)value[i] < 0x20)
            return false;
    }
    return text_is_utf8(value + plain, size - plain);
}

/* The list without its nulls. */
static void close_ranks(json_t *list)
{
    size_t i, kept = 0;
    json_t *value;
    json_array_foreach(list, i, value)
    {
        if (!json_is_null(value))
            json_array_set(list, kept++, value);
    }
    while (json_array_size(list) > kept)
        json_array_remove(list, json_array_size(list) - 1);
}

/* Many a program writes null for what it has not. What a message says may be any JSON, and so may
 * each of its arguments. */
static json_t *without_nulls(json_t *root)
{
    void *next;
    const char *name;
    json_t *value;
    json_object_foreach_safe(root, next, name, value)
    {
        if (strcmp(name, "message") == 0)
            continue;
        if (json_is_null(value))
            json_object_del(root, name);
        else if (strcmp(name, "args") != 0)
            close_ranks(value);
    }
    return root;
}

/* A JSON string stands where "" would stand and nowhere else, so the body is proper if it is proper
 * with "" in its place and the string is proper by itself. */
json_t *json_body_parse_around(const char *body, size_t size, const char *member)
{
    const char *value;
    size_t value_size;
    char rest[MAX_REST];
    if (!json_text_member(body, size, member, &value, &value_size) ||
        !is_plain_string(value, value_size) || size - value_size + 2 > sizeof rest)
        return NULL;
    size_t before = (size_t)(value - body), after = size - before - value_size;
    memcpy(rest, body, before);
    memcpy(rest + before, "\"\"", 2);
    memcpy(rest + before + 2, value + value_size, after);
    json_t *root = json_loadb(rest, before + 2 + after, PARSE_FLAGS, NULL);
    if (json_is_object(root))
        return without_nulls(root);
    json_decref(root);
    return NULL;
}

json_t *json_body_read_around(struct request *request, const char *member)
{
    size_t size;
    const char *body = request_body(request, &size);
    json_t *root = is_accepted(request) ? json_body_parse_around(body, size, member) : NULL;
    return root ? root : json_body_read(request); /* which also says what is wrong */
}

int json_body_parse(const char *body, size_t size, json_t **ret_root, json_error_t *ret_error)
{
    json_t *root;
    int err = json_load(body, size, 0, &root, ret_error);
    if (!err)
        *ret_root = without_nulls(root);
    return err;
}

json_t *json_body_read(struct request *request)
{
    size_t size;
    const char *body = request_body(request, &size);
    if (!is_accepted(request)) {
        request_problem(request, ERR_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send a JSON object with the header Content-Type: application/json.");
        return NULL;
    }
    json_error_t error;
    json_t *root = NULL;
    int err = json_body_parse(body, size, &root, &error);
    if (json_is_object(root))
        return root;
    if (root)
        request_problem(request, ERR_BAD_JSON, NULL, "The body must be a JSON object.");
    else if (err == ERR_OUT_OF_MEMORY)
        request_problem(request, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
    else
        request_problem(request, ERR_BAD_JSON, NULL, "Line %d, column %d: %s", error.line,
                        error.column, error.text);
    json_decref(root);
    return NULL;
}
