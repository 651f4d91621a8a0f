#include "base/need.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void need(int err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "pushwire: cannot have %s: %s\n", what, strerror(abs(err)));
    _exit(1); /* other threads may be at work: nothing is torn down under them */
}
