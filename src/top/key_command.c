#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "config/config.h"
#include "base/file.h"
#include "model/api_keys.h"
#include "top/commands.h"

#define MAX_FILE ((size_t)16 * 1024 * 1024)

static int fail(const char *path, const char *reason)
{
    fprintf(stderr, "pushwire key: %s%s%s\n", path ? path : "", path ? ": " : "", reason);
    return 1;
}

/* ---- new ---- */

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
    if (err)
        return fail(path, strerror(err));
    printf("This is shown once: %s\n", key);
    if (!path)
        printf("%.*s", (int)line->size, line->data);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* What would end its word in the file's line, and be blamed as something else. */
static bool has_blank(const struct config *config, const char *flag)
{
    const char *value = config_option(config, flag);
    if (!value || (*value && !strpbrk(value, " \t\r\n")))
        return false;
    fprintf(stderr, "pushwire key: %s: one word, please, without blanks\n", flag);
    return true;
}

int key_new_command(const struct config *config)
{
    const char *scope = config_option(config, "--scope");
    const char *path = *config->keys_file ? config->keys_file : NULL;
    char key[KEY_TEXT_MAX], created[CLOCK_TEXT_SIZE], *error = NULL;
    struct buf line;
    if (has_blank(config, "--scope") || has_blank(config, "--sender") ||
        has_blank(config, "--prefix") || has_blank(config, "--id"))
        return 2;
    clock_format(clock_wall_ms(), created);
    buf_init(&line);
    int code = 2;
    if (keys_draw(config_option(config, "--id"), scope ? scope : "send",
                  config_option(config, "--sender"), config_option(config, "--prefix"), created,
                  key, &line, &error))
        code = publish(path, key, &line);
    else /* "1: ...": of which line, in the file */
        fail(NULL, strncmp(error, "1: ", 3) == 0 ? error + 3 : error);
    free(error);
    buf_finish(&line);
    return code;
}

/* ---- list and revoke ---- */

/* The file's bytes, to be finished, and what they say. NULL: said why. */
static struct api_keys *read_keys(const struct config *config, struct buf *ret_text)
{
    const char *path = config->keys_file;
    char *error = NULL;
    buf_init(ret_text);
    if (!*path) {
        fail(NULL, "say in which file: --keys-file FILE");
        return NULL;
    }
    int err = file_read(path, MAX_FILE, ret_text);
    struct api_keys *keys = err ? NULL : keys_parse(ret_text->data, ret_text->size, &error);
    if (!keys)
        fail(path, err ? strerror(err) : error);
    free(error);
    return keys;
}

static void print_key(const struct api_key *key)
{
    char scopes[64] = "";
    for (unsigned scope = SCOPE_SEND; scope <= SCOPE_TOKEN; scope <<= 1) {
        if (key->scopes & scope)
            snprintf(scopes + strlen(scopes), sizeof scopes - strlen(scopes), "%s%s",
                     *scopes ? "," : "", keys_scope_name((enum scope)scope));
    }
    printf("%s scope=%s", key->id, scopes);
    if (key->sender)
        printf(" sender=%s", key->sender);
    if (key->prefix)
        printf(" prefix=%s", key->prefix);
    putchar('\n');
}

int key_list_command(const struct config *config)
{
    struct buf text;
    struct api_keys *keys = read_keys(config, &text);
    for (size_t i = 0; keys && i < keys_count(keys); i++)
        print_key(keys_at(keys, i));
    int code = keys && fflush(stdout) == 0 ? 0 : 1;
    keys_unref(keys);
    buf_finish(&text);
    return code;
}

/* Where the line of this key begins, and its length with its end; NULL: there is none. */
static char *find_line(const struct buf *text, const char *id, size_t *ret_length)
{
    size_t id_length = strlen(id);
    char *at = text->data, *end = text->data + text->size;
    for (; at < end; at += *ret_length) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *word = at;
        *ret_length = (size_t)((newline ? newline + 1 : end) - at);
        while (word < at + *ret_length && (*word == ' ' || *word == '\t'))
            word++;
        if ((size_t)(at + *ret_length - word) > id_length && memcmp(word, id, id_length) == 0 &&
            (word[id_length] == ' ' || word[id_length] == '\t'))
            return at;
    }
    return NULL;
}

/* In the place of the old file, which the server may own. 0, or an errno. */
static int replace(const char *path, const struct buf *text)
{
    char real[PATH_MAX];
    struct stat old;
    if (!realpath(path, real) || stat(real, &old) != 0)
        return errno;
    int err = file_replace(real, text->data, text->size);
    if (!err && (chown(real, old.st_uid, old.st_gid) != 0 || chmod(real, old.st_mode & 07777) != 0))
        err = errno;
    return err;
}

int key_revoke_command(const struct config *config)
{
    const char *id = config->operands[0];
    struct buf text;
    size_t length;
    struct api_keys *keys = read_keys(config, &text);
    char *line = keys && text.size ? find_line(&text, id, &length) : NULL;
    int code = 1;
    if (keys && !line) {
        fprintf(stderr, "pushwire key: %s: has no key %s, see pushwire key list\n",
                config->keys_file, id);
    } else if (keys) {
        memmove(line, line + length, (size_t)(text.data + text.size - line) - length);
        text.size -= length;
        int err = replace(config->keys_file, &text);
        code = err ? fail(config->keys_file, strerror(err)) : 0;
    }
    if (code == 0)
        printf("revoked %s; the server refuses it once it has reloaded (SIGHUP)\n", id);
    keys_unref(keys);
    buf_finish(&text);
    return code;
}
