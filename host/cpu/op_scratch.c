/* op_scratch.c - how much scratch the ops other than products need, from the limits of a stream. */
#include "cpu/attention_run.h"
#include "cpu/logit_panels.h"

enum { PIECES = 16 };   /* carvings of one op; each may lose a cache line to alignment */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Pointers to keys (and to values, for each head of a packed sequence) and kept scores. */
static size_t attention_bytes(const hdl_stream_limits *limits)
{
    const size_t heads = limits->H > 0 ? (size_t)limits->H : 1;
    return (2 * heads * sizeof(void *) + HDL__QUERY_BLOCK * sizeof(float)) * hdl__round_keys(limits->Tk);
}

/* What the chunks of a block find, and the logits of rows that draw. */
static size_t logit_bytes(const hdl_stream_limits *limits)
{
    if (limits->V == 0) return 0;
    const size_t rows = limits->M < HDL__LOGIT_ROWS ? (size_t)limits->M : HDL__LOGIT_ROWS;
    const size_t kept = rows < HDL__LOGIT_KEPT ? rows : HDL__LOGIT_KEPT;
    const size_t part = sizeof(hdl__logit_part) + sizeof(float) + HDL_MAX_CANDIDATES * (sizeof(float) + sizeof(int32_t));
    return HDL__LOGIT_CHUNKS * rows * part + (kept + 1) * (size_t)limits->V * sizeof(float);
}

size_t hdl__cpu_op_scratch_bytes(const hdl_stream_limits *limits)
{
    return larger(attention_bytes(limits), logit_bytes(limits)) + PIECES * HDL__CACHE_LINE;
}
