#include "engine/sqlite_checkpointer.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/need.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_writer.h"

#define DEFAULT_PAGES 16384
#define URGENT        4 /* times the limit: the writer copies all by itself */

struct sqlite_checkpointer {
    const char *folder;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the four below */
    pthread_cond_t wake;
    bool asked;
    bool copied;
    bool stopping;
    /* The writer's: */
    int limit;
    int patience; /* pages until the log is begun anew: more where a reader stood in the way */
};

/* A connection for each copy: the file may have been opened anew meanwhile. */
static void copy_log(const char *folder)
{
    struct sqlite_file_error error = {""};
    sqlite3 *db = sqlite_file_open(folder, true, &error);
    if (!db) {
        log_warn("the log could not be copied", LOG_TEXT("why", error.text));
        return;
    }
    int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK)
        log_warn("the log could not be copied", LOG_TEXT("why", sqlite3_errstr(rc)));
    sqlite_file_close(db);
}

static void *keep(void *context)
{
    struct sqlite_checkpointer *checkpointer = context;
    pthread_mutex_lock(&checkpointer->mutex);
    while (!checkpointer->stopping) {
        if (!checkpointer->asked) {
            pthread_cond_wait(&checkpointer->wake, &checkpointer->mutex);
            continue;
        }
        pthread_mutex_unlock(&checkpointer->mutex);
        copy_log(checkpointer->folder);
        pthread_mutex_lock(&checkpointer->mutex);
        checkpointer->asked = false;
        checkpointer->copied = true;
    }
    pthread_mutex_unlock(&checkpointer->mutex);
    return NULL;
}

struct sqlite_checkpointer *sqlite_checkpointer_create(const char *folder)
{
    struct sqlite_checkpointer *checkpointer = mem_alloc(sizeof *checkpointer);
    checkpointer->folder = folder;
    checkpointer->limit = checkpointer->patience = DEFAULT_PAGES;
    pthread_mutex_init(&checkpointer->mutex, NULL);
    pthread_cond_init(&checkpointer->wake, NULL);
    need(pthread_create(&checkpointer->thread, NULL, keep, checkpointer), "the broker's thread");
    return checkpointer;
}

void sqlite_checkpointer_destroy(struct sqlite_checkpointer *checkpointer)
{
    if (!checkpointer)
        return;
    pthread_mutex_lock(&checkpointer->mutex);
    checkpointer->stopping = true;
    pthread_cond_signal(&checkpointer->wake);
    pthread_mutex_unlock(&checkpointer->mutex);
    pthread_join(checkpointer->thread, NULL);
    pthread_cond_destroy(&checkpointer->wake);
    pthread_mutex_destroy(&checkpointer->mutex);
    free(checkpointer);
}

void sqlite_checkpointer_limit(struct sqlite_checkpointer *checkpointer, int pages)
{
    if (checkpointer->limit != pages)
        checkpointer->limit = checkpointer->patience = pages;
}

void sqlite_checkpointer_committed(struct sqlite_checkpointer *checkpointer,
                                   struct sqlite_writer *writer)
{
    int pages = sqlite_writer_log_pages(writer);
    if (pages < checkpointer->patience)
        return;
    pthread_mutex_lock(&checkpointer->mutex);
    bool restart = checkpointer->copied || pages >= URGENT * checkpointer->patience;
    if (!restart && !checkpointer->asked) {
        checkpointer->asked = true;
        pthread_cond_signal(&checkpointer->wake);
    }
    checkpointer->copied = checkpointer->copied && !restart;
    pthread_mutex_unlock(&checkpointer->mutex);
    if (!restart)
        return;
    sqlite_writer_restart_log(writer);
    pages = sqlite_writer_log_pages(writer);
    checkpointer->patience = checkpointer->limit + pages;
}
