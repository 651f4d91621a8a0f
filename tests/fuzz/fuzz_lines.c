/* fuzz_lines.c - the body of POST /send-messages as it is cut into lines. However the bytes are
 * parted, the lines are the same. The first byte says how long
 * a line may be, the second how large the pieces are. */
#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/lines.h"

/* Each line with what it was told to be, for comparison. */
static void note(struct buf *log, const struct line *line, size_t max_size)
{
    assert(line->size <= max_size);
    assert(!line->err || (line->err == ERR_BODY_TOO_LARGE && !line->text));
    assert(!line->size || !memchr(line->text, '\n', line->size));
    buf_add_number(log, line->err);
    buf_add(log, line->text, line->size);
    buf_add_text(log, "\n");
}

static void cut(struct buf *log, const char *bytes, size_t size, size_t max_size, size_t step)
{
    struct lines lines;
    struct line line;

    lines_init(&lines, max_size);
    for (size_t at = 0; at < size; at += step) {
        const char *piece = bytes + at;
        size_t left = size - at < step ? size - at : step, taken;
        for (; left; piece += taken, left -= taken) {
            if (lines_take(&lines, piece, left, &taken, &line))
                note(log, &line, max_size);
            assert(taken && taken <= left);
        }
    }
    if (lines_take_last(&lines, &line))
        note(log, &line, max_size);
    lines_finish(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 2;
    struct buf whole, parted;

    if (size < 2)
        return 0;
    buf_init(&whole);
    buf_init(&parted);
    cut(&whole, bytes, size - 2, data[0], size);
    cut(&parted, bytes, size - 2, data[0], (size_t)data[1] + 1);
    assert(whole.size == parted.size);
    assert(!whole.size || !memcmp(whole.data, parted.data, whole.size));
    buf_finish(&whole);
    buf_finish(&parted);
    return 0;
}
