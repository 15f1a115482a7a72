/* gemm_weight.h - packed weights, the rows they are made of, and the scratch of a product. */
#ifndef HEDDLE_HOST_GEMM_WEIGHT_H
#define HEDDLE_HOST_GEMM_WEIGHT_H

#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"

struct hdl__onednn_weight;

/*
 * Strips of `method->width` columns, the last one narrower, each [padded / group, columns, group], or as gemm_halves.h has
 * them where `method->halves`. A strip starts at strip * width * padded * w_bytes, as all before it are full.
 */
struct hdl_weight {
    hdl_backend_device        *device;
    const hdl__gemm_method    *method;
    hdl_compute                compute;
    int32_t                    N, K;
    int32_t                    padded;      /* K rounded up to a multiple of k_step or the group */
    int32_t                    n_strips;
    uint8_t                   *strips;      /* NULL: only the library multiplies this matrix */
    size_t                     strips_bytes;
    /* int8: f32 [N rounded up to the width], real = stored * unscale; else NULL */
    float                     *unscale;
    int32_t                   *start;       /* int8 with offset: i32, as long; else NULL */
    size_t                     vectors_bytes;   /* of unscale and start, one block */
    struct hdl__onednn_weight *library;     /* NULL: ours */
};

/* Rows n0 .. n0 + n of the stacked parts as f32. */
typedef struct hdl__source_rows {
    float *values;              /* f32 [n, ld]: real values; stored integers where `exact` */
    int64_t ld;
    float *scale;               /* f32 [n]: int8 scale of exact rows */
    bool  *exact;               /* [n]: the row is stored as I8 and keeps its integers, as int8 products do */
} hdl__source_rows;

void   hdl__source_read(const hdl_backend_device *, const hdl_pack_args *, int32_t n0, int32_t n,
                        const hdl__source_rows *);

/* q i8 [K] and unscale (real = q * unscale) of row i. */
void   hdl__source_quantise(const hdl_backend_device *, const hdl__source_rows *, int32_t i, int32_t K, int8_t *q,
                            float *unscale);

/* Bytes that products and prepared rows carve from a stream's scratch. */
size_t hdl__gemm_scratch_bytes(const hdl_backend_device *, const hdl_stream_limits *);

static inline int32_t hdl__round_up(int32_t n, int32_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/* Columns of a strip as packed, padding included. */
static inline int32_t hdl__strip_columns(const hdl_weight *w, int32_t strip)
{
    const int32_t left = w->N - strip * w->method->width;
    return left < w->method->width ? hdl__round_up(left, w->method->lanes) : w->method->width;
}

#endif
