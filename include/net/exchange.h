/* exchange.h - one HTTP request and its answer, as a route sees it.
 *
 * A route's serve() is called once with a whole request. It answers at once or later (after
 * exchange_wait), exactly once, by exchange_answer, exchange_problem or exchange_upgrade. A route
 * with an intake takes its body as it arrives instead. How a request gets so far is reception.h.
 * Worker's thread only. */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What stands before a token in Sec-WebSocket-Protocol. */
#define EXCHANGE_BEARER "bearer."

struct access;
struct buf;
struct exchange;
struct identity;
struct quota;
struct sockaddr;
struct worker;

/* ---- for a route's serve() ---- */

void *exchange_state(const struct exchange *exchange);
struct worker *exchange_worker(const struct exchange *exchange);
/* When its head was whole, on the monotonic clock. */
int64_t exchange_began_us(const struct exchange *exchange);

/* The decoded `:id` segment, proper by address_is_name; a NUL follows. */
const char *exchange_id(const struct exchange *exchange, size_t *ret_length);
/* The second such segment. */
const char *exchange_name(const struct exchange *exchange, size_t *ret_length);

/* A query parameter, decoded, borrowed; NULL: not there. */
const char *exchange_query(struct exchange *exchange, const char *name);
/* The next one of that name after the value `last`; NULL: from the first. */
const char *exchange_query_next(struct exchange *exchange, const char *name, const char *last);

/* A request header that came once, or NULL; and whether a list header has a token. */
const char *exchange_header(const struct exchange *exchange, const char *name);
bool exchange_header_has(const struct exchange *exchange, const char *name, const char *token);
bool exchange_is_http_1_1(const struct exchange *exchange);
/* Did the head announce a body, of one byte at least or by chunks? */
bool exchange_has_body(const struct exchange *exchange);

const char *exchange_body(const struct exchange *exchange, size_t *ret_size);

/* Who asks: the socket's other end, or whom a trusted proxy names. */
const struct sockaddr *exchange_client(const struct exchange *exchange);

/* Whose credentials came with it; where a route has a right, they have been checked for it. */
const struct identity *exchange_who(const struct exchange *exchange);
const struct access *exchange_access(const struct exchange *exchange);
/* Of RIGHT_RECEIVE: does it bring credentials, whose are they (0, or an error and why), and to take
 * the identity over. */
bool exchange_has_credentials(struct exchange *exchange);
int exchange_identify(struct exchange *exchange, const char **ret_why);
struct identity *exchange_take_who(struct exchange *exchange);
/* A word of Sec-WebSocket-Protocol that begins so: what follows there, or NULL. */
const char *exchange_subprotocol(const struct exchange *exchange, const char *beginning,
                                 size_t *ret_length);

/* What counts the bytes of this worker's requests. */
struct quota *exchange_quota(const struct exchange *exchange);
/* How long the answer may be, where it can be cut into pages: as long as wished for, or less while
 * others hold much. It is counted as such until it is made. */
size_t exchange_reserve(struct exchange *exchange, size_t wish);

/* Adds a header to the answer to come. name and value live until then. At most four. */
void exchange_add_header(struct exchange *exchange, const char *name, const char *value);

/* Answers with these bytes, which change hands (a failed buffer becomes 503). */
void exchange_answer(struct exchange *exchange, int status, const char *content_type,
                     struct buf *body);
/* The same with bytes that live for ever. */
void exchange_answer_static(struct exchange *exchange, int status, const char *content_type,
                            const void *body, size_t size);

/* Answers with a problem (RFC 9457). field: the field it is about, or NULL. */
__attribute__((format(printf, 4, 5))) void exchange_problem(struct exchange *exchange, enum err err,
                                                            const char *field, const char *detail,
                                                            ...);

/* Answers that credentials are missing, wrong (401) or not enough (403), and logs it. */
void exchange_refuse(struct exchange *exchange, enum err err, const char *why);
/* Logs and counts it, where the client is told in another way. */
void exchange_note_refusal(struct exchange *exchange, enum err err, const char *why);

/* Says that the answer comes later: who asks the broker calls this, and in the end one of the above
 * as ever. When that takes too long the request is answered 503 meanwhile; the exchange then
 * outlives it, with all that was borrowed from it, and the late answer goes nowhere. */
void exchange_wait(struct exchange *exchange);

/* Does the answer come too late? Then the exchange is let go. To be asked first by those who do
 * more with what they asked for than to answer. */
bool exchange_drop_late(struct exchange *exchange);

/* What the 503 says. */
#define EXCHANGE_GIVEN_UP                                                                          \
    "No answer came in time, so this may have been done or not. Try again, with the same key."

/* To be asked before the broker is. False: a problem was answered, since too many answers are late
 * already, or the server ends. */
bool exchange_may_ask(struct exchange *exchange);

/* ---- for a route's intake ---- */

/* The taker has got on: the client has request_timeout again to send more. */
void exchange_progress(struct exchange *exchange);
/* Ends a wait within the body. */
void exchange_go_on(struct exchange *exchange);
/* The last of the answers that were owed when the taker was closed has come. */
void exchange_release(struct exchange *exchange);
/* The longest body that is gathered. */
size_t exchange_max_body(const struct exchange *exchange);

/* Switches protocols (RFC 9110 section 7.8): answers 101 and hands the socket over. adopted() is
 * called exactly once: with the socket, now the callee's, and what was read past the head; or with
 * -1 when it came to nothing. protocol: for Sec-WebSocket-Protocol, or NULL. */
void exchange_upgrade(struct exchange *exchange, const char *accept, const char *protocol,
                      void (*adopted)(void *context, int fd, const char *extra, size_t size),
                      void *context);

/* Takes the socket away from libmicrohttpd without a word to the peer: the caller writes the whole
 * answer, beginning with exchange_write_head, and the exchange ends. -1: no descriptor is left; the
 * exchange still wants an answer.
 * It rests on what 0.9.75 does with MHD_NO under MHD_USE_TURBO: it closes its own descriptor and
 * calls no shutdown(2). */
int exchange_adopt(struct exchange *exchange);

/* The head of an answer that ends with the connection. */
void exchange_write_head(const struct exchange *exchange, struct buf *buf, int status,
                         const char *content_type);
/* The whole of such an answer: a problem. */
void exchange_write_problem(const struct exchange *exchange, struct buf *buf, enum err err,
                            const char *detail);

bool exchange_is_head(const struct exchange *exchange);
bool exchange_is_post(const struct exchange *exchange);

#endif
