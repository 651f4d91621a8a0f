/* publish_content.h - what a message says, out of the object in which it came.
 *
 * That is `message`, any JSON, as it was written; or an event: `event` with `message`, its one
 * argument, or with `args`, and with the `attachments` that these stand for. Worker's thread only.
 * The wire is in docs/wire.md. */
#ifndef SESSION_PUBLISH_CONTENT_H
#define SESSION_PUBLISH_CONTENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct draft;
struct publish_problem;

/* Sets kind and body of the draft, which is borrowed from the text, or from what is written to
 * `content`. text is the object as it was written. False: the problem is set. */
bool publish_content_read(const json_t *object, const char *text, size_t size, size_t max_message,
                          struct buf *content, struct draft *draft,
                          struct publish_problem *ret_problem);

#endif
