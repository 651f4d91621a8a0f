/* process.h - what this process uses, as the kernel counts it.
 *
 * Any thread. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>

struct process_usage {
    int64_t cpu_us;         /* in user and kernel mode, of all threads */
    int64_t resident_bytes; /* 0 where that cannot be told */
};

struct process_usage process_look(void);

#endif
