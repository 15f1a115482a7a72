/*
 * progress_bar.h - lines, rate and time left, on standard error.
 */
#ifndef HEDDLE_PROGRESS_BAR_H
#define HEDDLE_PROGRESS_BAR_H

#include "cli.h"

typedef struct hdl__progress {
    bool     shown, terminal;
    uint64_t total_bytes;       /* of the input; 0: unknown */
    double   began, last;
} hdl__progress;

/* What the bar says: "1200 lines, 340 lines/s, 25 %, 0:11 left". */
void hdl__progress_text(hdl__cli_text *text, uint64_t n_lines, uint64_t n_bytes, uint64_t total_bytes, double seconds);
void hdl__progress_open(hdl__progress *progress, bool shown, uint64_t total_bytes);
void hdl__progress_show(hdl__progress *progress, uint64_t n_lines, uint64_t n_bytes);
/* The last state on a pipe; on a terminal the bar goes away. */
void hdl__progress_close(hdl__progress *progress, uint64_t n_lines, uint64_t n_bytes);

#endif
