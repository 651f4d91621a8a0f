/* Who asks: what a request shows for it, and how one who may not is refused. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/network.h"
#include "http/request.h"
#include "http/requests.h"
#include "http/route.h"
#include "model/access.h"
#include "model/identity.h"

/* `Bearer x` (RFC 6750 section 2.1), or NULL. */
static const char *bearer(const struct request *request)
{
    const char *value = head_find(&request->head, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

/* A browser can set no header where it opens a WebSocket or an event stream, so there a token also
 * travels as a subprotocol or in the URL, which is kept out of the log. */
static const char *find_credentials(struct request *request, size_t *ret_length)
{
    const char *text = bearer(request);
    if (!text && request->route->right == RIGHT_RECEIVE) {
        text = head_list_find(&request->head, "Sec-WebSocket-Protocol", REQUEST_BEARER, ret_length);
        if (text)
            return text;
        text = target_query(&request->target, "token");
    }
    *ret_length = text ? strlen(text) : 0;
    return text;
}

bool request_has_credentials(struct request *request)
{
    size_t length;
    return find_credentials(request, &length) != NULL;
}

int request_identify(struct request *request, const char **ret_why)
{
    const struct access *access = request->all->access;
    size_t length = 0;
    const char *text = access_is_open(access) ? NULL : find_credentials(request, &length);
    return access_identify(access, text, length, clock_wall_ms(), &request->who, ret_why);
}

const struct identity *request_who(const struct request *request)
{
    return request->who;
}

struct identity *request_take_who(struct request *request)
{
    struct identity *who = request->who;
    request->who = NULL;
    return who;
}

void request_note_refusal(struct request *request, enum err err, const char *why)
{
    char client[NETWORK_TEXT_SIZE];
    const struct identity *who = request->who ? request->who : &identity_anyone;
    request->response.err = err;
    network_format(request_client(request), client);
    log_refused(err, LOG_TEXT("method", request->head.method),
                LOG_TEXT("path", request->target.path), LOG_TEXT("why", why),
                LOG_TEXT("key", identity_key_id(who)), LOG_TEXT("user", identity_user(who)),
                LOG_TEXT("client", client), LOG_TEXT("request_id", request->response.request_id));
}

void request_refuse(struct request *request, enum err err, const char *why)
{
    request_note_refusal(request, err, why);
    if (err_status(err) == 401)
        response_add_field(&request->response, "WWW-Authenticate", "Bearer");
    request_problem(request, err, NULL,
                    err_status(err) == 401 ? "Send Authorization: Bearer and a key or token: %s."
                                           : "This needs %s.",
                    why);
}
