/*
 * op_kernels.h - the inner loops of the CPU ops other than products, one table per instruction set.
 *
 * host/cpu/simd/ defines each table once; a compilation of those files with HDL__ISA_PLAIN, HDL__ISA_AVX2 or
 * HDL__ISA_AVX512 yields the table of that name. All values are f32; no loop allocates or keeps state.
 */
#ifndef HEDDLE_HOST_CPU_OP_KERNELS_H
#define HEDDLE_HOST_CPU_OP_KERNELS_H

#include "base/memory.h"

#include <heddle/attention.h>
#include <heddle/embed.h>
#include <heddle/norm.h>

#include <stdbool.h>

#define HDL__KEY_BLOCK HDL_PAGE_ROWS    /* keys of one block: a page, and one AVX-512 register of scores */
#define HDL__KEY_TILE 64                /* keys between two rescalings of the softmax; K and V of D = 64 fill the L1 */
#define HDL__QUERY_BLOCK 4              /* queries that share a pass over the keys */
#define HDL__MAX_D 256

/*
 * Queries (pairs of a row and a head) that read the same keys, or (apart) each its own head of them. Bits of a query's
 * result do not depend on the others of its block, nor on keys at and past its own `seen`.
 */
typedef struct hdl__attend {
    int32_t             D, n_queries;
    float               scale;
    const float        *q[HDL__QUERY_BLOCK];        /* f32 [D] */
    float              *out[HDL__QUERY_BLOCK];      /* f32 [D]; may be q */
    int32_t             seen[HDL__QUERY_BLOCK];     /* query i sees keys 0 .. seen[i] - 1; none: out = 0 */
    float              *scores[HDL__QUERY_BLOCK];   /* f32 [seen rounded up to 16] scaled scores, kept; or NULL */
    float               max[HDL__QUERY_BLOCK], sum[HDL__QUERY_BLOCK];   /* out: of exp(score - max) */
    const void  *const *k, *const *v;               /* per block of 16 keys, or per key; f32 or bf16 */
    int64_t             k_off[HDL__QUERY_BLOCK], v_off[HDL__QUERY_BLOCK];   /* elements added to each pointer: the head */
    int64_t             ldv;                        /* blocks: row stride of v */
    bool                bf16;                       /* what k and v are */
    bool                apart;                      /* offsets differ; else all are the first */
} hdl__attend;

typedef struct hdl__norm_row {
    const float  *x, *residual;     /* f32 [E]; residual may be NULL */
    const float  *gamma, *beta;     /* f32 [E]; beta may be NULL */
    float        *s, *y;            /* f32 [E]: x + residual; result. s may be y */
    int32_t       E;
    float         eps;
    hdl_norm_kind kind;
} hdl__norm_row;

/* The greatest values so far, descending; of equal values the one that came first, which has the lower id. */
typedef struct hdl__best {
    float   *value;     /* f32 [capacity] */
    int32_t *id;        /* i32 [capacity] */
    int32_t  n, capacity;
    float    bar;       /* only greater values join: the last of a full list, or what the caller knows to be too little */
} hdl__best;

/* Puts in a value above the bar; capacity is not 0. */
static inline void hdl__best_add(hdl__best *best, float value, int32_t id)
{
    int32_t at = best->n < best->capacity ? best->n++ : best->n - 1;
    for (; at > 0 && value > best->value[at - 1]; at--) {
        best->value[at] = best->value[at - 1];
        best->id[at] = best->id[at - 1];
    }
    best->value[at] = value;
    best->id[at] = id;
    if (best->n == best->capacity && best->value[best->n - 1] > best->bar) best->bar = best->value[best->n - 1];
}

/*
 * A sum of exponentials on its way: of e^(z - reference), a lane for each of the widest register's. The reference is one of
 * the values, at most HDL__LOGIT_RISE below the greatest so far, so that it changes seldom and nothing overflows.
 */
#define HDL__LOGIT_LANES 16
#define HDL__LOGIT_RISE  20.0f
typedef struct hdl__logit_sum {
    _Alignas(HDL__CACHE_LINE) float lane[HDL__LOGIT_LANES];
    float  top[HDL__LOGIT_LANES];       /* greatest value of each lane; NaN is not seen here, but in the sum */
    double total;                       /* what lanes held before they were folded */
    hdl__best *best;
    float  reference;                   /* -FLT_MAX before the first value, +inf after such a one */
} hdl__logit_sum;

/* A few columns of logits: real values, or sums of int8 products that are real when both scales have multiplied them. */
typedef struct hdl__logits {
    const void  *z;                     /* f32 [M, n], row stride ldz; with scales: i32 */
    int64_t      ldz;
    const float *bias;                  /* f32 [n] to be added, or NULL */
    const float *x_unscale, *w_unscale; /* f32 [M], [n]; NULL: z is real */
    int32_t      n;
} hdl__logits;

typedef struct hdl__op_kernels {
    /* attention: blocks of 16 keys, k transposed to [D, 16] and v [16, D]; or single keys, k [D] and v [D] */
    void    (*attend_blocks)(hdl__attend *);
    void    (*attend_keys)(hdl__attend *);
    /* to[i] += exp(scores[i] - max) * factor, i < n; to is zeroed by the caller */
    void    (*add_probabilities)(const float *scores, int32_t n, float max, float factor, float *to);

    void    (*norm)(const hdl__norm_row *);
    /* to[i] = from[i] * factor + add[i]; from has any stored dtype and alignment, add may be NULL */
    void    (*widen)(const void *from, hdl_dtype dtype, int32_t n, float factor, const float *add, float *to);
    /* bf16, to nearest even */
    void    (*narrow)(const float *from, int32_t n, uint16_t *to);
    void    (*glu)(const float *up, const float *gate, float *y, int32_t n, hdl_activation act);

    /* z becomes real, i32 sums times both scales; y may be where z is */
    void    (*scale_sums)(const int32_t *z, int32_t n, float x_unscale, const float *w_unscale, float *y);
    /* z += bias (NULL: none); false when a value is NaN or +inf */
    bool    (*logit_scan)(float *z, const float *bias, int32_t n);
    /* Adds the logits of M rows to sums[m]; value i joins the row's best, under the id first + i, when it is above their bar. */
    void    (*logit_add)(const hdl__logits *z, int32_t M, int32_t first, hdl__logit_sum *sums);
    /* p[i] = exp((z[i] - max) * factor) */
    void    (*exp_row)(const float *z, int32_t n, float max, float factor, float *p);
} hdl__op_kernels;

extern const hdl__op_kernels hdl__op_kernels_plain;
#if defined(__x86_64__)
extern const hdl__op_kernels hdl__op_kernels_avx2, hdl__op_kernels_avx512;
#endif

/* Bytes that the ops of these kernels carve from a stream's scratch, the rows that hdl__cpu_prepare readies aside. */
size_t hdl__cpu_op_scratch_bytes(const hdl_stream_limits *limits);

#endif
