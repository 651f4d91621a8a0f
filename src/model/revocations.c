#include "model/revocations.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/topic.h"

#define MAX_FILE  ((size_t)1024 * 1024 * 1024)
#define MANY      1000 /* lines that may be old before the file is written anew */
#define LINE_ROOM (21 + TOPIC_NAME_MAX + 1)

struct entry {
    int64_t before_ms;
    struct topic user;
    char name[];
};

struct revocations {
    pthread_mutex_t table; /* held for a moment */
    pthread_mutex_t file;  /* held by who writes, while the disk works */
    struct map by_user;    /* owned */
    char *path;            /* NULL: in memory only */
    int fd;
    off_t size;
    size_t lines;
    int64_t max_age_ms;
};

static bool is_user(const void *value, const void *key)
{
    return topic_equal(&((const struct entry *)value)->user, key);
}

/* The later moment counts. False: out of memory. */
static bool set(struct revocations *revocations, const struct topic *user, int64_t before_ms)
{
    struct entry *entry = map_find(&revocations->by_user, user->hash, is_user, user);
    if (entry) {
        entry->before_ms = before_ms > entry->before_ms ? before_ms : entry->before_ms;
        return true;
    }
    entry = malloc(sizeof *entry + user->length);
    if (!entry)
        return false;
    memcpy(entry->name, user->name, user->length);
    entry->before_ms = before_ms;
    entry->user = *user;
    entry->user.name = entry->name;
    if (map_add(&revocations->by_user, user->hash, entry))
        return true;
    free(entry);
    return false;
}

static void add_line(struct buf *buf, int64_t before_ms, const struct topic *user)
{
    buf_add_format(buf, "%lld ", (long long)before_ms);
    buf_add(buf, user->name, user->length);
    buf_add_text(buf, "\n");
}

/* ---- the file ---- */

static void read_line(struct revocations *revocations, const char *line, size_t length)
{
    const char *blank = memchr(line, ' ', length);
    uint64_t before;
    if (!blank || !text_parse_u64(line, (size_t)(blank - line), &before) || before > INT64_MAX)
        return;
    size_t name = length - (size_t)(blank + 1 - line);
    if (!topic_is_name(blank + 1, name))
        return;
    struct topic user = topic_make(TOPIC_USER, blank + 1, name);
    set(revocations, &user, (int64_t)before);
}

/* A last line that does not end was never answered for. */
static int read_file(struct revocations *revocations)
{
    struct buf buf;
    buf_init(&buf);
    int err = file_read(revocations->path, MAX_FILE, &buf);
    const char *at = buf.data;
    for (size_t left = err ? 0 : buf.size; left;) {
        const char *end = memchr(at, '\n', left);
        if (!end)
            break;
        read_line(revocations, at, (size_t)(end - at));
        left -= (size_t)(end + 1 - at);
        at = end + 1;
    }
    buf_finish(&buf);
    return err == ENOENT ? 0 : err;
}

static bool is_old(const struct revocations *revocations, const struct entry *entry, int64_t now_ms)
{
    return entry->before_ms + revocations->max_age_ms < now_ms;
}

/* Without memory for it, what is old stays. */
static void drop_old(struct revocations *revocations, int64_t now_ms)
{
    struct map *all = &revocations->by_user, kept;
    size_t cursor = 0;
    bool done = true;
    map_init(&kept);
    for (struct entry *entry; done && (entry = map_next(all, &cursor));)
        done = is_old(revocations, entry, now_ms) || map_add(&kept, entry->user.hash, entry);
    if (!done) {
        map_finish(&kept);
        return;
    }
    cursor = 0;
    for (struct entry *entry; (entry = map_next(all, &cursor));) {
        if (is_old(revocations, entry, now_ms))
            free(entry);
    }
    map_finish(all);
    *all = kept;
}

