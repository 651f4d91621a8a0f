/* config_docs.c - keeps docs/configuration.md the same as the table of keys.
 *
 *     config_docs FILE      fails, and says what to do, when FILE is not what the table says
 *     config_docs -w FILE   writes it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static char *wanted(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    config_docs(out);
    fclose(out);
    return text;
}

static int check(const char *path, const char *text)
{
    size_t size = strlen(text);
    char *found = calloc(1, size + 2);
    FILE *in = fopen(path, "r");
    int same = in && found && fread(found, 1, size + 1, in) == size && !memcmp(found, text, size);

    if (in)
        fclose(in);
    free(found);
    if (same)
        return 0;
    fprintf(stderr, "%s does not match the table of keys: ninja -C build config-docs\n", path);
    return 1;
}

static int write_to(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    if (out && fputs(text, out) >= 0 && !fclose(out))
        return 0;
    perror(path);
    return 1;
}

int main(int argc, char *argv[])
{
    int writes = argc == 3 && !strcmp(argv[1], "-w");

    if (argc != 2 && !writes) {
        fprintf(stderr, "usage: %s [-w] FILE\n", argv[0]);
        return 2;
    }
    char *text = wanted();
    int status = writes ? write_to(argv[2], text) : check(argv[1], text);
    free(text);
    return status;
}
