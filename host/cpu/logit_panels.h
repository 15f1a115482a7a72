/*
 * logit_panels.h - logits made and consumed in column panels: greatest, sum of exponentials and best values of a block of rows.
 *
 * Logits are made and consumed HDL__PANEL_COLUMNS at a time, so that they stay in the L1. V is cut into panels of
 * HDL__LOGIT_PANEL columns and these into at most HDL__LOGIT_CHUNKS chunks, by V alone. A chunk is walked by one thread;
 * chunks are merged in ascending order, so that the bits do not depend on who walked them. Sums of a chunk are f32 for
 * HDL__LOGIT_FOLD columns, then f64.
 */
#ifndef HEDDLE_HOST_LOGIT_PANELS_H
#define HEDDLE_HOST_LOGIT_PANELS_H

#include "cpu/cpu_backend.h"
#include "cpu/op_kernels.h"

#define HDL__LOGIT_ROWS 64          /* rows of a block: as many as a product takes at once */
#define HDL__LOGIT_PANEL (6 * HDL__PANEL_COLUMNS)
#define HDL__LOGIT_FOLD (16 * HDL__PANEL_COLUMNS)   /* a lane sums at most 256 values (64 on AVX-512) in f32 */
#define HDL__LOGIT_CHUNKS 8         /* what two threads share; more would only restart the lists of best values */
#define HDL__LOGIT_KEPT 16          /* rows of a block that may keep all their logits */

/* What is asked of one row. */
typedef struct hdl__logit_row {
    const int32_t *edits;           /* ascending, token * 4 + kind */
    int32_t        n_edits;
    float          penalty;
    const int32_t *allowed;         /* ascending ids; n_allowed 0: all */
    int32_t        n_allowed;
    int32_t        n_best;          /* how many best values; 0 to HDL_MAX_CANDIDATES */
    int32_t        wanted;          /* a token whose logit is asked for; -1: none */
    float         *kept;            /* f32 [V] for all edited logits, or NULL */
} hdl__logit_row;

/* What one chunk found. */
typedef struct hdl__logit_part {
    float    max, wanted;
    float    reference;
    double   sum;                   /* of exp(z - reference) */
    bool     bad;                   /* a raw logit is NaN or +inf */
    hdl__best best;
} hdl__logit_part;

typedef struct hdl__logit_block {
    hdl_backend_stream *stream;
    hdl__prepared       x;
    const float        *bias;       /* f32 [V] or NULL */
    int32_t             V, M, n_chunks;
    hdl__logit_row      rows[HDL__LOGIT_ROWS];
    hdl__logit_part    *parts;      /* [n_chunks, M] */
    const float        *sum_scales; /* f32 [V] where panels are sums of int8, or NULL */
    float              *floor;      /* f32 [M] no value below it is among a row's best; any chunk may raise it */
} hdl__logit_block;

/* A row over all of V. */
typedef struct hdl__logit_result {
    bool    bad;
    bool    empty;                  /* nothing is left */
    float   max, wanted;            /* wanted: -inf when removed */
    double  log_sum;                /* log of the sum of exp(z) */
    int32_t n;
    float   value[HDL_MAX_CANDIDATES];
    int32_t id[HDL_MAX_CANDIDATES];
} hdl__logit_result;

/* Fills `parts`; everything above it is set. */
void hdl__logit_block_run(hdl__logit_block *block, size_t *used);
void hdl__logit_block_merge(const hdl__logit_block *block, int32_t m, hdl__logit_result *result);

/*
 * Draws a token from `logits` f32 [V] (edited; -inf is removed): top-k, temperature, top-p, inverse of the cumulative
 * distribution in ascending ids. At least one logit is finite; max is the greatest. p f32 [V] is scratch.
 */
int32_t hdl__sample_token(const hdl__op_kernels *kernels, const hdl_slot_options *o, int32_t pos,
                          const float *logits, int32_t V, float max, float *p);

#endif
