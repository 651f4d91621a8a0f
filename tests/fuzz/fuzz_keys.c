/* fuzz_keys.c - the keys file. What is refused must say in which line; what is read lets in nobody
 * but who has a key of it. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/api_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char *error = NULL;
    struct api_keys *keys = keys_parse(text, size, &error);

    if (!keys) {
        assert(error && error[0] >= '1' && error[0] <= '9' && strchr(error, ':'));
        free(error);
        return 0;
    }
    assert(!error && keys_count(keys) <= size / DIGEST_HEX_SIZE);
    assert(!keys_find(keys, text, size)); /* a file that is the key to itself would be news */
    keys_unref(keys);
    return 0;
}
