/* need.h - what a start cannot do without: threads, descriptors, random bytes.
 *
 * The like of mem.h for what the kernel refuses: that is no mistake of ours, so it is no assert.
 * For start-up only; whatever a request or a session causes is checked. Any thread. */
#ifndef BASE_NEED_H
#define BASE_NEED_H

/* err: an errno, or libuv's of either sign; 0: all is well. Else ends the process with one clear
 * line, which names what was needed. */
void need(int err, const char *what);

#endif
