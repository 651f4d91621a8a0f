#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/need.h"

#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define KEY_LENGTH     24

bool digest_websocket_accept(const char *key, char ret_accept[static DIGEST_ACCEPT_SIZE])
{
    char joined[KEY_LENGTH + sizeof WEBSOCKET_GUID];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int size;
    int length = snprintf(joined, sizeof joined, "%.*s" WEBSOCKET_GUID, KEY_LENGTH, key);
    if (!EVP_Digest(joined, (size_t)length, sum, &size, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock((unsigned char *)ret_accept, sum, (int)size);
    return true;
}

bool digest_is_websocket_key(const char *key)
{
    unsigned char bytes[KEY_LENGTH];
    if (strlen(key) != KEY_LENGTH || strcmp(key + KEY_LENGTH - 2, "==") != 0 ||
        strcspn(key, "=") != KEY_LENGTH - 2)
        return false;
    return EVP_DecodeBlock(bytes, (const unsigned char *)key, KEY_LENGTH) == 18;
}

bool digest_sha256(const void *bytes, size_t size, unsigned char ret_digest[static DIGEST_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(bytes, size, sum, NULL, EVP_sha256(), NULL))
        return false;
    memcpy(ret_digest, sum, DIGEST_SIZE);
    return true;
}

bool digest_sha256_hex(const void *bytes, size_t size, char ret_hex[static DIGEST_HEX_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(bytes, size, sum, NULL, EVP_sha256(), NULL))
        return false;
    digest_hex(sum, (DIGEST_HEX_SIZE - 1) / 2, ret_hex);
    return true;
}

bool digest_same(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

void digest_random(void *ret_bytes, size_t size)
{
    need(RAND_bytes(ret_bytes, (int)size) == 1 ? 0 : EIO, "random bytes");
}

void digest_hex(const void *bytes, size_t size, char *ret_hex)
{
    for (size_t i = 0; i < size; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
    ret_hex[2 * size] = '\0';
}
