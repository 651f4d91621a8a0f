#include "base/err.h"

#include <assert.h>

struct err_row {
    const char *code;
    int status;
    int close_code;
    const char *title;
};

static const struct err_row rows[ERR_COUNT] = {[ERR_NONE] = {"none", 200, 1000, "No error"},
#define ERR_ROW(name, code, status, close, title) [ERR_##name] = {code, status, close, title},
                                               ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

static const struct err_row *row(enum err err)
{
    assert((unsigned)err < ERR_COUNT);
    return &rows[err];
}

const char *err_code(enum err err)
{
    return row(err)->code;
}

int err_status(enum err err)
{
    return row(err)->status;
}

int err_close_code(enum err err)
{
    return row(err)->close_code;
}

const char *err_title(enum err err)
{
    return row(err)->title;
}
