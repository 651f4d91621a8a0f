/* hash.h - keyed hashes of names that clients choose.
 *
 * SipHash-1-3 under a key drawn once at start, so that nobody outside can make names collide.
 * The key is set before any thread starts and never changes. Any thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draws the key from the kernel. Tests that never call it hash under an all-zero key. */
void hash_seed(void);

/* The key, for who stores hashes beyond the process's life. */
void hash_get_key(uint64_t ret_key[static 2]);
void hash_set_key(const uint64_t key[static 2]);

uint64_t hash_bytes(const void *bytes, size_t size);

/* A number that looks random to whoever lacks the key and never repeats for different n. */
uint64_t hash_number(uint64_t n);

/* An n to begin to count at, drawn from the kernel: the numbers from there on meet those of no
 * other thread, no earlier life whatever the clock says, and no other node with the same key. */
uint64_t hash_draw_number(void);

#endif
