/* adoption.h - can a request's socket be taken over from this libmicrohttpd?
 *
 * request_adopt rests on what the library does not promise: that it closes its descriptor of a
 * refused request without shutdown(2). So it is tried once at start, on a connection of our own;
 * where it fails, event streams are refused (501) and long polls answer at once. Main thread. */
#ifndef HTTP_ADOPTION_H
#define HTTP_ADOPTION_H

#include <stdbool.h>

bool adoption_works(void);

#endif
