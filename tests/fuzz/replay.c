/* replay.c - a main for a fuzzer: feeds it the files and folders named, so that each crash once
 * found stays found without clang. */
#include "fuzz.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Into a block of the exact size, so that a sanitizer sees a read past the end. */
static uint8_t *read_all(FILE *in, size_t *ret_size)
{
    size_t size = 0, room = 4096;
    uint8_t *data = malloc(room);

    while (data && (size += fread(data + size, 1, room - size, in)) == room)
        data = realloc(data, room *= 2);
    if (!data)
        return NULL;
    *ret_size = size;
    return realloc(data, size ? size : 1);
}

static int replay(const char *path)
{
    size_t size = 0;
    FILE *in = fopen(path, "rb");
    uint8_t *data = in ? read_all(in, &size) : NULL;
    int ok = data && !ferror(in);

    if (ok)
        LLVMFuzzerTestOneInput(data, size);
    else
        perror(path);
    free(data);
    if (in)
        fclose(in);
    return ok;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

int main(int argc, char *argv[])
{
    size_t count = 0, failed = 0;
    FTS *tree = argc > 1 ? fts_open(argv + 1, FTS_LOGICAL | FTS_NOCHDIR, by_name) : NULL;

    if (!tree) {
        fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
        return 2;
    }
    for (FTSENT *entry; (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_F && replay(entry->fts_path))
            count++;
        else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP)
            failed++;
    }
    fts_close(tree);
    printf("%zu inputs replayed\n", count);
    return failed || !count;
}
