#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "config/config_row.h"

const char *config_spell_flag(char ret_text[static CONFIG_NAME_SIZE], const char *key)
{
    char *end = stpcpy(ret_text, "--");
    for (; *key; key++)
        *end++ = *key == '_' ? '-' : *key;
    *end = '\0';
    return ret_text;
}

const char *config_spell_variable(char ret_text[static CONFIG_NAME_SIZE], const char *key)
{
    char *end = stpcpy(ret_text, "PUSHWIRE_");
    for (; *key; key++)
        *end++ = (char)toupper((unsigned char)*key);
    *end = '\0';
    return ret_text;
}

/* What other servers call it. */
static const struct {
    const char *word, *key;
} other_words[] = {{"port", "listen"},     {"host", "listen"},      {"address", "listen"},
                   {"bind", "listen"},     {"data", "data_dir"},    {"datadir", "data_dir"},
                   {"threads", "workers"}, {"verbose", "log_level"}};

/* Keeps key if it is nearer to written than *nearest was. */
static void consider(const char *key, const char *written, const char **nearest, size_t *distance)
{
    size_t edits = text_distance(written, key);
    if (edits < *distance) {
        *distance = edits;
        *nearest = key;
    }
}

const char *config_row_nearest(const char *written, const char *const *others)
{
    char plain[CONFIG_NAME_SIZE];
    size_t length = strlen(written);
    const char *nearest = NULL;
    size_t distance = length / 3 + 2; /* more edits than that are another word */

    if (length >= sizeof plain)
        return NULL;
    for (size_t i = 0; i <= length; i++)
        plain[i] = written[i] == '-' ? '_' : (char)tolower((unsigned char)written[i]);
    for (size_t i = 0; i < sizeof other_words / sizeof *other_words; i++)
        if (!strcmp(other_words[i].word, plain))
            return other_words[i].key;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
        consider(config_row((enum config_key)i)->key, plain, &nearest, &distance);
    for (; *others; others++)
        consider(*others, plain, &nearest, &distance);
    return nearest;
}
