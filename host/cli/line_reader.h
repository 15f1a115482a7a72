/*
 * line_reader.h - lines of a file, a pipe, a terminal, or the command line, one at a time, in bounded memory.
 *
 * A line ends with LF only. A byte order mark at the start and one CR before the LF are dropped; a last line without LF
 * counts. All other bytes are given as they are, NUL included.
 */
#ifndef HEDDLE_LINE_READER_H
#define HEDDLE_LINE_READER_H

#include "cli_options.h"

#define HDL__LONGEST_LINE ((size_t)64 << 20)        /* bytes; more in one line is taken for a file that is no text */

typedef enum hdl__line { HDL__LINE_OK, HDL__LINE_END, HDL__LINE_STOPPED, HDL__LINE_ERROR } hdl__line;

typedef struct hdl__reader {
    int                  fd;        /* -1: not open */
    bool                 owned;
    int                  wake;      /* when this becomes readable, waiting for input ends; -1: never */
    const char          *name;      /* for messages; the caller's */
    const hdl__cli_list *words;     /* the lines themselves, instead of a file */
    uint64_t             n_lines;   /* given out so far */
    uint64_t             n_bytes;   /* of the input, up to the end of the last line given out */
    char                *data;
    size_t               start, scanned, end, capacity;
    bool                 ended;
    char                 error[256];
} hdl__reader;

/* `path` NULL or "-": standard input. False: errno says why. */
bool hdl__reader_open(hdl__reader *reader, const char *path);
void hdl__reader_open_words(hdl__reader *reader, const hdl__cli_list *words);
/* The next line, valid until the next call. ERROR: reader->error says what is wrong. */
hdl__line hdl__reader_next(hdl__reader *reader, const char **line, size_t *n);
void hdl__reader_close(hdl__reader *reader);
/* Bytes that are still to come when the input is a regular file, else 0. */
uint64_t hdl__reader_size(const hdl__reader *reader);

#endif
