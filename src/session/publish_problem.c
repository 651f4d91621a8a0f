#include "session/publish_problem.h"

#include <stdarg.h>
#include <stdio.h>

bool publish_refuse(struct publish_problem *ret_problem, enum err err, const char *field,
                    const char *detail, ...)
{
    va_list args;
    va_start(args, detail);
    ret_problem->err = err;
    ret_problem->field = field;
    vsnprintf(ret_problem->detail, sizeof ret_problem->detail, detail, args);
    va_end(args);
    return false;
}

bool publish_missing(struct publish_problem *ret_problem, const char *field, const char *detail)
{
    return publish_refuse(ret_problem, ERR_MISSING_FIELD, field, "%s", detail);
}

bool publish_wrong(struct publish_problem *ret_problem, const char *field, const char *detail)
{
    return publish_refuse(ret_problem, ERR_BAD_FIELD, field, "%s", detail);
}

bool publish_out_of_memory(struct publish_problem *ret_problem)
{
    return publish_refuse(ret_problem, ERR_OUT_OF_MEMORY, NULL, "Try again in a moment.");
}