/* 0 or an errno, and then the file is as it was. */
static int write_anew(struct revocations *revocations)
{
    struct buf buf;
    size_t cursor = 0;
    buf_init(&buf);
    for (const struct entry *entry; (entry = map_next(&revocations->by_user, &cursor));)
        add_line(&buf, entry->before_ms, &entry->user);
    int err = buf_ok(&buf) ? file_replace(revocations->path, buf.data, buf.size) : ENOMEM;
    int fd = err ? -1 : open(revocations->path, O_WRONLY | O_CLOEXEC);
    if (!err && fd < 0)
        err = errno;
    if (!err) {
        if (revocations->fd >= 0)
            close(revocations->fd);
        revocations->fd = fd;
        revocations->size = (off_t)buf.size;
        revocations->lines = revocations->by_user.count;
    }
    buf_finish(&buf);
    return err;
}

/* What a failed attempt leaves behind the end is cut off, or written over by the next. */
static bool append(struct revocations *revocations, const struct topic *user, int64_t before_ms)
{
    struct buf buf;
    buf_init(&buf);
    add_line(&buf, before_ms, user);
    bool done =
        buf_ok(&buf) &&
        pwrite(revocations->fd, buf.data, buf.size, revocations->size) == (ssize_t)buf.size &&
        fsync(revocations->fd) == 0;
    if (done) {
        revocations->size += (off_t)buf.size;
        revocations->lines++;
    } else {
        int cut = ftruncate(revocations->fd, revocations->size);
        (void)cut;
    }
    buf_finish(&buf);
    return done;
}

/* ---- */

struct revocations *revocations_open(const char *path, int64_t max_age_ms, int64_t now_ms)
{
    struct revocations *revocations = mem_alloc(sizeof *revocations);
    pthread_mutex_init(&revocations->table, NULL);
    pthread_mutex_init(&revocations->file, NULL);
    map_init(&revocations->by_user);
    revocations->path = mem_strdup(path);
    revocations->fd = -1;
    revocations->max_age_ms = max_age_ms;
    if (!path)
        return revocations;
    int err = read_file(revocations);
    if (!err) {
        drop_old(revocations, now_ms);
        err = write_anew(revocations);
    }
    if (!err)
        return revocations;
    revocations_close(revocations);
    errno = err;
    return NULL;
}

void revocations_close(struct revocations *revocations)
{
    if (!revocations)
        return;
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&revocations->by_user, &cursor));)
        free(entry);
    map_finish(&revocations->by_user);
    if (revocations->fd >= 0)
        close(revocations->fd);
    pthread_mutex_destroy(&revocations->table);
    pthread_mutex_destroy(&revocations->file);
    free(revocations->path);
    free(revocations);
}

bool revocations_add(struct revocations *revocations, const char *user, size_t length,
                     int64_t now_ms)
{
    struct topic topic = topic_make(TOPIC_USER, user, length);
    pthread_mutex_lock(&revocations->file);
    bool done = !revocations->path || append(revocations, &topic, now_ms);
    pthread_mutex_lock(&revocations->table);
    done = done && set(revocations, &topic, now_ms);
    bool crowded = revocations->lines > 2 * revocations->by_user.count + MANY;
    if (crowded)
        drop_old(revocations, now_ms);
    pthread_mutex_unlock(&revocations->table);
    if (done && crowded && revocations->path)
        write_anew(revocations); /* later, if not now */
    pthread_mutex_unlock(&revocations->file);
    return done;
}

bool revocations_has(struct revocations *revocations, const char *user, size_t length,
                     int64_t issued_ms)
{
    struct topic topic = topic_make(TOPIC_USER, user, length);
    pthread_mutex_lock(&revocations->table);
    const struct entry *entry = map_find(&revocations->by_user, topic.hash, is_user, &topic);
    bool refused = entry && issued_ms < entry->before_ms;
    pthread_mutex_unlock(&revocations->table);
    return refused;
}

size_t revocations_count(struct revocations *revocations)
{
    pthread_mutex_lock(&revocations->table);
    size_t count = revocations->by_user.count;
    pthread_mutex_unlock(&revocations->table);
    return count;
}
