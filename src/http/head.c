#include "http/head.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/text.h"
#include "http/target.h"

static size_t count_named(const struct head *head, const char *name,
                          const struct head_field **ret_last)
{
    size_t count = 0, length = strlen(name);
    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].name_length != length ||
            strncasecmp(head->fields[i].name, name, length) != 0)
            continue;
        *ret_last = &head->fields[i];
        count++;
    }
    return count;
}

bool head_is_http_1_1(const struct head *head)
{
    return strcmp(head->version, "HTTP/1.1") == 0;
}

const char *head_find(const struct head *head, const char *name)
{
    const struct head_field *field;
    return count_named(head, name, &field) == 1 ? field->value : NULL;
}

void head_join(const struct head *head, const char *name, struct buf *list)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct head_field *field = &head->fields[i];
        if (!text_equal_nocase(field->name, field->name_length, name))
            continue;
        if (list->size)
            buf_add(list, ",", 1);
        buf_add(list, field->value, field->value_length);
    }
    buf_add(list, "", 1);
}

static const char *find_word(const char *list, const char *beginning, size_t *ret_length)
{
    size_t skip = strlen(beginning);
    while (*(list += strspn(list, " \t,"))) {
        size_t length = strcspn(list, " \t,");
        if (length >= skip && memcmp(list, beginning, skip) == 0) {
            *ret_length = length - skip;
            return list + skip;
        }
        list += length;
    }
    return NULL;
}

const char *head_list_find(const struct head *head, const char *name, const char *beginning,
                           size_t *ret_length)
{
    const char *found = NULL;
    for (size_t i = 0; i < head->count && !found; i++) {
        const struct head_field *field = &head->fields[i];
        if (text_equal_nocase(field->name, field->name_length, name))
            found = find_word(field->value, beginning, ret_length);
    }
    return found;
}

bool head_list_has(const struct head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct head_field *field = &head->fields[i];
        if (text_equal_nocase(field->name, field->name_length, name) &&
            text_list_has(field->value, token))
            return true;
    }
    return false;
}

static size_t size_of(const struct head *head)
{
    size_t size = strlen(head->method) + head->target_length + sizeof " HTTP/1.1 \r\n\r\n";
    for (size_t i = 0; i < head->count; i++)
        size += head->fields[i].name_length + head->fields[i].value_length + 4;
    return size;
}

/* Host may name a registered name, an address and a port; nothing that would mean something in
 * another place (RFC 9110 section 7.2). */
static bool is_host(const char *host, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = host[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr("-._~!$&'()*+;=%:[]", c)))
            return false;
    }
    return true;
}

/* Origin-form, absolute-form with a host, or `*` (RFC 9112 section 3.2). Bytes above 0x7f are let
 * through to where ids are checked to be UTF-8: curl sends them bare. */
static bool is_target(const char *target, size_t length)
{
    size_t host_length;
    const char *host = target_find_authority(target, &host_length);
    if (length == 1 && target[0] == '*')
        return true;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)target[i];
        if (c <= ' ' || c == 0x7f || c == '#' || c == '\\')
            return false;
    }
    return host ? host_length && is_host(host, host_length) : length > 0 && target[0] == '/';
}

