/* err.h - every way in which something is refused or ends, in one table.
 *
 * One table of codes serves HTTP problems, `error` and `bye` frames, logs and metrics. A function
 * that can fail in a way a client will hear of returns 0 or one of the ERR_ values below (all
 * greater than 0). Any thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* name, code on the wire, HTTP status, WebSocket close code, title of the HTTP problem */
#define ERR_TABLE(X)                                                                               \
    X(BAD_REQUEST, "bad_request", 400, 1002, "The request is not proper HTTP")                     \
    X(BAD_JSON, "bad_json", 400, 4400, "The body is not JSON")                                     \
    X(BAD_ID, "bad_id", 400, 4400, "The path has no proper id")                                    \
    X(BAD_PARAMETER, "bad_parameter", 400, 4400, "A parameter of the address is wrong")            \
    X(BAD_HANDSHAKE, "bad_handshake", 400, 1002, "This is not a WebSocket handshake")              \
    X(UNAUTHORIZED, "unauthorized", 401, 4401, "Credentials are missing or wrong")                 \
    X(TOKEN_EXPIRED, "token_expired", 401, 4440, "The token has expired")                          \
    X(ORIGIN_NOT_ALLOWED, "origin_not_allowed", 403, 4403, "This origin is not allowed")           \
    X(HOST_NOT_ALLOWED, "host_not_allowed", 403, 4403, "This host name is not allowed")            \
    X(FORBIDDEN, "forbidden", 403, 4403, "This is not allowed")                                    \
    X(MISSING_SCOPE, "missing_scope", 403, 4403, "These credentials do not reach so far")          \
    X(NOT_FOUND, "not_found", 404, 4400, "There is nothing here")                                  \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, 4400, "This method is not served here")       \
    X(REQUEST_TIMEOUT, "request_timeout", 408, 4408, "The request took too long")                  \
    X(KEY_CONFLICT, "key_conflict", 409, 4400, "This key was used with another message")           \
    X(IN_FLIGHT, "in_flight", 409, 4400, "The first request with this key is still under way")     \
    X(BODY_TOO_LARGE, "body_too_large", 413, 1009, "The body is too large")                        \
    X(MESSAGE_TOO_LARGE, "message_too_large", 413, 1009, "The message is too large")               \
    X(TOO_MANY_LINES, "too_many_lines", 413, 1009, "The request has too many lines")               \
    X(URI_TOO_LONG, "uri_too_long", 414, 1009, "The address is too long")                          \
    X(UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, 1003,                                 \
      "This content type is not read")                                                             \
    X(MISSING_FIELD, "missing_field", 422, 4400, "A field is missing")                             \
    X(BAD_FIELD, "bad_field", 422, 4400, "A field is wrong")                                       \
    X(UPGRADE_REQUIRED, "upgrade_required", 426, 1002, "This address speaks WebSocket")            \
    X(TOO_MANY_REQUESTS, "too_many_requests", 429, 4429, "Too many requests")                      \
    X(HEAD_TOO_LARGE, "head_too_large", 431, 1009, "The request head is too large")                \
    X(UNREADABLE, "unreadable", 500, 1011, "A file cannot be read")                                \
    X(NOT_IMPLEMENTED, "not_implemented", 501, 1003, "This is not implemented")                    \
    X(STOPPING, "stopping", 503, 1001, "The server is stopping")                                   \
    X(TOO_MANY_SESSIONS, "too_many_sessions", 503, 1013, "The server is full")                     \
    X(OUT_OF_MEMORY, "out_of_memory", 503, 1013, "The server is out of memory")                    \
    X(OVERLOADED, "overloaded", 503, 1013, "The server holds as much as it may")                   \
    X(BROKER_DOWN, "broker_down", 503, 1013, "The broker is not reachable")                        \
    X(NO_ROOM, "no_room", 507, 1013, "There is no room to keep this")                              \
    X(PEER_CLOSED, "peer_closed", 400, 1000, "The client closed")                                  \
    X(CONNECTION_LOST, "connection_lost", 400, 1006, "The connection was lost")                    \
    X(PROTOCOL, "protocol", 400, 1002, "The client broke the WebSocket protocol")                  \
    X(BAD_UTF8, "bad_utf8", 400, 1007, "Text must be UTF-8")                                       \
    X(TOO_MANY_FRAGMENTS, "too_many_fragments", 400, 1008, "A message came in too many fragments") \
    X(FRAME_TOO_LARGE, "frame_too_large", 413, 1009, "The client sent too large a message")        \
    X(BAD_FRAME, "bad_frame", 400, 4400, "A client frame is not understood")                       \
    X(KICKED, "kicked", 403, 4403, "The session was closed by the backend")                        \
    X(NO_HEARTBEAT, "no_heartbeat", 408, 4408, "The client answered no ping")                      \
    X(GAP, "gap", 410, 4410, "Messages after the cursor are no longer kept")                       \
    X(TOO_MANY_SESSIONS_OF_USER, "too_many_sessions_of_user", 429, 4429, "Too many sessions")      \
    X(TOO_MANY_CHANNELS, "too_many_channels", 422, 4400, "Too many channels")                      \
    X(TOO_MANY_SESSIONS_OF_IP, "too_many_sessions_of_ip", 429, 4429, "Too many sessions")          \
    X(STALLED, "stalled", 408, 4508, "The client stopped reading")

enum err {
    ERR_NONE,
#define ERR_ENUM(name, code, status, close, title) ERR_##name,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        ERR_COUNT
};

/* The word for the wire, logs and metrics; "none" for ERR_NONE. */
const char *err_code(enum err err);
/* HTTP status; 200 for ERR_NONE. */
int err_status(enum err err);
/* WebSocket close code (RFC 6455 section 7.4 and docs/wire.md); 1000 for ERR_NONE. */
int err_close_code(enum err err);
/* Title of the HTTP problem (RFC 9457 section 3.1.3). */
const char *err_title(enum err err);

#endif
