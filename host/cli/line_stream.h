/*
 * line_stream.h - a file of lines through the engine: one thread reads ahead, this one writes in order.
 */
#ifndef HEDDLE_LINE_STREAM_H
#define HEDDLE_LINE_STREAM_H

#include "line_reader.h"
#include "line_window.h"
#include "line_work.h"
#include "output_file.h"
#include "progress_bar.h"

/* Turns the result of one line (from 0) into output. 0, or the exit code after saying what failed. */
typedef int (*hdl__line_emit)(void *user, uint64_t line, const hdl_result *result, hdl__cli_text *out);

typedef struct hdl__line_stream {
    hdl_translator *translator;
    hdl__reader    *input, *prefix;     /* prefix: NULL without */
    hdl__line_work *work;
    hdl__output    *output;
    hdl__progress  *progress;
    hdl__line_emit  emit;
    void           *user;
    bool            strict;
    size_t          n_best;             /* results of a line may be so many ... */
    bool            alignment;          /* ... and hold alignments: what a line may cost */
    /* counted while running */
    uint64_t        n_lines, n_bytes;
    uint64_t        n_replaced, replaced_lines, first_replaced;     /* lines from 1 */
    uint64_t        n_cut, cut_lines, first_cut;
    /* inside */
    hdl__window     window;
    int             wake[2];            /* closing [1] ends the reader's waiting */
} hdl__line_stream;

/* Runs until the input ends, a line fails, the output fails, or a signal comes. Returns the exit code. */
int hdl__line_stream_run(hdl__line_stream *stream);
/* What was counted and a user should know, as warnings. */
void hdl__line_stream_warn(const hdl__line_stream *stream);

#endif
