/* parser.h - the libmicrohttpd that is loaded, as what parses heads.
 *
 * 0.9.75 takes folded lines and a bare LF for proper ones, but leaves each string where it was
 * received, so that head_check can see them. Later ones have the same name to the linker, keep
 * strings otherwise, and can refuse such heads themselves. Which of it holds is not asked of a
 * version, but tried once at start, on heads of our own. */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>

/* How libmicrohttpd is run; the header of its own is needed to use this. */
#define PARSER_DAEMON_FLAGS                                                                        \
    (MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME |     \
     MHD_USE_TURBO | MHD_USE_ERROR_LOG)

struct MHD_Connection;
struct head;

struct parser {
    bool strict;   /* told to be: MHD_OPTION_STRICT_FOR_CLIENT. It refuses in its own words */
    bool in_place; /* strings lie where they were received, line ends overwritten by NUL */
};

/* How the loaded one must be run so that no head passes whose lines are not whole; where it can be
 * chosen, so that we are the one to refuse. False: there is no way. Main thread. */
bool parser_find(struct parser *ret_parser);

/* Of the loaded library, as "1.0.1". */
const char *parser_version(void);

/* What was parsed of the head of a request: its fields and its size. */
void parser_read(struct MHD_Connection *connection, struct head *head);

#endif
