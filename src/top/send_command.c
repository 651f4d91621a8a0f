#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "base/digest.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "top/caller.h"
#include "top/commands.h"

#define RANDOM_BYTES 12
#define LINES_MAX    1000 /* a request */
#define READ_BYTES   (256 * 1024)
#define TRIES        5
#define LINES_TYPE   "application/x-ndjson"

/* What all messages of one call have. */
struct draft {
    const char *receiver; /* NULL: elsewhere, or each line says */
    const char *channel;
    bool broadcast;
    const char *sender; /* NULL: the key fixes it */
    const char *ttl;
    int64_t ttl_ms;
    const char *once; /* that their keys begin with */
};

static int complain(const char *text)
{
    fprintf(stderr, "pushwire send: %s\n", text);
    return 2;
}

/* As the server reads it, with numbers of any size. NULL: it is no JSON. */
static json_t *parse(const char *text, size_t length)
{
    char *copy = mem_strndup(text, length);
    json_text_tame_numbers(copy, length);
    json_t *value = json_loadb(copy, length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
    free(copy);
    return value;
}

/* ---- a message as the server takes it ---- */

static void add_field(struct buf *buf, const char *name, const char *text)
{
    if (!text)
        return;
    buf_add_format(buf, ",\"%s\":", name);
    buf_add_json(buf, text, strlen(text));
}

/* message is JSON, and stays as it is written. number 0: the only one. */
static void add_message(struct buf *buf, const struct draft *draft, const char *message,
                        size_t length, uint64_t number)
{
    buf_add_text(buf, "{\"message\":");
    buf_add(buf, message, length);
    add_field(buf, "receiver", draft->receiver);
    add_field(buf, "channel", draft->channel);
    add_field(buf, "sender", draft->sender);
    if (draft->broadcast)
        buf_add_text(buf, ",\"broadcast\":true");
    if (draft->ttl)
        buf_add_format(buf, ",\"ttl\":%lld", (long long)(draft->ttl_ms / UNITS_SECOND));
    if (number)
        buf_add_format(buf, ",\"key\":\"%s-%llu\"", draft->once, (unsigned long long)number);
    else
        add_field(buf, "key", draft->once);
    buf_add_text(buf, "}");
}

/* ---- what the server says ---- */

/* False: it is a refusal. */
static bool print_receipt(const json_t *receipt)
{
    const char *id = json_string_value(json_object_get(receipt, "id"));
    if (!id)
        return false;
    if (json_is_true(json_object_get(receipt, "duplicate")))
        printf("sent %s duplicate\n", id);
    else
        printf("sent %s delivered=%lld\n", id,
               (long long)json_integer_value(json_object_get(receipt, "delivered")));
    return true;
}

static int send_one(struct caller *caller, const struct draft *draft, const char *message)
{
    struct buf body, answer;
    buf_init(&body);
    buf_init(&answer);
    add_message(&body, draft, message, strlen(message), 0);
    long status = caller_insist(caller, "/send-message", "application/json", &body, &answer);
    json_t *receipt = status == 200 ? json_loadb(answer.data, answer.size, 0, NULL) : NULL;
    bool sent = receipt && print_receipt(receipt);
    if (!sent)
        caller_complain(caller, status, &answer);
    json_decref(receipt);
    buf_finish(&body);
    buf_finish(&answer);
    return sent && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- many, one a line ---- */

struct lines {
    struct caller *caller;
    const struct draft *draft;
    uint64_t read;               /* lines up to now */
    struct buf texts[LINES_MAX]; /* those to be sent, as the server takes them */
    uint64_t numbers[LINES_MAX];
    size_t count;
    bool failed;
};

/* An object that says all but its key, perhaps. Whatever else it is, the server says. */
static void add_object(struct buf *buf, const struct draft *draft, const char *line, size_t length,
                       uint64_t number)
{
    json_t *object = parse(line, length);
    const char *brace = memchr(line, '{', length);
    if (!json_is_object(object) || json_object_get(object, "key")) {
        buf_add(buf, line, length);
    } else {
        const char *rest = brace + 1, *end = line + length;
        buf_add_format(buf, "{\"key\":\"%s-%llu\"", draft->once, (unsigned long long)number);
        if (draft->sender && !json_object_get(object, "sender"))
            add_field(buf, "sender", draft->sender);
        buf_add_text(buf, json_object_size(object) ? "," : "");
        buf_add(buf, rest, (size_t)(end - rest));
    }
    json_decref(object);
}

static void add_line(struct lines *lines, const char *line, size_t length)
{
    struct buf *buf = &lines->texts[lines->count], text;
    uint64_t number = ++lines->read;
    if (length && line[length - 1] == '\r')
        length--;
    if (!length)
        return;
    if (!text_is_utf8(line, length)) {
        fprintf(stderr, "pushwire send: line %llu: is no UTF-8 text\n", (unsigned long long)number);
        lines->failed = true;
        return;
    }
    const struct draft *draft = lines->draft;
    buf->size = 0;
    if (draft->receiver || draft->channel || draft->broadcast) {
        buf_init(&text);
        buf_add_json(&text, line, length);
        add_message(buf, draft, text.data, text.size, number);
        buf_finish(&text);
    } else {
        add_object(buf, draft, line, length, number);
    }
    lines->numbers[lines->count++] = number;
}

/* Of one line. True: it is to be sent again. */
static bool judge(struct lines *lines, size_t index, const json_t *result, bool may_wait)
{
    json_int_t status = json_integer_value(json_object_get(result, "status"));
    if (print_receipt(result))
        return false;
    const char *code = json_string_value(json_object_get(result, "code"));
    const char *detail = json_string_value(json_object_get(result, "detail"));
    if (may_wait && (!result || status == 503 || status == 429 || status == 408))
        return true;
    lines->failed = true;
    fprintf(stderr, "pushwire send: line %llu: %s%s%s\n", (unsigned long long)lines->numbers[index],
            code ? code : "not answered", detail ? ": " : "", detail ? detail : "");
    return false;
}

/* Keeps those that are to be sent again. */
static void judge_all(struct lines *lines, const struct buf *answer, bool may_wait)
{
    const char *at = answer->data, *end = answer->data + answer->size;
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++) {
        const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        json_t *result = newline ? json_loadb(at, (size_t)(newline - at), 0, NULL) : NULL;
        at = newline ? newline + 1 : end;
        if (judge(lines, i, result, may_wait)) {
            struct buf swap = lines->texts[kept];
            lines->texts[kept] = lines->texts[i];
            lines->texts[i] = swap;
            lines->numbers[kept++] = lines->numbers[i];
        }
        json_decref(result);
    }
    lines->count = kept;
}

static bool send_lines(struct lines *lines)
{
    struct buf body, answer;
    long status = 200;
    buf_init(&body);
    buf_init(&answer);
    for (unsigned tries = 0; lines->count && status == 200 && tries < TRIES; tries++) {
        if (tries)
            caller_pause(tries - 1);
        body.size = 0;
        for (size_t i = 0; i < lines->count; i++) {
            buf_add(&body, lines->texts[i].data, lines->texts[i].size);
            buf_add_text(&body, "\n");
        }
        status = caller_insist(lines->caller, "/send-messages", LINES_TYPE, &body, &answer);
        if (status == 200)
            judge_all(lines, &answer, tries + 1 < TRIES);
    }
    if (status != 200)
        caller_complain(lines->caller, status, &answer);
    buf_finish(&body);
    buf_finish(&answer);
    return status == 200 && fflush(stdout) == 0;
}

/* The whole lines of what was read, which are taken away; at the end what is left is one, too. */
static bool take_lines(struct lines *lines, struct buf *input, bool is_end)
{
    size_t taken = 0;
    bool good = true;
    while (good && taken < input->size) {
        const char *line = input->data + taken;
        const char *newline = memchr(line, '\n', input->size - taken);
        if (!newline && !is_end)
            break;
        size_t length = newline ? (size_t)(newline - line) : input->size - taken;
        add_line(lines, line, length);
        taken += length + (newline != NULL);
        if (lines->count == LINES_MAX)
            good = send_lines(lines);
    }
    buf_consume(input, taken);
    return good && (!lines->count || send_lines(lines));
}

/* What is there is sent at once: whoever writes the lines may be slow. */
static int send_input(struct caller *caller, const struct draft *draft)
{
    struct lines *lines = mem_alloc(sizeof *lines);
    struct buf input;
    ssize_t got;
    bool good = true;
    lines->caller = caller;
    lines->draft = draft;
    buf_init(&input);
    do {
        if (!buf_reserve(&input, READ_BYTES)) {
            good = false;
            break;
        }
        got = read(STDIN_FILENO, input.data + input.size, READ_BYTES);
        if (got > 0)
            input.size += (size_t)got;
        good = take_lines(lines, &input, got <= 0);
    } while (good && got > 0);
    good = good && !lines->failed;
    for (size_t i = 0; i < LINES_MAX; i++)
        buf_finish(&lines->texts[i]);
    buf_finish(&input);
    free(lines);
    return good ? 0 : 1;
}

/* ---- what was asked ---- */

static const char *find_sender(const struct config *config)
{
    const char *given = config_option(config, "--sender"), *user = getenv("USER");
    if (given || config_option(config, "--key"))
        return given;
    return user && *user ? user : "pushwire";
}

/* False: told why. */
static bool read_draft(const struct config *config, struct draft *ret)
{
    *ret = (struct draft){
        .channel = config_option(config, "--channel"),
        .broadcast = config_option(config, "--broadcast") != NULL,
        .sender = find_sender(config),
        .ttl = config_option(config, "--ttl"),
        .once = config_option(config, "--once"),
    };
    if (ret->channel && ret->broadcast)
        return complain("--channel or --broadcast, not both") == 0;
    if (ret->ttl && units_parse_duration(ret->ttl, &ret->ttl_ms) != 0)
        return complain("--ttl is a duration, as in 90s, 2h or 7d") == 0;
    const char *texts[] = {ret->channel, ret->sender, ret->once};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i] && !text_is_utf8(texts[i], strlen(texts[i])))
            return complain("this is no UTF-8 text") == 0;
    }
    return true;
}

