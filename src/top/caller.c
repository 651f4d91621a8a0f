#include "top/caller.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/config_errors.h"
#include "base/mem.h"
#include "top/local_socket.h"

#define TRIES          5
#define PAUSE_MS       200 /* doubled each time */
#define PAUSE_MAX_MS   10000
#define CONNECT_S      5L
#define RESPONSE_S     60L
#define SILENCE_S      60L /* a stream says something every 15 s */
#define RESPONSE_MAX   ((size_t)64 * 1024 * 1024)
#define LONGEST_REASON 300

struct caller {
    const char *name;
    char *url;        /* owned; without a slash at its end */
    char *socket;     /* owned; the path of a Unix socket, or NULL */
    char *credential; /* owned; or NULL */
    bool is_local;    /* found in our own configuration */
    CURL *curl;
    char reason[CURL_ERROR_SIZE];
};

/* ---- where it is ---- */

/* Where a server that listens there is reached from its own machine. */
static char *local_url(const char *listen)
{
    const char *port = strrchr(listen, ':') + 1;
    char *url = NULL;
    int length;
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        length = asprintf(&url, "http://127.0.0.1:%s", port);
    else if (strncmp(listen, "[::]:", 5) == 0)
        length = asprintf(&url, "http://[::1]:%s", port);
    else
        length = asprintf(&url, "http://%s", listen);
    return length < 0 ? NULL : url;
}

static char *find_url(const struct config *config, bool *ret_is_local)
{
    const char *given = config_option(config, "--url");
    const char *text = given ? given : config->listen.items[0];
    *ret_is_local = !given;
    if (local_socket_is(text))
        return mem_strdup(text);
    if (!given)
        return local_url(text);
    char *url = NULL; /* `localhost:8000` will do */
    if (asprintf(&url, "%s%s", strstr(text, "://") ? "" : "http://", text) < 0)
        return NULL;
    while (*url && url[strlen(url) - 1] == '/')
        url[strlen(url) - 1] = '\0';
    return url;
}

struct caller *caller_create(const struct config *config, const char *name)
{
    struct caller *caller = mem_alloc(sizeof *caller);
    caller->name = name;
    caller->url = find_url(config, &caller->is_local);
    if (caller->url && local_socket_is(caller->url)) {
        caller->socket = mem_strdup(caller->url + strlen(LOCAL_SOCKET_PREFIX));
        free(caller->url);
        caller->url = mem_strdup("http://localhost");
    }
    caller->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    if (caller->url && caller->curl)
        return caller;
    fprintf(stderr, "pushwire %s: out of memory\n", name);
    caller_destroy(caller);
    return NULL;
}

void caller_destroy(struct caller *caller)
{
    if (!caller)
        return;
    curl_easy_cleanup(caller->curl);
    curl_global_cleanup();
    free(caller->url);
    free(caller->socket);
    free(caller->credential);
    free(caller);
}

void caller_set_credentials(struct caller *caller, const char *text)
{
    free(caller->credential);
    caller->credential = mem_strdup(text);
}

const char *caller_url(const struct caller *caller)
{
    return caller->socket ? caller->socket : caller->url;
}

const char *caller_reason(const struct caller *caller)
{
    return caller->reason;
}

/* ---- asking ---- */

static size_t on_bytes(char *bytes, size_t one, size_t size, void *context)
{
    struct buf *body = context;
    (void)one;
    if (body->size + size > RESPONSE_MAX)
        return CURL_WRITEFUNC_ERROR;
    buf_add(body, bytes, size);
    return buf_ok(body) ? size : CURL_WRITEFUNC_ERROR;
}

/* True: it is kept; the list is to be freed. */
static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    char *line = NULL;
    if (!value)
        return true;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    struct curl_slist *longer = curl_slist_append(*list, line);
    free(line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

/* All that every request has. */
static void prepare(struct caller *caller, const char *url, struct curl_slist *headers)
{
    CURL *curl = caller->curl;
    curl_easy_reset(curl);
    *caller->reason = '\0';
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, caller->reason);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pushwire/" PUSHWIRE_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    if (caller->socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, caller->socket);
    if (caller->is_local) /* no proxy stands between a machine and itself */
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
}

