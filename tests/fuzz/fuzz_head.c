/* fuzz_head.c - a request's head, cut into strings as libmicrohttpd does it: lines end at CR, LF or
 * both, the first and the last space bound the target, the first colon ends a name. What is found
 * proper has the lines it seems to have, and no controls; an id is a name only when it is proper.
 */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/head.h"
#include "model/topic.h"

/* Ends the line in place and returns where the next one begins, or NULL. */
static char *end_line(char *line)
{
    char *end = line + strcspn(line, "\r\n");
    if (!*end)
        return NULL;
    size_t ends = end[0] == '\r' && end[1] == '\n' ? 2 : 1;
    memset(end, 0, ends);
    return end + ends;
}

static bool split_request_line(struct head *head, char *line)
{
    char *target = strchr(line, ' '), *version = strrchr(line, ' ');
    if (!target || target == version)
        return false;
    *target = *version = '\0';
    head->method = line;
    head->target = head->target_place = target + 1;
    head->target_length = strlen(target + 1);
    head->version = version + 1;
    return true;
}

static bool split_field(struct head *head, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon || head->count == HEAD_MAX_FIELDS)
        return false;
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    head->fields[head->count++] = (struct head_field){line, value, strlen(line), strlen(value)};
    return true;
}

static bool split(struct head *head, char *text)
{
    char *line = text, *next = end_line(line);
    head->count = 0;
    if (!next || !split_request_line(head, line))
        return false;
    for (line = next; (next = end_line(line)) && *line; line = next) {
        if (!split_field(head, line))
            return false;
    }
    if (!next)
        return false;
    head->size = (size_t)(next - text);
    return true;
}

/* As it came: nothing but these strings, with CR LF behind each line. */
static void check_accepted(const struct head *head, const char *data)
{
    const char *last = head->version;
    size_t lines = 0;
    for (size_t i = 0; i < head->count; i++)
        last = head->fields[i].value;
    size_t size = (size_t)(last + strlen(last) - head->method);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        assert((c >= ' ' && c != 0x7f) || c == '\t' || c == '\r' || c == '\n');
        assert((c == '\r') == (data[i + 1] == '\n'));
        lines += c == '\r';
    }
    assert(lines == head->count && data[0] != '\r' && data[0] != '\n');
    assert(size + 4 == head->size && !memcmp(data + size, "\r\n\r\n", 4));
}

static void check_id(const struct head *head)
{
    char *id = malloc(head->target_length);
    ptrdiff_t length = text_percent_decode(id, head->target + 1, head->target_length - 1);
    if (length >= 0 && topic_is_name(id, (size_t)length)) {
        assert(length > 0 && length <= TOPIC_NAME_MAX && text_is_utf8(id, (size_t)length));
        for (ptrdiff_t i = 0; i < length; i++)
            assert((unsigned char)id[i] >= ' ' && id[i] != 0x7f && id[i] != '/');
    }
    free(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head head;
    struct head_body body;
    const char *detail = NULL;
    char *text = calloc(1, size + 4); /* the parser's pool goes on, too */

    memcpy(text, data, size);
    if (split(&head, text)) {
        enum err err = head_check(&head, 8192, &body, &detail);
        assert((err == ERR_NONE) == (detail == NULL));
        if (!err) {
            check_accepted(&head, (const char *)data);
            check_id(&head);
        }
    }
    free(text);
    return 0;
}
