#include "top/storage.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/broker.h"
#include "engine/broker_options.h"
#include "engine/sqlite_file.h"
#include "top/credentials.h"
#include "top/data.h"

#define MIB ((uint64_t)1024 * 1024)

static void judge_folder(const char *folder)
{
    struct stat found;
    if (stat(folder, &found) == 0 && found.st_mode & (S_IRWXG | S_IRWXO))
        log_warn("the data folder is open to others on this machine, chmod 700 closes it",
                 LOG_TEXT("data_dir", folder));
}

bool storage_is_memory(const struct config *config)
{
    return config->broker == CONFIG_BROKER_MEMORY;
}

/* By the words of the table. */
static const char *broker_kind(const struct config *config)
{
    return storage_is_memory(config) ? "memory" : "sqlite";
}

struct broker *storage_open(const struct config *config, struct metrics *metrics,
                            char folder[static PATH_MAX])
{
    bool in_memory = storage_is_memory(config);
    char error[512];
    if (!in_memory && !data_path(config, "", folder)) {
        log_error("data_dir: the path is too long");
        return NULL;
    }
    struct broker *broker =
        broker_create(broker_kind(config),
                      &(struct broker_options){
                          .keep_messages = (size_t)config->keep_messages,
                          .keep_bytes = (uint64_t)config->keep_bytes ? (uint64_t)config->keep_bytes
                                        : in_memory                  ? 16 * MIB
                                                                     : 64 * MIB,
                          .keep_total = config->keep_total ? (uint64_t)config->keep_total
                                        : in_memory        ? 64 * MIB
                                                           : 4096 * MIB,
                          .devices_per_user = (size_t)config->devices_per_user,
                          .idempotency_entries = (size_t)config->idempotency_entries,
                          .idempotency_ttl_ms = config->idempotency_ttl_ms,
                          .wall_ms = clock_wall_ms,
                          .mono_ms = clock_mono_ms,
                          .folder = folder,
                          .full_sync = config->sync == CONFIG_SYNC_FULL,
                          .recent_bytes = (uint64_t)config->recent_bytes,
                          .disk_reserve = (uint64_t)config->disk_reserve,
                          .metrics = metrics,
                      },
                      error, sizeof error);
    if (!broker)
        log_error("the data folder cannot be used", LOG_TEXT("why", error));
    else if (!in_memory)
        judge_folder(folder);
    return broker;
}

bool storage_check(const struct config *config)
{
    struct sqlite_file_error error = {"data_dir: the path is too long"};
    char folder[PATH_MAX];
    if (storage_is_memory(config) && !credentials_configured(config))
        return true;
    if (data_path(config, "", folder) && sqlite_folder_usable(folder, &error))
        return true;
    log_error("the data folder cannot be used", LOG_TEXT("why", error.text));
    return false;
}

void storage_say(const struct config *config, struct broker *broker)
{
    char folder[PATH_MAX];
    if (storage_is_memory(config))
        log_warn("messages are kept in memory and end with this process",
                 LOG_TEXT("broker", "memory"));
    else if (data_path(config, "", folder))
        log_info("messages are kept on disk", LOG_TEXT("data_dir", folder),
                 LOG_NUMBER("messages", broker_stats(broker).messages),
                 LOG_TEXT("sync", config->sync == CONFIG_SYNC_FULL ? "full" : "normal"));
}
