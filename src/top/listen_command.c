#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/config_errors.h"
#include "base/mem.h"
#include "base/units.h"
#include "top/caller.h"
#include "top/commands.h"
#include "top/events.h"

#define LONGEST_TEXT ((size_t)64 * 1024 * 1024)

struct listening {
    struct caller *caller;
    struct events events;
    const char *user;
    const char *channels; /* between commas, or NULL */
    const char *exec;     /* or NULL */
    const char *key;      /* to ask for tokens with, or NULL */
    bool json;
    int64_t left;   /* messages to go; -1: no end */
    bool is_over;   /* nothing comes any more, for this reason: */
    char end[64];   /* a code of the server's; "": all that was wanted came */
    bool refreshed; /* a token was asked for since there was a welcome */
    unsigned tries; /* in vain, one after the other */
    bool told;      /* that there is no answer */
};

/* ---- a message ---- */

/* What it says: of an event the one argument, or the list of them. */
static const json_t *content_of(const json_t *frame)
{
    const json_t *args = json_object_get(frame, "args");
    return args ? args : json_object_get(frame, "message");
}

/* A message of one line, for a terminal: an object or a list as JSON. */
static char *readable(const json_t *message)
{
    const char *text = json_string_value(message);
    char *dumped = text ? NULL : json_dumps(message, JSON_ENCODE_ANY | JSON_COMPACT);
    char *printable = config_printable(text ? text : dumped ? dumped : "", LONGEST_TEXT);
    free(dumped);
    return printable;
}

static void print_message(const struct listening *listening, const json_t *frame, const char *data)
{
    if (listening->json) {
        puts(data);
    } else {
        char *text = readable(content_of(frame));
        const char *sender = json_string_value(json_object_get(frame, "sender"));
        char *from = config_printable(sender ? sender : "", LONGEST_TEXT);
        printf("[%s]: %s\n", from, text);
        free(from);
        free(text);
    }
    if (fflush(stdout) != 0)
        exit(1); /* nobody reads any more */
}

static void set(const char *name, const char *value)
{
    setenv(name, value ? value : "", 1);
}

/* Messages are handed on one after the other, in order. */
static void run_exec(const struct listening *listening, const json_t *frame, const char *data)
{
    pid_t child = fork();
    if (child == 0) {
        const json_t *message = content_of(frame);
        const char *text = json_string_value(message);
        char *dumped = text ? NULL : json_dumps(message, JSON_ENCODE_ANY | JSON_COMPACT);
        set("MESSAGE", text ? text : dumped);
        set("MESSAGE_ID", json_string_value(json_object_get(frame, "id")));
        set("MESSAGE_SENDER", json_string_value(json_object_get(frame, "sender")));
        set("MESSAGE_CHANNEL", json_string_value(json_object_get(frame, "channel")));
        set("MESSAGE_EVENT", json_string_value(json_object_get(frame, "event")));
        set("MESSAGE_JSON", data);
        execl("/bin/sh", "sh", "-c", listening->exec, (char *)NULL);
        _exit(127);
    }
    int status;
    if (child < 0)
        perror("pushwire listen: --exec");
    else if (waitpid(child, &status, 0) == child && status != 0)
        fprintf(stderr, "pushwire listen: --exec ended with %d\n",
                WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- events ---- */

static bool end(struct listening *listening, const char *code)
{
    listening->is_over = true;
    snprintf(listening->end, sizeof listening->end, "%s", code);
    return false;
}

static bool on_message(struct listening *listening, const json_t *frame, const char *data)
{
    if (listening->exec)
        run_exec(listening, frame, data);
    else
        print_message(listening, frame, data);
    return listening->left < 0 || --listening->left > 0 || end(listening, "");
}

static bool on_welcome(struct listening *listening, const json_t *frame, const char *data)
{
    (void)frame, (void)data;
    listening->tries = 0;
    listening->refreshed = listening->told = false;
    return true;
}

static bool on_gap(struct listening *listening, const json_t *frame, const char *data)
{
    const char *after = json_string_value(json_object_get(frame, "after"));
    (void)listening, (void)data;
    fprintf(stderr, "pushwire listen: messages after %s are gone\n", after ? after : "?");
    return true;
}

/* Of a stream that ends; many just begin anew. */
static bool on_bye(struct listening *listening, const json_t *frame, const char *data)
{
    static const char *const lasting[] = {"kicked", "forbidden", "missing_scope",
                                          "too_many_channels"};
    const char *code = json_string_value(json_object_get(frame, "code"));
    (void)data;
    if (!code)
        return true;
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        if (strcmp(code, lasting[i]) == 0)
            return end(listening, code);
    }
    bool wants_token = strcmp(code, "unauthorized") == 0 || strcmp(code, "token_expired") == 0;
    if (wants_token && (!listening->key || listening->refreshed))
        return end(listening, code);
    return !wants_token; /* the next stream has another */
}

static bool on_event(void *context, const struct event *event)
{
    static const struct {
        const char *type;
        bool (*act)(struct listening *listening, const json_t *frame, const char *data);
    } acts[] = {{"message", on_message}, {"welcome", on_welcome}, {"gap", on_gap}, {"bye", on_bye}};
    bool go_on = true;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (strcmp(event->type, acts[i].type) != 0)
            continue;
        json_t *frame = json_loads(event->data, 0, NULL);
        go_on = acts[i].act(context, frame, event->data);
        json_decref(frame);
    }
    return go_on;
}

