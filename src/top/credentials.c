#include "top/credentials.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "config/config.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/access.h"
#include "model/api_keys.h"
#include "model/revocations.h"
#include "model/token.h"
#include "top/data.h"

#define MAX_FILE     ((size_t)16 * 1024 * 1024)
#define SECRET_FILE  "token-secret"
#define SECRET_BYTES 32

bool credentials_configured(const struct config *config)
{
    return *config->keys_file || *config->jwt_secret_file || *config->jwks_file;
}

__attribute__((format(printf, 2, 3))) static void fail(char **ret_error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(ret_error, format, args) < 0)
        *ret_error = mem_strdup("out of memory");
    va_end(args);
}

/* ---- the data folder ---- */

static bool make_path(const struct config *config, const char *name, char ret_path[static PATH_MAX],
                      char **ret_error)
{
    if (!data_path(config, "", ret_path)) {
        fail(ret_error, "data_dir: the path is too long");
        return false;
    }
    if (mkdir(ret_path, 0700) != 0 && errno != EEXIST) {
        fail(ret_error, "%s: cannot be made: %s; give another --data-dir", ret_path,
             strerror(errno));
        return false;
    }
    return data_path(config, name, ret_path);
}

struct revocations *credentials_open_revocations(const struct config *config, char **ret_error)
{
    char path[PATH_MAX];
    int64_t kept_ms = config->token_max_age_ms + 2 * CLAIMS_LEEWAY_MS;
    if (!credentials_configured(config))
        return revocations_open(NULL, kept_ms, clock_wall_ms());
    if (!make_path(config, "revocations", path, ret_error))
        return NULL;
    struct revocations *revocations = revocations_open(path, kept_ms, clock_wall_ms());
    if (!revocations)
        fail(ret_error, "%s: %s; whose tokens are revoked is kept there, give another --data-dir",
             path, strerror(errno));
    return revocations;
}

/* ---- keys ---- */

/* Some editors put a byte order mark first, which would become part of a secret, and some write
 * UTF-16, which would be another secret altogether. */
static bool drop_mark(struct buf *buf)
{
    if (buf->size >= 3 && memcmp(buf->data, "\xef\xbb\xbf", 3) == 0)
        buf_consume(buf, 3);
    return buf->size < 2 ||
           (memcmp(buf->data, "\xff\xfe", 2) != 0 && memcmp(buf->data, "\xfe\xff", 2) != 0);
}

static bool read_file(const char *path, struct buf *ret_buf, char **ret_error)
{
    buf_init(ret_buf);
    int err = file_read(path, MAX_FILE, ret_buf);
    if (!err && drop_mark(ret_buf))
        return true;
    fail(ret_error, "%s: %s", path, err ? strerror(err) : "is UTF-16; save it as UTF-8");
    buf_finish(ret_buf);
    return false;
}

/* Takes the error of a parser and says in which file it is. */
static bool locate(const char *path, char *error, char **ret_error)
{
    fail(ret_error, "%s:%s%s", path, error[0] >= '0' && error[0] <= '9' ? "" : " ", error);
    free(error);
    return false;
}

static bool read_keys(const char *path, struct api_keys **ret_keys, char **ret_error)
{
    struct buf buf;
    char *error = NULL;
    if (!*path)
        return true;
    if (!read_file(path, &buf, ret_error))
        return false;
    *ret_keys = keys_parse(buf.data, buf.size, &error);
    buf_finish(&buf);
    return *ret_keys || locate(path, error, ret_error);
}

typedef bool add_keys(struct token_keys *keys, const char *text, size_t size, char **ret_error);

static bool add_file(struct token_keys *keys, add_keys *add, const char *path, char **ret_error)
{
    struct buf buf;
    char *error = NULL;
    if (!*path)
        return true;
    if (!read_file(path, &buf, ret_error))
        return false;
    bool done = add(keys, buf.data ? buf.data : "", buf.size, &error);
    buf_finish(&buf);
    return done || locate(path, error, ret_error);
}

