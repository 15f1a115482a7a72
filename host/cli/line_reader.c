/* line_reader.c - lines of a file, a pipe, a terminal, or the command line. */
#include "line_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
static const char byte_order_mark[] = { '\xef', '\xbb', '\xbf' };

bool hdl__reader_open(hdl__reader *reader, const char *path)
{
    bool standard = !path || strcmp(path, "-") == 0;
    *reader = (hdl__reader){ .fd = STDIN_FILENO, .wake = -1, .name = standard ? "standard input" : path };
    if (standard) return true;
    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    reader->owned = reader->fd >= 0;
    return reader->owned;
}

void hdl__reader_open_words(hdl__reader *reader, const hdl__cli_list *words)
{
    *reader = (hdl__reader){ .fd = -1, .wake = -1, .name = "the command line", .words = words };
}

void hdl__reader_close(hdl__reader *reader)
{
    if (reader->owned) close(reader->fd);
    free(reader->data);
    reader->data = NULL;
    reader->fd = -1;
    reader->owned = false;
}

uint64_t hdl__reader_size(const hdl__reader *reader)
{
    struct stat about;
    if (reader->fd < 0 || fstat(reader->fd, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
    off_t at = lseek(reader->fd, 0, SEEK_CUR);
    return at >= 0 && about.st_size > at ? (uint64_t)(about.st_size - at) : 0;
}

static hdl__line refuse(hdl__reader *reader, const char *why)
{
    snprintf(reader->error, sizeof reader->error, "cannot read %.180s: %s", reader->name, why);
    return HDL__LINE_ERROR;
}

/* Room for one more chunk behind `end`. */
static bool make_room(hdl__reader *reader)
{
    if (reader->start > 0) {
        memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->scanned -= reader->start;
        reader->start = 0;
    }
    if (reader->capacity - reader->end >= CHUNK_BYTES) return true;
    size_t capacity = reader->capacity ? 2 * reader->capacity : 2 * CHUNK_BYTES;
    char *data = realloc(reader->data, capacity);
    if (!data) return false;
    reader->data = data;
    reader->capacity = capacity;
    return true;
}

static hdl__line fill(hdl__reader *reader)
{
    if (reader->end - reader->start > HDL__LONGEST_LINE) {
        snprintf(reader->error, sizeof reader->error, "%.120s: line %llu has more than %zu bytes, which is no text",
                 reader->name, (unsigned long long)(reader->n_lines + 1), HDL__LONGEST_LINE);
        return HDL__LINE_ERROR;
    }
    if (!make_room(reader)) return refuse(reader, "out of memory");
    for (;;) {
        struct pollfd waits[] = { { .fd = reader->fd, .events = POLLIN }, { .fd = reader->wake, .events = POLLIN } };
        if (poll(waits, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return refuse(reader, strerror(errno));
        }
        if (waits[1].revents) return HDL__LINE_STOPPED;
        ssize_t n = read(reader->fd, reader->data + reader->end, CHUNK_BYTES);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) return refuse(reader, strerror(errno));
        reader->end += (size_t)n;
        reader->ended = n == 0;
        return HDL__LINE_OK;
    }
}

/* A mark can arrive in parts: three bytes, or the end, must have been seen before the first line is looked for. */
static hdl__line drop_mark(hdl__reader *reader)
{
    while (reader->end < sizeof byte_order_mark && !reader->ended) {
        hdl__line filled = fill(reader);
        if (filled != HDL__LINE_OK) return filled;
        if (reader->end > 0 && memchr(reader->data, '\n', reader->end)) break;
    }
    if (reader->end >= sizeof byte_order_mark &&
        memcmp(reader->data, byte_order_mark, sizeof byte_order_mark) == 0) {
        reader->start = reader->scanned = sizeof byte_order_mark;
        reader->n_bytes = sizeof byte_order_mark;
    }
    return HDL__LINE_OK;
}

static hdl__line next_word(hdl__reader *reader, const char **line, size_t *n)
{
    if (reader->n_lines >= reader->words->n) return HDL__LINE_END;
    *line = reader->words->items[reader->n_lines++];
    *n = strlen(*line);
    return HDL__LINE_OK;
}

hdl__line hdl__reader_next(hdl__reader *reader, const char **line, size_t *n)
{
    if (reader->words) return next_word(reader, line, n);
    if (reader->n_bytes == 0) {
        hdl__line begun = drop_mark(reader);
        if (begun != HDL__LINE_OK) return begun;
    }
    const char *end;
    for (;;) {
        size_t fresh = reader->end - reader->scanned;
        end = fresh ? memchr(reader->data + reader->scanned, '\n', fresh) : NULL;
        reader->scanned = reader->end;
        if (end || reader->ended) break;
        hdl__line filled = fill(reader);
        if (filled != HDL__LINE_OK) return filled;
    }
    if (!end && reader->start == reader->end) return HDL__LINE_END;
    size_t length = end ? (size_t)(end - reader->data) - reader->start : reader->end - reader->start;
    size_t taken = length + (end ? 1 : 0);
    *line = reader->data + reader->start;
    *n = length > 0 && (*line)[length - 1] == '\r' ? length - 1 : length;
    reader->start += taken;
    reader->scanned = reader->start;
    reader->n_bytes += taken;
    reader->n_lines += 1;
    return HDL__LINE_OK;
}
