/* attention_run.h - one call of attention while it runs: scratch, and the queries that read the same keys. */
#ifndef HEDDLE_HOST_ATTENTION_RUN_H
#define HEDDLE_HOST_ATTENTION_RUN_H

#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"

typedef struct hdl__attention_run {
    const hdl_attention_args *args;
    const hdl__op_kernels    *kernels;
    const void              **keys;         /* [Tk] one pointer per key, or per block of keys */
    float                    *scores;       /* f32 [HDL__QUERY_BLOCK, ld_scores], when probabilities are asked for; else NULL */
    int64_t                   ld_scores;
} hdl__attention_run;

/* A row and a head of it. */
typedef struct hdl__query {
    int32_t row, head, seen;
    float  *probs, *align;      /* rows that get the probabilities, or NULL; zeroed before the first head */
} hdl__query;

/* Collects queries of the same keys and hands them on, a block at a time. */
typedef struct hdl__query_block {
    const hdl__attention_run *run;
    hdl__attend               attend;       /* keys set by the caller */
    hdl__query                queries[HDL__QUERY_BLOCK];
    int32_t                   n;
    bool                      blocks;       /* keys stand in blocks of 16 */
} hdl__query_block;

void hdl__query_add(hdl__query_block *block, const hdl__query *query);
void hdl__query_flush(hdl__query_block *block);

/* Whether anything asks for this head's probabilities. */
static inline bool hdl__head_is_kept(const hdl_attention_args *args, int32_t head)
{
    return head >= args->probs_first && head < args->probs_first + args->probs_heads;
}

/* Tk rounded up to whole blocks. */
static inline size_t hdl__round_keys(int32_t Tk) { return ((size_t)Tk + HDL__KEY_BLOCK - 1) / HDL__KEY_BLOCK * HDL__KEY_BLOCK; }

void hdl__attend_packed(hdl_backend_stream *stream, hdl__attention_run *run, size_t *used);

#endif