static void draw_secret(char ret_text[static 2 * SECRET_BYTES + 2])
{
    unsigned char secret[SECRET_BYTES];
    digest_random(secret, sizeof secret);
    digest_hex(secret, sizeof secret, ret_text);
    strcat(ret_text, "\n");
}

/* Whoever comes first makes it. */
static bool add_made_secret(struct token_keys *keys, const struct config *files, char **ret_error)
{
    char path[PATH_MAX], text[2 * SECRET_BYTES + 2];
    draw_secret(text);
    if (!make_path(files, SECRET_FILE, path, ret_error))
        return false;
    int err = file_create(path, text, strlen(text));
    if (!err || err == EEXIST)
        return add_file(keys, token_keys_add_secrets, path, ret_error);
    fail(ret_error, "%s: cannot be made: %s; give another --data-dir, or a --jwt-secret-file", path,
         strerror(err));
    return false;
}

bool credentials_lack_secret(const struct config *config, char **ret_path)
{
    char path[PATH_MAX];
    struct stat found;
    if (!*config->keys_file || *config->jwt_secret_file || !data_path(config, SECRET_FILE, path) ||
        stat(path, &found) == 0)
        return false;
    *ret_path = mem_strdup(path);
    return true;
}

/* In open mode a backend may ask for tokens as it will later; nobody checks them. */
static bool add_idle_secret(struct token_keys *keys, char **ret_error)
{
    char text[2 * SECRET_BYTES + 2];
    draw_secret(text);
    return token_keys_add_secrets(keys, text, strlen(text), ret_error);
}

static bool read_named(struct token_keys *keys, const struct config *files, char **ret_error)
{
    return add_file(keys, token_keys_add_secrets, files->jwt_secret_file, ret_error) &&
           add_file(keys, token_keys_add_jwks, files->jwks_file, ret_error);
}

static bool read_token_keys(struct token_keys *keys, const struct config *files, char **ret_error)
{
    bool done = read_named(keys, files, ret_error);
    if (!done || *files->jwt_secret_file)
        return done;
    if (!credentials_configured(files))
        return add_idle_secret(keys, ret_error);
    return !*files->keys_file || add_made_secret(keys, files, ret_error);
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

struct access *credentials_read(const struct config *files, const struct config *rules,
                                struct revocations *revocations, char **ret_error)
{
    struct api_keys *keys = NULL;
    struct token_keys *token_keys = token_keys_create();
    if (!read_keys(files->keys_file, &keys, ret_error) ||
        !read_token_keys(token_keys, files, ret_error)) {
        keys_unref(keys);
        token_keys_destroy(token_keys);
        return NULL;
    }
    return access_create(&(struct access_options){
        .origins = rules->allowed_origins.items,
        .origin_count = rules->allowed_origins.count,
        .proxies = rules->trusted_proxies.items,
        .proxy_count = rules->trusted_proxies.count,
        .open = !credentials_configured(files),
        .insecure_open = files->insecure_open,
        .keys = keys,
        .token_keys = token_keys,
        .rules = {.issuer = text_or_null(rules->jwt_issuer),
                  .audience = text_or_null(rules->jwt_audience),
                  .max_age_ms = files->token_max_age_ms},
        .revocations = revocations,
    });
}

/* The one in the data folder, if it has been made. */
static bool check_made_secret(struct token_keys *keys, const struct config *files, char **ret_error)
{
    char path[PATH_MAX];
    if (!*files->keys_file || *files->jwt_secret_file || !data_path(files, SECRET_FILE, path) ||
        access(path, F_OK) != 0)
        return true;
    return add_file(keys, token_keys_add_secrets, path, ret_error);
}

bool credentials_check(const struct config *files, char **ret_error)
{
    struct api_keys *keys = NULL;
    struct token_keys *token_keys = token_keys_create();
    bool good = read_keys(files->keys_file, &keys, ret_error) &&
                read_named(token_keys, files, ret_error) &&
                check_made_secret(token_keys, files, ret_error);
    keys_unref(keys);
    token_keys_destroy(token_keys);
    return good;
}
