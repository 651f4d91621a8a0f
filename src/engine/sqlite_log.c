#include "engine/sqlite_log.h"

#include <stddef.h>

#define HEAD_BYTES 32 /* https://sqlite.org/fileformat2.html#walformat */
#define PAGE_BYTES (24 + 4096)
#define LOW_PAGES  16 /* what a small commit may take */
#define ROOM_BYTES (256 * 1024)
#define ZERO_BYTES (64 * 1024) /* SQLite's xWrite takes less than 128 KiB at once */

void sqlite_log_make_room(sqlite3 *db, int pages)
{
    static const char zeros[ZERO_BYTES];
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0, used = HEAD_BYTES + (sqlite3_int64)pages * PAGE_BYTES;
    if (sqlite3_file_control(db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK || !file ||
        !file->pMethods || file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return;
    if (size < used || size >= used + LOW_PAGES * PAGE_BYTES)
        return;
    for (int i = 0; i < ROOM_BYTES / ZERO_BYTES; i++)
        file->pMethods->xWrite(file, zeros, ZERO_BYTES, size + (sqlite3_int64)i * ZERO_BYTES);
}
