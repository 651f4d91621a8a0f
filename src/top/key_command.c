#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "model/keys.h"
#include "top/commands.h"
#include "top/options.h"

/* On a line of its own, even after one that somebody left without an end. 0, or an errno. */
static int append(const char *path, const struct buf *line)
{
    char last = '\n';
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    off_t size = lseek(fd, 0, SEEK_END);
    struct buf text;
    buf_init(&text);
    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n')
        buf_add_text(&text, "\n");
    buf_add(&text, line->data, line->size);
    int err = 0;
    errno = 0;
    if (!buf_ok(&text) || write(fd, text.data, text.size) != (ssize_t)text.size || fsync(fd) != 0)
        err = errno ? errno : EIO;
    buf_finish(&text);
    close(fd);
    return err;
}

static int publish(const char *path, const char *key, const struct buf *line)
{
    int err = path ? append(path, line) : 0;
    if (err) {
        fprintf(stderr, "pushwire key: %s: %s\n", path, strerror(err));
        return 1;
    }
    printf("This is shown once: %s\n", key);
    if (!path)
        printf("%.*s", (int)line->size, line->data);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int new_key(const struct config *config)
{
    const char *scope = "send", *sender = NULL, *prefix = NULL, *id = NULL;
    const char *path = *config->keys_file ? config->keys_file : NULL;
    const struct option_row rows[] = {
        {"--scope", &scope, NULL}, {"--sender", &sender, NULL},  {"--prefix", &prefix, NULL},
        {"--id", &id, NULL},       {"--keys-file", &path, NULL},
    };
    char key[KEY_TEXT_MAX], created[CLOCK_TEXT_SIZE], *error = NULL;
    struct buf line;
    if (!options_read("key new", config->arguments + 1, config->argument_count - 1, rows,
                      sizeof rows / sizeof *rows))
        return 2;
    clock_format(clock_wall_ms(), created);
    buf_init(&line);
    int code = 2;
    if (keys_draw(id, scope, sender, prefix, created, key, &line, &error))
        code = publish(path, key, &line);
    else
        fprintf(stderr, "pushwire key: %s\n", error);
    free(error);
    buf_finish(&line);
    return code;
}

int key_command(const struct config *config)
{
    if (config->argument_count && strcmp(config->arguments[0], "new") == 0)
        return new_key(config);
    fputs("usage: pushwire key new [--scope send,read,manage,token] [--sender NAME] "
          "[--prefix PREFIX] [--id ID] [--keys-file FILE]\n",
          stderr);
    return 2;
}
