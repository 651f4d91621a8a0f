/* digest.h - digests, random bytes and comparing in constant time, by OpenSSL.
 *
 * No state, any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

/* 28 characters and a NUL. */
#define DIGEST_ACCEPT_SIZE 29

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2). False: out of memory. */
bool digest_websocket_accept(const char *key, char ret_accept[static DIGEST_ACCEPT_SIZE]);

/* Is this the base64 form of exactly 16 bytes (RFC 6455 section 4.1)? */
bool digest_is_websocket_key(const char *key);

#define DIGEST_SIZE 16

/* The first 128 bits of the SHA-256; enough to tell bodies apart. False: out of memory. */
bool digest_sha256(const void *bytes, size_t size, unsigned char ret_digest[static DIGEST_SIZE]);

/* All of the SHA-256: 64 hex digits and a NUL. */
#define DIGEST_HEX_SIZE 65
bool digest_sha256_hex(const void *bytes, size_t size, char ret_hex[static DIGEST_HEX_SIZE]);

/* Takes as long whatever the bytes are, so that nobody can guess one after the other. */
bool digest_same(const void *a, const void *b, size_t size);

/* Fit for secrets; ends the process where the kernel has none. */
void digest_random(void *ret_bytes, size_t size);

/* 2 * size hex digits and a NUL. */
void digest_hex(const void *bytes, size_t size, char *ret_hex);

#endif
