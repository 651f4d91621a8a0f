/* config_table.h - every key of the configuration, once.
 *
 * The fields of struct config, the flags, the environment, the file, --help, --print-config and
 * docs/configuration.md all come from these rows. A key that does nothing is not here. */
#ifndef CONFIG_CONFIG_TABLE_H
#define CONFIG_CONFIG_TABLE_H

/* X(type, key, default, limits, section, change, over, help)
 *
 * type     STRING LIST INT BOOL DURATION SIZE ENUM; durations become a field with the suffix _ms
 * default  as a user would write it
 * limits   RANGE(min, max), RANGE_OR(min, max, word for 0), WORDS(one|or|other), FORM(of text), ANY
 * change   RELOAD: can change while the server runs; RESTART: cannot
 * over     what a client or an old message meets beyond the limit */
#define CONFIG_TABLE(X)                                                                            \
    X(LIST, listen, "localhost:8000", FORM(ADDRESS), SERVER, RESTART, "",                          \
      "where to listen; port 0: any; or unix:/path")                                               \
    X(INT, workers, "1", RANGE(1, 64), SERVER, RESTART, "",                                        \
      "threads that serve connections, one loop each")                                             \
    X(ENUM, broker, "sqlite", WORDS("sqlite|memory"), SERVER, RESTART, "",                         \
      "what keeps the messages: a file, or memory alone")                                          \
    X(STRING, data_dir, "auto", FORM(PATH), SERVER, RESTART, "",                                   \
      "folder; auto: $STATE_DIRECTORY, else ./pushwire-data")                                      \
    X(ENUM, sync, "full", WORDS("full|normal"), SERVER, RESTART, "",                               \
      "full outlives power loss, normal only kill -9")                                             \
    X(ENUM, root_room, "lobby", WORDS("lobby|room|off"), SERVER, RESTART, "",                      \
      "the text chat that a WebSocket on / opens")                                                 \
    X(STRING, root_greeting, "", FORM(TEXT), SERVER, RESTART, "", "the first that it hears")       \
    X(STRING, public, "", FORM(PATH), SERVER, RESTART, "",                                         \
      "folder whose files are served in the place of the page")                                    \
    X(STRING, metrics_listen, "", FORM(ADDRESS), SERVER, RESTART, "",                              \
      "an address of its own for /metrics")                                                        \
    X(BOOL, dev_echo, "false", ANY, SERVER, RESTART, "",                                           \
      "a WebSocket echo, for conformance suites")                                                  \
    X(BOOL, dev_socketio, "false", ANY, SERVER, RESTART, "",                                       \
      "what the suites of Engine.IO and Socket.IO ask for")                                        \
    X(STRING, keys_file, "", FORM(PATH), ACCESS, RESTART, "401",                                   \
      "keys of publishers, made by `pushwire key new`")                                            \
    X(STRING, jwt_secret_file, "", FORM(PATH), ACCESS, RESTART, "401",                             \
      "secrets of tokens (HS256), the first signs")                                                \
    X(STRING, jwks_file, "", FORM(PATH), ACCESS, RESTART, "401",                                   \
      "public keys of tokens (RS256, ES256)")                                                      \
    X(STRING, jwt_issuer, "", FORM(TEXT), ACCESS, RELOAD, "401", "what `iss` must be")             \
    X(STRING, jwt_audience, "", FORM(TEXT), ACCESS, RELOAD, "401", "what `aud` must contain")      \
    X(LIST, allowed_origins, "", FORM(ORIGIN), ACCESS, RELOAD, "403",                              \
      "sites whose pages may connect beside our own")                                              \
    X(LIST, trusted_proxies, "", FORM(NETWORK), ACCESS, RELOAD, "",                                \
      "whose X-Forwarded-For counts")                                                              \
    X(BOOL, insecure_open, "false", ANY, ACCESS, RESTART, "",                                      \
      "serve others without credentials, any Host")                                                \
    X(ENUM, log_level, "info", WORDS("error|warn|info|debug"), LOG, RELOAD, "",                    \
      "tells what is at least this important")                                                     \
    X(ENUM, log_format, "auto", WORDS("auto|logfmt|json"), LOG, RESTART, "",                       \
      "form of a log line; auto: logfmt, with priorities in the journal")                          \
    X(BOOL, access_log, "false", ANY, LOG, RELOAD, "", "one log line a request")                   \
    X(SIZE, max_message, "64KiB", RANGE(KIB, 16 * MIB), HTTP, RELOAD, "413",                       \
      "the `message` of one notification, as JSON")                                                \
    X(SIZE, max_body, "256KiB", RANGE(KIB, 64 * MIB), HTTP, RELOAD, "413",                         \
      "the body of a request")                                                                     \
    X(SIZE, max_buffered, "128MiB", RANGE(MIB, 1024 * GIB), HTTP, RESTART, "503",                  \
      "bodies, answers and sends in flight, all together, shared out among the workers")           \
    X(SIZE, max_head, "8KiB", RANGE(KIB, 64 * KIB), HTTP, RESTART, "431",                          \
      "request line and headers together")                                                         \
    X(DURATION, head_timeout, "10s", RANGE(SECOND, 10 * MINUTE), HTTP, RESTART, "408 and close",   \
      "time for a request's head to arrive")                                                       \
    X(DURATION, request_timeout, "15s", RANGE(SECOND, 10 * MINUTE), HTTP, RESTART,                 \
      "408 and close, 503",                                                                        \
      "time for a request's body to arrive, for the broker to answer, for the answer to leave")    \
    X(DURATION, keepalive, "75s", RANGE(SECOND, HOUR), HTTP, RESTART, "close",                     \
      "time an idle connection waits for its next request")                                        \
    X(INT, max_sessions, "auto", RANGE_OR(1, 10000000, "auto"), SESSIONS, RESTART, "503",          \
      "open sessions; auto: what the limit of open files leaves room for")                         \
    X(INT, max_sessions_per_user, "1024", RANGE(1, 1000000), SESSIONS, RESTART, "4429",            \
      "open sessions of one user")                                                                 \
    X(INT, max_sessions_per_ip, "off", RANGE_OR(0, 1000000, "off"), SESSIONS, RESTART, "4429",     \
      "open sessions from one network address (of IPv6, one /64)")                                 \
    X(INT, max_unauthenticated, "1000", RANGE(1, 10000000), SESSIONS, RESTART, "1013",             \
      "open sessions whose token is still to come; one address may have half of them")             \
    X(DURATION, auth_timeout, "10s", RANGE(SECOND, 10 * MINUTE), SESSIONS, RELOAD, "4401",         \
      "time for a session's token to come")                                                        \
    X(DURATION, token_max_age, "30d", RANGE(DAY, 3650 * DAY), SESSIONS, RESTART, "401",            \
      "longest life of a token; revocations are remembered for as long")                           \
    X(INT, max_channels_per_session, "100", RANGE(0, 1000), SESSIONS, RESTART, "error frame",      \
      "channels one session may listen to")                                                        \
    X(INT, max_channels, "1000000", RANGE(1, 100000000), SESSIONS, RESTART, "error frame",         \
      "channels that have a session, shared out among the workers")                                \
    X(SIZE, ws_max_message, "64KiB", RANGE(KIB, 16 * MIB), SESSIONS, RESTART, "1009",              \
      "a message from a WebSocket client")                                                         \
    X(INT, ws_max_fragments, "128", RANGE(1, 65536), SESSIONS, RESTART, "1008",                    \
      "fragments of one such message")                                                             \
    X(DURATION, heartbeat, "25s", RANGE(SECOND, HOUR), SESSIONS, RESTART, "4408",                  \
      "time between pings; two unanswered ones end the session")                                   \
    X(DURATION, poll_wait, "25s", RANGE(SECOND, 55 * SECOND), SESSIONS, RELOAD, "",                \
      "how long a long poll waits that names no time of its own")                                  \
    X(SIZE, queue_high, "256KiB", RANGE(16 * KIB, 64 * MIB), SESSIONS, RELOAD, "behind",           \
      "unsent bytes a session may hold before it reads from the broker at its own pace")           \
    X(DURATION, stall_timeout, "30s", RANGE(SECOND, HOUR), SESSIONS, RESTART, "4508",              \
      "time a reader may take nothing at all")                                                     \
    X(DURATION, ttl, "7d", RANGE(0, 3650 * DAY), KEEPING, RELOAD, "",                              \
      "how long a message is kept that names no ttl of its own")                                   \
    X(DURATION, ttl_max, "30d", RANGE(SECOND, 3650 * DAY), KEEPING, RELOAD, "422",                 \
      "longest ttl a message may name")                                                            \
    X(INT, keep_messages, "10000", RANGE(1, 100000000), KEEPING, RESTART, "oldest go, gap",        \
      "messages kept for one address")                                                             \
    X(SIZE, keep_bytes, "auto", RANGE_OR(KIB, 1024 * GIB, "auto"), KEEPING, RESTART,               \
      "oldest go, gap", "bytes kept for one address; auto: 64MiB, in memory 16MiB")                \
    X(SIZE, keep_total, "auto", RANGE_OR(KIB, 1024 * GIB, "auto"), KEEPING, RESTART,               \
      "oldest go, gap", "bytes kept in all; auto: 4GiB, in memory 64MiB")                          \
    X(SIZE, recent_bytes, "32MiB", RANGE(MIB, 64 * GIB), KEEPING, RESTART, "",                     \
      "newest messages that are held in memory beside the disk")                                   \
    X(SIZE, disk_reserve, "64MiB", RANGE(0, 1024 * GIB), KEEPING, RESTART, "507",                  \
      "free space of the disk that is left alone, at most 2 % of it")                              \
    X(DURATION, idempotency_ttl, "24h", RANGE(SECOND, 3650 * DAY), KEEPING, RESTART, "oldest go",  \
      "how long a message's key is remembered")                                                    \
    X(INT, idempotency_entries, "1000000", RANGE(1, 100000000), KEEPING, RESTART, "oldest go",     \
      "message keys remembered")                                                                   \
    X(INT, devices_per_user, "20", RANGE(1, 1000), KEEPING, RESTART, "oldest go",                  \
      "devices of one user whose cursors are kept")                                                \
    X(DURATION, drain, "8s", RANGE(0, HOUR), STOPPING, RELOAD, "",                                 \
      "time to finish in when told to stop")                                                       \
    X(DURATION, drain_delay, "0s", RANGE(0, HOUR), STOPPING, RELOAD, "",                           \
      "time to answer /readyz with 503 before connections are refused")                            \
    X(DURATION, retry_spread, "5s", RANGE(0, HOUR), STOPPING, RELOAD, "",                          \
      "time over which clients sent away come back")

/* X(section, title, whether --help gives each key a line) */
#define CONFIG_SECTIONS(X)                                                                         \
    X(SERVER, "Server", true)                                                                      \
    X(ACCESS, "Who may do what", true)                                                             \
    X(LOG, "Log", false)                                                                           \
    X(HTTP, "HTTP limits", false)                                                                  \
    X(SESSIONS, "Sessions", false)                                                                 \
    X(KEEPING, "Keeping messages", false)                                                          \
    X(STOPPING, "Stopping", false)

#endif
