/*
 * run_stats.h - what a run did, as one JSON object in a file.
 */
#ifndef HEDDLE_RUN_STATS_H
#define HEDDLE_RUN_STATS_H

#include "output_file.h"

#include <heddle/translator.h>

/* Writes the object to an open output and closes it. `lines` were written in `seconds`. 0, or the exit code. */
int hdl__stats_write(hdl__output *output, hdl_translator *translator, uint64_t lines, double seconds);
/* The most memory this process has held at once, in bytes; 0: unknown. */
uint64_t hdl__stats_peak_bytes(void);

#endif
