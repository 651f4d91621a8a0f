#include "api/api.h"

#include <assert.h>

static const struct route_family *const families[] = {
#define API_ROW(family) &family,
    API_TABLE(API_ROW)
#undef API_ROW
};

size_t api_count(void)
{
    return sizeof families / sizeof *families;
}

const struct route_family *api_at(size_t row)
{
    assert(row < api_count());
    return families[row];
}
