/* publish_problem.h - why an object is no message.
 *
 * What a sender hears of it: a code, the field it is about, and a sentence. No state, any thread.
 */
#ifndef SESSION_PUBLISH_PROBLEM_H
#define SESSION_PUBLISH_PROBLEM_H

#include <stdbool.h>

#include "base/err.h"

struct publish_problem {
    enum err err;
    const char *field; /* or NULL */
    char detail[160];
};

/* All of these return false. */
__attribute__((format(printf, 4, 5))) bool publish_refuse(struct publish_problem *ret_problem,
                                                          enum err err, const char *field,
                                                          const char *detail, ...);
bool publish_missing(struct publish_problem *ret_problem, const char *field, const char *detail);
bool publish_wrong(struct publish_problem *ret_problem, const char *field, const char *detail);
bool publish_out_of_memory(struct publish_problem *ret_problem);

#endif
