/* fuzz_token.c - tokens of receivers. The first byte says what the rest is: a whole token; a header
 * or claims, then signed as they should be, so that what lies behind the signature is reached; a
 * JWK set; secrets. */
#include "fuzz.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "model/token.h"
#include "model/topic.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW    INT64_C(1769860800000)
#define HEADER "{\"alg\":\"HS256\"}"
#define CLAIMS "{\"sub\":\"a\",\"exp\":1769860900}"
#define ROOM   65536

static const struct claims_rules rules = {.max_age_ms = 86400000};

static void verify(const char *token, size_t length)
{
    static struct token_keys *keys;
    struct claims *claims = NULL;
    const char *why = NULL;
    char *error = NULL;

    if (!keys) {
        keys = token_keys_create();
        token_keys_add_secrets(keys, SECRET, strlen(SECRET), &error);
    }
    int err = token_verify(keys, &rules, token, length, NOW, &claims, &why);
    assert(err == 0 || err == ERR_UNAUTHORIZED || err == ERR_TOKEN_EXPIRED);
    if (err) {
        assert(why && !claims);
        return;
    }
    const char *user = claims_user(claims);
    assert(topic_is_name(user, strlen(user)));
    assert(claims_end_ms(claims) > NOW);
    claims_cover_channel(claims, user, strlen(user));
    claims_may_publish(claims, user, strlen(user));
    claims_destroy(claims);
}

static size_t add_base64(char *to, const void *bytes, size_t size)
{
    int length = EVP_EncodeBlock((unsigned char *)to, bytes, (int)size);
    while (length > 0 && to[length - 1] == '=')
        length--;
    for (int i = 0; i < length; i++)
        to[i] = to[i] == '+' ? '-' : to[i] == '/' ? '_' : to[i];
    return (size_t)length;
}

static void sign_and_verify(const void *header, size_t header_size, const void *claims,
                            size_t claims_size)
{
    static char token[3 * ROOM];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int sum_size;
    size_t length = add_base64(token, header, header_size);

    token[length++] = '.';
    length += add_base64(token + length, claims, claims_size);
    HMAC(EVP_sha256(), SECRET, strlen(SECRET), (unsigned char *)token, length, sum, &sum_size);
    token[length++] = '.';
    length += add_base64(token + length, sum, sum_size);
    verify(token, length);
}

typedef bool add_keys(struct token_keys *keys, const char *text, size_t size, char **ret_error);

static void parse(add_keys *add, const char *text, size_t size)
{
    struct token_keys *keys = token_keys_create();
    char *error = NULL;

    bool done = add(keys, text, size, &error);
    assert(done == !error);
    free(error);
    token_keys_destroy(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || size > ROOM)
        return 0;
    const char *text = (const char *)data + 1;
    size--;
    switch (data[0]) {
    case 'c':
        sign_and_verify(HEADER, strlen(HEADER), text, size);
        break;
    case 'h':
        sign_and_verify(text, size, CLAIMS, strlen(CLAIMS));
        break;
    case 'j':
        parse(token_keys_add_jwks, text, size);
        break;
    case 's':
        parse(token_keys_add_secrets, text, size);
        break;
    default:
        verify((const char *)data, size + 1);
    }
    return 0;
}
