/*
 * onednn_calls.h - the few calls of oneDNN 2 and 3 that differ, under one name each. Included by gemm_onednn.c and
 * onednn_weight.c alone.
 */
#ifndef HEDDLE_HOST_ONEDNN_CALLS_H
#define HEDDLE_HOST_ONEDNN_CALLS_H

#include "cpu/gemm_onednn.h"

#include <dnnl.h>
#include <stdatomic.h>

/* Rows that primitives are made for; a block of rows runs in the smallest that holds it. */
#define HDL__N_BUCKETS 7
static const int32_t hdl__bucket_rows[HDL__N_BUCKETS] = {1, 2, 4, 8, 16, 32, HDL__ROW_BLOCK};

struct hdl__onednn {
    dnnl_engine_t engine;
    int         (*get_threads)(void);       /* OpenMP's, of the runtime that oneDNN brought; NULL: none */
    void        (*set_threads)(int);
    void         *openmp;
    _Atomic size_t scratchpad_bytes;        /* the largest of any primitive so far */
};

struct hdl__onednn_weight {
    dnnl_data_type_t type, sum_type;        /* of inputs and weights; of sums */
    dnnl_primitive_desc_t plan[HDL__N_BUCKETS];
    dnnl_primitive_t      primitive[HDL__N_BUCKETS];
    void                 *data;             /* weights in the layout of plan[HDL__N_BUCKETS - 1] */
    size_t                data_bytes;
};

/* One product of a bucket; all rows dense, scratchpad of the plan's size. */
typedef struct hdl__onednn_run {
    int32_t bucket;
    void   *x, *sums, *scratchpad;
} hdl__onednn_run;

hdl_status hdl__onednn_run_bucket(const hdl__onednn *, dnnl_stream_t, const hdl__onednn_weight *,
                                  const hdl__onednn_run *);

/* One thread from here on; returns the count to put back, as this may be the application's own thread. */
static inline int hdl__onednn_one_thread(const hdl__onednn *library)
{
    if (library->get_threads == NULL || library->set_threads == NULL) return 1;
    const int before = library->get_threads();
    if (before != 1) library->set_threads(1);
    return before;
}

static inline void hdl__onednn_threads_back(const hdl__onednn *library, int before)
{
    if (before != 1) library->set_threads(before);
}

static inline size_t hdl__onednn_type_bytes(dnnl_data_type_t type)
{
    return type == dnnl_s8 ? 1 : type == dnnl_bf16 ? 2 : 4;
}

static inline int32_t hdl__onednn_bucket(int32_t M)
{
    int32_t b = 0;
    while (hdl__bucket_rows[b] < M) ++b;
    return b;
}

#if DNNL_VERSION_MAJOR >= 3

typedef const_dnnl_memory_desc_t hdl__layout;      /* borrowed */
typedef dnnl_memory_desc_t       hdl__own_layout;

static inline hdl__layout hdl__layout_of(const hdl__own_layout *layout) { return *layout; }

static inline dnnl_status_t hdl__layout_make(hdl__own_layout *out, int64_t rows, int64_t columns, dnnl_data_type_t type,
                                             dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_create_with_tag(out, 2, dims, type, tag);
}

static inline void hdl__layout_free(hdl__own_layout *layout)
{
    if (*layout != NULL) dnnl_memory_desc_destroy(*layout);
}

static inline dnnl_status_t hdl__matmul_plan(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, hdl__layout x,
                                             hdl__layout w, hdl__layout y, dnnl_primitive_attr_t attributes)
{
    return dnnl_matmul_primitive_desc_create(plan, engine, x, w, NULL, y, attributes);
}

#else

typedef const dnnl_memory_desc_t *hdl__layout;
typedef dnnl_memory_desc_t        hdl__own_layout;

static inline hdl__layout hdl__layout_of(const hdl__own_layout *layout) { return layout; }

static inline dnnl_status_t hdl__layout_make(hdl__own_layout *out, int64_t rows, int64_t columns, dnnl_data_type_t type,
                                             dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_init_by_tag(out, 2, dims, type, tag);
}

static inline void hdl__layout_free(hdl__own_layout *layout) { (void)layout; }

static inline dnnl_status_t hdl__matmul_plan(dnnl_primitive_desc_t *plan, dnnl_engine_t engine, hdl__layout x,
                                             hdl__layout w, hdl__layout y, dnnl_primitive_attr_t attributes)
{
    dnnl_matmul_desc_t product;
    const dnnl_status_t status = dnnl_matmul_desc_init(&product, x, w, NULL, y);
    return status != dnnl_success ? status : dnnl_primitive_desc_create(plan, &product, attributes, engine, NULL);
}

#endif
#endif
