/* bench.h - what the floor and the load generator share: sockets ready on an epoll, one
 * thread, and an end with a clear line when the machine does not play along. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket that a loop looks after; embedded first in whatever owns it. */
struct watch {
    int fd;
    void (*ready)(struct watch *w); /* readable, or gone; may close its own watch, no other */
};

/* Prints "bench: ..." with errno's text when errno is set, and exits 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* calloc and realloc that end the process instead of failing. */
void *must_alloc(size_t count, size_t size);
void *must_grow(void *block, size_t count, size_t size);

/* Raises the soft limit of open files to the hard one. */
void raise_open_files(void);

/* CLOCK_MONOTONIC. */
int64_t now_ns(void);

void set_no_delay(int fd);

/* The value of "digits" decimal digits; 0 if there is anything else among them. */
uint64_t read_digits(const char *at, int digits);
void write_digits(char *at, uint64_t value, int digits);

/* An epoll, level-triggered. */
int loop_open(void);
void loop_add(int loop, struct watch *w);

/* Waits at most timeout_ns (below 0: without end) and calls ready for what is. A signal ends
 * the wait early. */
void loop_turn(int loop, int64_t timeout_ns);

/* Leaves the loop too; twice is fine. A "hard" close sends a reset, so that no port is
 * left in TIME_WAIT. */
void watch_close(struct watch *w, bool hard);

#endif
