/* fuzz_config.c - the configuration file. What is read must print as something that reads back
 * to the same values; what is refused must say why. */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static char *print(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert(out);
    config_print(out, config);
    fclose(out);
    return text;
}

/* Takes "  # file pushwire.yaml:3" away: only the values are to be the same. */
static void cut_comments(char *text)
{
    char *to = text;

    for (const char *from = text; *from; *to++ = *from++)
        if (!strncmp(from, "  # ", 4))
            from += strcspn(from, "\n");
    *to = '\0';
}

static void check_round_trip(const struct config *config)
{
    struct config again;
    char *error = NULL;
    char *first = print(config);

    config_init_defaults(&again);
    int err = config_parse_text(&again, "printed\xff\n.yaml", first, strlen(first), &error);
    assert(!err);
    char *second = print(&again);
    cut_comments(first);
    cut_comments(second);
    assert(!strcmp(first, second));
    free(first);
    free(second);
    config_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    char *error = NULL;

    config_init_defaults(&config);
    if (config_parse_text(&config, "pushwire.yaml", (const char *)data, size, &error))
        assert(error && !strncmp(error, "pushwire.yaml", strlen("pushwire.yaml")));
    else
        check_round_trip(&config);
    free(error);
    config_finish(&config);
    return 0;
}
