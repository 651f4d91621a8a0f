/* send_lines.h - POST /send-messages: a backend sends many messages, one a line (NDJSON).
 *
 * Lines are published as they arrive; many may be on their way at once, so that they share what the
 * broker does to keep them. One result a line, in order, is answered after the last. Worker's
 * thread only. The wire is in docs/wire.md. */
#ifndef API_SEND_LINES_H
#define API_SEND_LINES_H

#include <stddef.h>
#include <stdint.h>

#define SEND_LINES_MAX      10000                    /* in one request */
#define SEND_LINES_MAX_SIZE ((size_t)16 << 20)       /* of its body, and of its results */
#define SEND_LINES_MAX_US   ((int64_t)600 * 1000000) /* from its head to its last line */
#define SEND_LINES_WINDOW   1000 /* on their way at once, within max_body bytes */

#endif
