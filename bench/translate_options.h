/* translate_options.h - the command line of bench_translate, read and checked. */
#ifndef HEDDLE_BENCH_TRANSLATE_OPTIONS_H
#define HEDDLE_BENCH_TRANSLATE_OPTIONS_H

#include "random_model.h"

#include <heddle/gemm.h>

#define MOST_LIST 8             /* values of one option */

typedef struct translate_options {
    const char        *model, *text, *lengths, *device, *trace;
    const model_shape *shape;   /* NULL: the model and text of files */
    int                beam[MOST_LIST], threads[MOST_LIST], n_beam, n_threads, n_compute;
    hdl_compute        compute[MOST_LIST];
    int                lines;   /* 0: all */
    int                max_rows, runs;
    double             arrivals;        /* sentences a second; 0: all at once */
    int                on_cpu, times;   /* times 1: print steady rate, counts and latencies too */
    int                small;   /* the device is the stand-in: its limits are measured on small sizes */
} translate_options;

/* 0: the line that says why is on stderr. */
int         translate_options_read(int argc, char **argv, translate_options *out);
const char *compute_name(hdl_compute compute);

#endif