static bool is_field(const struct head_field *field)
{
    if (!text_is_token(field->name, field->name_length))
        return false;
    for (size_t i = 0; i < field->value_length; i++) {
        unsigned char c = (unsigned char)field->value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* The parser ends each line by overwriting CR and LF with NUL where they were received. So the
 * lines must follow each other two bytes apart: bare LF, bare CR, folded lines and NULs in the
 * middle all show as another distance. A line that begins with NUL looks empty and ends the head
 * early; then the head is longer than what was found in it. */
static bool lines_are_whole(const struct head *head)
{
    const char *end = head->version + strlen(head->version);
    if (head->target_place != head->method + strlen(head->method) + 1 ||
        head->target_place + head->target_length + 1 != head->version)
        return false;
    for (size_t i = 0; i < head->count; i++) {
        const struct head_field *field = &head->fields[i];
        const char *colon = field->name + field->name_length;
        if (field->name != end + 2 || field->value <= colon)
            return false;
        for (const char *at = colon + 1; at < field->value; at++) {
            if (*at != ' ' && *at != '\t')
                return false;
        }
        end = field->value + field->value_length;
    }
    return end[0] == '\0' && end[1] == '\0' && end[2] == '\0' && end[3] == '\0' &&
           (size_t)(end + 4 - head->method) == head->size;
}

static bool is_digits(const char *text, size_t length)
{
    uint64_t ignored;
    return length <= 18 && text_parse_u64(text, length, &ignored);
}

static enum err check_host(const struct head *head, const char **ret_detail)
{
    const struct head_field *host = NULL;
    size_t count = count_named(head, "Host", &host);
    bool old = strcmp(head->version, "HTTP/1.0") == 0;
    if (count == 1 ? is_host(host->value, host->value_length) : count == 0 && old)
        return ERR_NONE;
    *ret_detail =
        count == 1 ? "The Host header is not a host name." : "Send exactly one Host header.";
    return ERR_BAD_REQUEST;
}

/* What decides who may do what, and what a body is, must not be said twice: one reader would
 * believe the first, another the last. */
static enum err check_single(const struct head *head, const char **ret_detail)
{
    static const char *const names[] = {"Origin",           "Sec-Fetch-Site",  "Content-Type",
                                        "Content-Encoding", "Idempotency-Key", "Authorization"};
    const struct head_field *ignored;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (count_named(head, names[i], &ignored) > 1) {
            *ret_detail =
                "Origin, Sec-Fetch-Site, Content-Type, Content-Encoding, Authorization and "
                "Idempotency-Key come once.";
            return ERR_BAD_REQUEST;
        }
    }
    return ERR_NONE;
}

/* RFC 9112 section 6: whatever could be framed in two ways is refused. */
static enum err check_framing(const struct head *head, struct head_body *ret_body,
                              const char **ret_detail)
{
    const struct head_field *length = NULL, *encoding = NULL;
    size_t lengths = count_named(head, "Content-Length", &length);
    size_t encodings = count_named(head, "Transfer-Encoding", &encoding);
    if (lengths > 1 || (lengths && encodings)) {
        *ret_detail = "Send one Content-Length, or Transfer-Encoding: chunked, not both.";
        return ERR_BAD_REQUEST;
    }
    if (lengths && !is_digits(length->value, length->value_length)) {
        *ret_detail = "Content-Length must be a plain number.";
        return ERR_BAD_REQUEST;
    }
    if (lengths)
        text_parse_u64(length->value, length->value_length, &ret_body->length);
    ret_body->any = ret_body->length || encodings;
    if (!encodings)
        return ERR_NONE;
    if (strcmp(head->version, "HTTP/1.0") == 0) {
        *ret_detail = "HTTP/1.0 has no Transfer-Encoding.";
        return ERR_BAD_REQUEST;
    }
    if (encodings > 1 || !text_equal_nocase(encoding->value, encoding->value_length, "chunked")) {
        *ret_detail = "The only Transfer-Encoding served is chunked.";
        return ERR_NOT_IMPLEMENTED;
    }
    ret_body->chunked = true;
    return ERR_NONE;
}

enum err head_check(const struct head *head, size_t max_size, struct head_body *ret_body,
                    const char **ret_detail)
{
    *ret_body = (struct head_body){0};
    if (strcmp(head->version, "HTTP/1.1") != 0 && strcmp(head->version, "HTTP/1.0") != 0) {
        *ret_detail = "Speak HTTP/1.1.";
        return ERR_BAD_REQUEST;
    }
    if (head->target_length > max_size) {
        *ret_detail = "The address is longer than max_head allows.";
        return ERR_URI_TOO_LONG;
    }
    if (head->count >= HEAD_MAX_FIELDS || size_of(head) > max_size) {
        *ret_detail = "The head is larger than max_head allows, or has 100 fields or more.";
        return ERR_HEAD_TOO_LARGE;
    }
    if (!text_is_token(head->method, strlen(head->method)) ||
        !is_target(head->target, head->target_length)) {
        *ret_detail = "The request line is malformed.";
        return ERR_BAD_REQUEST;
    }
    for (size_t i = 0; i < head->count; i++) {
        if (!is_field(&head->fields[i])) {
            *ret_detail = "A header has a forbidden character.";
            return ERR_BAD_REQUEST;
        }
    }
    if (head->target_place && !lines_are_whole(head)) {
        *ret_detail = "Each line of the head must end in CR LF and stand on its own.";
        return ERR_BAD_REQUEST;
    }
    enum err err = check_host(head, ret_detail);
    if (!err)
        err = check_single(head, ret_detail);
    return err ? err : check_framing(head, ret_body, ret_detail);
}
