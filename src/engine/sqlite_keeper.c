#include "engine/sqlite_keeper.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/sqlite_file.h"
#include "engine/sqlite_writer.h"

#define DEFAULT_PAGES 16384
#define URGENT        4 /* times the limit: the writer copies all by itself */

struct sqlite_keeper {
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
    struct sqlite_keeper *keeper = context;
    pthread_mutex_lock(&keeper->mutex);
    while (!keeper->stopping) {
        if (!keeper->asked) {
            pthread_cond_wait(&keeper->wake, &keeper->mutex);
            continue;
        }
        pthread_mutex_unlock(&keeper->mutex);
        copy_log(keeper->folder);
        pthread_mutex_lock(&keeper->mutex);
        keeper->asked = false;
        keeper->copied = true;
    }
    pthread_mutex_unlock(&keeper->mutex);
    return NULL;
}

struct sqlite_keeper *sqlite_keeper_create(const char *folder)
{
    struct sqlite_keeper *keeper = mem_alloc(sizeof *keeper);
    keeper->folder = folder;
    keeper->limit = keeper->patience = DEFAULT_PAGES;
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_cond_init(&keeper->wake, NULL);
    int failed = pthread_create(&keeper->thread, NULL, keep, keeper);
    assert(!failed);
    return keeper;
}

void sqlite_keeper_destroy(struct sqlite_keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}

void sqlite_keeper_limit(struct sqlite_keeper *keeper, int pages)
{
    if (keeper->limit != pages)
        keeper->limit = keeper->patience = pages;
}

void sqlite_keeper_committed(struct sqlite_keeper *keeper, struct sqlite_writer *writer)
{
    int pages = sqlite_writer_log_pages(writer);
    if (pages < keeper->patience)
        return;
    pthread_mutex_lock(&keeper->mutex);
    bool restart = keeper->copied || pages >= URGENT * keeper->patience;
    if (!restart && !keeper->asked) {
        keeper->asked = true;
        pthread_cond_signal(&keeper->wake);
    }
    keeper->copied = keeper->copied && !restart;
    pthread_mutex_unlock(&keeper->mutex);
    if (!restart)
        return;
    sqlite_writer_restart_log(writer);
    pages = sqlite_writer_log_pages(writer);
    keeper->patience = keeper->limit + pages;
}