/* What `set` and prepare have set. Returns the status, or 0. */
static long perform(struct caller *caller, const char *path, struct curl_slist *headers,
                    void (*set)(CURL *curl, void *context), void *context)
{
    char *url = NULL, *bearer = NULL;
    long status = 0;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    bool built = asprintf(&url, "%s%s", caller->url, path) >= 0 &&
                 (!caller->credential || asprintf(&bearer, "Bearer %s", caller->credential) >= 0) &&
                 add_header(&headers, "Authorization", bearer);
    if (built) {
        prepare(caller, url, headers);
        set(caller->curl, context);
        code = curl_easy_perform(caller->curl);
        curl_easy_getinfo(caller->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    if (code != CURLE_OK && !*caller->reason)
        snprintf(caller->reason, sizeof caller->reason, "%s", curl_easy_strerror(code));
    curl_slist_free_all(headers);
    free(url);
    free(bearer);
    return code == CURLE_OK || code == CURLE_WRITE_ERROR ? status : 0;
}

struct question {
    const struct buf *body;
    struct buf *answer;
};

static void set_question(CURL *curl, void *context)
{
    const struct question *question = context;
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, RESPONSE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, question->answer);
    if (!question->body)
        return;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question->body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->body->size);
}

long caller_ask(struct caller *caller, const char *path, const char *type, const struct buf *body,
                struct buf *ret_body)
{
    struct curl_slist *headers = NULL;
    struct question question = {body, ret_body};
    if (!add_header(&headers, "Content-Type", type))
        return 0;
    add_header(&headers, "Expect", ""); /* no 100-continue */
    return perform(caller, path, headers, set_question, &question);
}

void caller_pause(unsigned tries)
{
    long ms = tries < 8 ? (long)PAUSE_MS << tries : PAUSE_MAX_MS;
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

long caller_insist(struct caller *caller, const char *path, const char *type,
                   const struct buf *body, struct buf *ret_body)
{
    for (unsigned tries = 0;; tries++) {
        ret_body->size = 0;
        long status = caller_ask(caller, path, type, body, ret_body);
        bool may_help = !status || status == 408 || status == 429 || status == 503;
        if (!may_help || tries + 1 == TRIES)
            return status;
        caller_pause(tries);
    }
}

/* ---- following ---- */

struct stream {
    CURL *curl;
    bool (*take)(void *context, const char *bytes, size_t size);
    void *context;
    struct buf *refusal;
};

static size_t on_stream(char *bytes, size_t one, size_t size, void *context)
{
    struct stream *stream = context;
    long status = 0;
    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return on_bytes(bytes, one, size, stream->refusal);
    return stream->take(stream->context, bytes, size) ? size : CURL_WRITEFUNC_ERROR;
}

static void set_stream(CURL *curl, void *context)
{
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_stream);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, context);
}

long caller_follow(struct caller *caller, const char *path, const char *last_id,
                   bool (*take)(void *context, const char *bytes, size_t size), void *context,
                   struct buf *ret_refusal)
{
    struct curl_slist *headers = NULL;
    struct stream stream = {caller->curl, take, context, ret_refusal};
    add_header(&headers, "Accept", "text/event-stream");
    add_header(&headers, "Last-Event-ID", last_id);
    return perform(caller, path, headers, set_stream, &stream);
}

/* ---- telling ---- */

void caller_complain(const struct caller *caller, long status, const struct buf *body)
{
    if (!status) {
        fprintf(stderr, "pushwire %s: no answer from %s: %s\n", caller->name, caller_url(caller),
                caller->reason);
        return;
    }
    json_t *problem = body->size ? json_loadb(body->data, body->size, 0, NULL) : NULL;
    const char *code = json_string_value(json_object_get(problem, "code"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    char *told = config_printable(detail ? detail : "", LONGEST_REASON);
    fprintf(stderr, "pushwire %s: %ld %s%s%s\n", caller->name, status,
            code ? code : "from what is no Pushwire", *told ? ": " : "", told);
    free(told);
    json_decref(problem);
}

void caller_escape(const struct caller *caller, const char *text, struct buf *ret_text)
{
    char *escaped = curl_easy_escape(caller->curl, text, 0);
    buf_add_text(ret_text, escaped ? escaped : "");
    curl_free(escaped);
}
