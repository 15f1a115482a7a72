/*
 * output_file.h - buffered output that never loses an error: full disk, closed pipe, interrupted writes.
 */
#ifndef HEDDLE_OUTPUT_FILE_H
#define HEDDLE_OUTPUT_FILE_H

#include "cli.h"

typedef struct hdl__output {
    int           fd;           /* -1: not open */
    bool          owned;
    int           error;        /* errno of the first failure; sticks */
    const char   *name;         /* for messages; the caller's */
    hdl__cli_text pending;
} hdl__output;

/* `path` NULL or "-": standard output. An existing file keeps its bytes until hdl__output_begin.
 * False: errno says why. */
bool hdl__output_open(hdl__output *output, const char *path);
/* Empties a regular file, now that nothing else can go wrong first. */
void hdl__output_begin(hdl__output *output);
void hdl__output_add(hdl__output *output, const char *bytes, size_t n);
void hdl__output_flush(hdl__output *output);
/* Flushes and closes. 0, or the exit code after saying what failed; a closed pipe is failure without words. */
int hdl__output_close(hdl__output *output);
/* Whether all writes so far went well. */
bool hdl__output_ok(const hdl__output *output);

/* All of `text` to standard output, then freed: the whole output of a small command. */
int hdl__output_print(hdl__cli_text *text);

#endif
