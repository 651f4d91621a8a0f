/* config_yaml.h - reads one flat YAML (or JSON) mapping: keys to scalars or lists of scalars.
 *
 * Knows the shape of the file, not its keys. Refuses what YAML has beyond that: nested mappings,
 * anchors, aliases, tags, several documents. */
#ifndef CONFIG_CONFIG_YAML_H
#define CONFIG_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

struct config_errors;

struct config_yaml_pair {
    const char *key;
    char *const *items; /* one, unless is_list */
    size_t count;
    bool is_list;
    bool is_null; /* nothing, ~ or null */
};

/* Calls on_pair for each pair in order, with errors standing at its line and key; what it is
 * given lasts until it returns. Stops at the first fault of shape and adds it to errors.
 * An empty text has no pairs. */
void config_yaml_read(const char *text, size_t size, struct config_errors *errors,
                      void (*on_pair)(void *context, const struct config_yaml_pair *pair),
                      void *context);

#endif
