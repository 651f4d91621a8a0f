#include "base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/need.h"

static uint64_t key[2];

void hash_seed(void)
{
    need(getrandom(key, sizeof key, 0) == sizeof key ? 0 : errno, "random bytes");
}

void hash_get_key(uint64_t ret_key[static 2])
{
    memcpy(ret_key, key, sizeof key);
}

void hash_set_key(const uint64_t new_key[static 2])
{
    memcpy(key, new_key, sizeof key);
}

static inline uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t left = size;
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        absorb(v, word);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    absorb(v, word | (uint64_t)size << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_number(uint64_t n)
{
    /* A bijection: xor, multiply by odd numbers, shift-xor. */
    n ^= key[0];
    n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
    n = (n ^ n >> 32) * 0xd6e8feb86659fd93;
    return n ^ n >> 32 ^ key[1];
}

uint64_t hash_draw_number(void)
{
    uint64_t n;
    need(getrandom(&n, sizeof n, 0) == sizeof n ? 0 : errno, "random bytes");
    return n;
}
