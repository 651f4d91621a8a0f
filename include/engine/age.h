/* age.h - what of the clock that messages age by outlives a process.
 *
 * While a process lives, messages age by the machine's steady clock: setting the wall clock ages
 * nothing, nor does sleep. A file's messages go on ageing in the next epoch, by what the wall clock
 * says has passed; so what is known of the two is kept in the file, and when a message expires is
 * right in every epoch. Where they cannot tell how long it was, nothing aged. */
#ifndef ENGINE_AGE_H
#define ENGINE_AGE_H

#include <stdbool.h>
#include <stdint.h>

struct message;

struct age {
    int64_t last_ms; /* the age when it was noted last; 0: never */
    int64_t lag_ms;  /* so far the wall clock is ahead of it: it was set, or the machine slept */
    bool doubted;    /* the wall clock went back: how long the next pause is cannot be told */
};

/* The age at which an epoch begins; it never goes back. */
int64_t age_begin(const struct age *age, int64_t wall_ms);

/* Compares it with the wall clock. True: something has changed that the file must have before the
 * next message. */
bool age_follow(struct age *age, int64_t age_ms, int64_t wall_ms);

/* Is the wall clock behind what it said before? */
bool age_is_behind(const struct age *age, int64_t age_ms, int64_t wall_ms);

/* How messages are judged. While a clock is in doubt nothing goes for its age, and is shown; but
 * what its publisher gave a time of its own is not, once that is over: late, it would be wrong. */
struct expiry {
    int64_t any_ms; /* what has expired by then is over; 0: nothing is */
    int64_t own_ms; /* what has a ttl of its own and has expired by then is not shown */
};

/* Is it past its time for who reads? */
bool expiry_hides(const struct expiry *expiry, const struct message *message);

#endif
