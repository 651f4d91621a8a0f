/* request.h - one HTTP request and its answer, as a route sees it.
 *
 * A route's serve() is called once with a whole request. It answers at once or later (after
 * request_wait), exactly once, by request_answer, request_problem or request_upgrade. A route
 * with a body handler takes its body as it arrives instead. How a request gets so far is
 * request_in.h. Worker's thread only. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/call.h"

/* What stands before a token in Sec-WebSocket-Protocol. */
#define REQUEST_BEARER "bearer."

struct access;
struct byte_quota;
struct head;
struct identity;
struct reactor;
struct request;
struct response;
struct sockaddr;
struct target;

/* ---- for a route's serve() ---- */

void *request_context(const struct request *request);
struct reactor *request_reactor(const struct request *request);
/* When its head was whole, on the monotonic clock. */
int64_t request_began_us(const struct request *request);

/* What it is asked by: the fields of its head, the words and the query of its target. */
const struct head *request_head(const struct request *request);
const struct target *request_target(const struct request *request);
/* The response to come, for fields to be added to it. */
struct response *request_response(struct request *request);

/* Did the head announce a body, of one byte at least or by chunks? */
bool request_has_body(const struct request *request);

const char *request_body(const struct request *request, size_t *ret_size);

/* Who asks: the socket's other end, or whom a trusted proxy names. */
const struct sockaddr *request_client(const struct request *request);

/* Whose credentials came with it; where a route has a right, they have been checked for it. */
const struct identity *request_who(const struct request *request);
const struct access *request_access(const struct request *request);
/* Of RIGHT_RECEIVE: does it bring credentials, whose are they (0, or an error and why), and to take
 * the identity over. */
bool request_has_credentials(struct request *request);
int request_identify(struct request *request, const char **ret_why);
struct identity *request_take_who(struct request *request);

/* What counts the bytes of this worker's requests. */
struct byte_quota *request_quota(const struct request *request);
/* How long the answer may be, where it can be cut into pages: as long as wished for, or less while
 * others hold much. It is counted as such until it is made. */
size_t request_reserve(struct request *request, size_t wish);

/* Answers 200 with the bytes of a file, which changes hands; they are read as the client takes
 * them. sent(): it is closed, whatever became of it. */
void request_answer_file(struct request *request, const char *content_type, int fd, uint64_t size,
                         void (*sent)(void *context), void *context);

/* Answers with these bytes, which change hands (a failed buffer becomes 503). */
void request_answer(struct request *request, int status, const char *content_type,
                    struct buf *body);
/* The same with bytes that live for ever. */
void request_answer_static(struct request *request, int status, const char *content_type,
                           const void *body, size_t size);

/* Answers with a problem (RFC 9457). field: the field it is about, or NULL. */
__attribute__((format(printf, 4, 5))) void
request_problem(struct request *request, enum err err, const char *field, const char *detail, ...);

/* Answers what a page's browser asks before it asks: whether it may. */
void request_answer_preflight(struct request *request);

/* Answers that credentials are missing, wrong (401) or not enough (403), and logs it. */
void request_refuse(struct request *request, enum err err, const char *why);
/* Logs and counts it, where the client is told in another way. */
void request_note_refusal(struct request *request, enum err err, const char *why);

/* Says that the answer comes later: who asks the broker calls this, and in the end one of the above
 * as ever. When that takes too long the request is answered 503 meanwhile; the request then
 * outlives it, with all that was borrowed from it, and the late answer goes nowhere. */
void request_wait(struct request *request);

/* After a call to the broker that answers this request when it is done: that is now, or it waits.
 */
void request_await(struct request *request, struct call *call, enum broker_end end);

/* Does the answer come too late? Then the request is let go. To be asked first by those who do
 * more with what they asked for than to answer. */
bool request_drop_late(struct request *request);

/* What the 503 says. */
#define REQUEST_GIVEN_UP                                                                           \
    "No answer came in time, so this may have been done or not. Try again, with the same key."

/* To be asked before the broker is. False: a problem was answered, since too many answers are late
 * already, or the server ends. */
bool request_may_ask(struct request *request);

/* ---- for a route's body handler ---- */

/* The body reader has got on: the client has request_timeout again to send more. */
void request_progress(struct request *request);
/* Ends a wait within the body. */
void request_go_on(struct request *request);
/* The last of the answers that were owed when the body reader was closed has come. */
void request_release(struct request *request);
/* The longest body that is gathered. */
size_t request_max_body(const struct request *request);

/* Switches protocols (RFC 9110 section 7.8): answers 101 and hands the socket over. adopted() is
 * called exactly once: with the socket, now the callee's, and what was read past the head; or with
 * -1 when it came to nothing. protocol: for Sec-WebSocket-Protocol, or NULL. */
void request_upgrade(struct request *request, const char *accept, const char *protocol,
                     void (*adopted)(void *context, int fd, const char *extra, size_t size),
                     void *context);

/* Takes the socket away from libmicrohttpd without a word to the peer: the caller writes the whole
 * answer, beginning with request_write_head, and the request ends. -1: no descriptor is left; the
 * request still wants an answer.
 * It rests on what 0.9.75 does with MHD_NO under MHD_USE_TURBO: it closes its own descriptor and
 * calls no shutdown(2). */
int request_adopt(struct request *request);

/* The head of an answer that ends with the connection. */
void request_write_head(const struct request *request, struct buf *buf, int status,
                        const char *content_type);
/* The whole of such an answer: a problem. */
void request_write_problem(const struct request *request, struct buf *buf, enum err err,
                           const char *detail);

bool request_is_head(const struct request *request);
bool request_is_post(const struct request *request);

#endif