/* The message as JSON, to be freed, or NULL: told why. */
static char *read_message(const char *text, const char *json)
{
    struct buf buf;
    json_t *value = json ? parse(json, strlen(json)) : NULL;
    if (json && !value) {
        complain("--json: this is no JSON; a text goes without the flag");
        return NULL;
    }
    json_decref(value);
    if (!json && !text_is_utf8(text, strlen(text))) {
        complain("this is no UTF-8 text");
        return NULL;
    }
    buf_init(&buf);
    if (json)
        buf_add_text(&buf, json);
    else
        buf_add_json(&buf, text, strlen(text));
    buf_add(&buf, "", 1);
    return buf_detach(&buf);
}

static int run(struct caller *caller, struct draft *draft, const char *text, const char *json)
{
    if (!json && strcmp(text, "-") == 0)
        return send_input(caller, draft);
    char *message = read_message(text, json);
    int code = message ? send_one(caller, draft, message) : 2;
    free(message);
    return code;
}

int send_command(const struct config *config)
{
    struct draft draft;
    char random[2 * RANDOM_BYTES + 1];
    unsigned char bytes[RANDOM_BYTES];
    const char *json = config_option(config, "--json"), *key = config_option(config, "--key");
    if (!read_draft(config, &draft))
        return 2;
    bool elsewhere = draft.channel || draft.broadcast;
    bool lines = !elsewhere && !json && config->operand_count == 1 &&
                 strcmp(config->operands[0], "-") == 0; /* each says where it goes */
    if (config->operand_count != (size_t)(!elsewhere && !lines) + !json)
        return complain(elsewhere ? "say what: one TEXT, - or --json JSON"
                                  : "say to whom and what: pushwire send USER TEXT");
    draft.receiver = elsewhere || lines ? NULL : config->operands[0];
    digest_random(bytes, sizeof bytes);
    digest_hex(bytes, sizeof bytes, random);
    draft.once = draft.once ? draft.once : random;
    struct caller *caller = caller_create(config, "send");
    if (!caller)
        return 1;
    if (key)
        caller_set_credentials(caller, key);
    int code = run(caller, &draft, json ? NULL : config->operands[config->operand_count - 1], json);
    caller_destroy(caller);
    return code;
}