static bool on_bytes(void *context, const char *bytes, size_t size)
{
    struct listening *listening = context;
    return events_feed(&listening->events, bytes, size);
}

/* ---- a stream, and the next ---- */

static void add_channels(const struct listening *listening, struct buf *path)
{
    char *rest, *list = mem_strdup(listening->channels ? listening->channels : "");
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        buf_add_text(path, "&channel=");
        caller_escape(listening->caller, name, path);
    }
    free(list);
}

static void add_path(const struct listening *listening, const char *after, struct buf *path)
{
    buf_add_text(path, "/sse/");
    caller_escape(listening->caller, listening->user, path);
    buf_add_text(path, "?");
    if (after) {
        buf_add_text(path, "after=");
        caller_escape(listening->caller, after, path);
    }
    add_channels(listening, path);
    buf_add(path, "", 1);
}

/* The user's token, by the publisher's key. False: told why. */
static bool refresh_token(struct listening *listening)
{
    struct buf body, answer;
    json_t *channels = json_array(), *wish = json_object();
    char *rest, *list = mem_strdup(listening->channels ? listening->channels : "");
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        json_array_append_new(channels, json_string(name));
    free(list);
    json_object_set_new(wish, "user", json_string(listening->user));
    json_object_set_new(wish, "channels", channels);
    char *text = json_dumps(wish, 0);
    json_decref(wish);
    buf_init(&body);
    buf_init(&answer);
    buf_add_text(&body, text ? text : "{}");
    free(text);
    caller_set_credentials(listening->caller, listening->key);
    long status = caller_insist(listening->caller, "/tokens", "application/json", &body, &answer);
    json_t *grant = status == 200 ? json_loadb(answer.data, answer.size, 0, NULL) : NULL;
    const char *token = json_string_value(json_object_get(grant, "token"));
    if (token)
        caller_set_credentials(listening->caller, token);
    else
        caller_complain(listening->caller, status, &answer);
    json_decref(grant);
    buf_finish(&body);
    buf_finish(&answer);
    listening->refreshed = true;
    return token != NULL;
}

/* False: it makes no sense to go on; told why. */
static bool follow(struct listening *listening, const char *after)
{
    struct buf path, refusal;
    const char *id = listening->events.id;
    if (listening->key && !refresh_token(listening))
        return false;
    buf_init(&path);
    buf_init(&refusal);
    add_path(listening, *id ? NULL : after, &path);
    events_restart(&listening->events);
    long status =
        caller_follow(listening->caller, path.data, *id ? id : NULL, on_bytes, listening, &refusal);
    bool may_help = !status || status == 200 || status == 408 || status == 429 || status >= 500;
    if (!may_help)
        caller_complain(listening->caller, status, &refusal);
    else if (status != 200 && listening->tries && !listening->told) {
        fprintf(stderr, "pushwire listen: no answer from %s, trying again: %s\n",
                caller_url(listening->caller), caller_reason(listening->caller));
        listening->told = true;
    }
    buf_finish(&path);
    buf_finish(&refusal);
    return may_help;
}

static int listen_on(struct listening *listening, const char *after)
{
    while (follow(listening, after) && !listening->is_over)
        caller_pause(listening->tries++);
    if (*listening->end)
        fprintf(stderr, "pushwire listen: the server ended it: %s\n", listening->end);
    return listening->is_over && !*listening->end ? 0 : 1;
}

int listen_command(const struct config *config)
{
    const char *count = config_option(config, "--count"), *token = config_option(config, "--token");
    struct listening listening = {
        .user = config->operands[0],
        .channels = config_option(config, "--channels"),
        .exec = config_option(config, "--exec"),
        .key = token ? NULL : config_option(config, "--key"),
        .json = config_option(config, "--json") != NULL,
        .left = -1,
    };
    if (count && (units_parse_number(count, &listening.left) != 0 || listening.left < 1)) {
        fputs("pushwire listen: --count is a whole number from 1\n", stderr);
        return 2;
    }
    listening.caller = caller_create(config, "listen");
    if (!listening.caller)
        return 1;
    if (token)
        caller_set_credentials(listening.caller, token);
    events_init(&listening.events, on_event, &listening);
    int code = listen_on(&listening, config_option(config, "--after"));
    events_finish(&listening.events);
    caller_destroy(listening.caller);
    return code;
}
