/*
 * gemm_onednn.h - products by oneDNN: weights packed once, primitives made at pack for a few row counts, one
 * thread per call.
 *
 * Without HEDDLE_ONEDNN every function here is there and says that it is not offered.
 */
#ifndef HEDDLE_HOST_GEMM_ONEDNN_H
#define HEDDLE_HOST_GEMM_ONEDNN_H

#include "cpu/cpu_device.h"
#include "cpu/gemm_weight.h"

typedef struct hdl__onednn hdl__onednn;
typedef struct hdl__onednn_weight hdl__onednn_weight;

bool       hdl__onednn_built(void);
hdl_status hdl__onednn_open(hdl__onednn **);
void       hdl__onednn_close(hdl__onednn *);

/* One per stream of ours, as theirs may be used by one thread at a time. */
hdl_status hdl__onednn_stream_open(hdl__onednn *, void **stream);
void       hdl__onednn_stream_close(void *stream);

/*
 * Sets w->library, and w->unscale for int8. Leaves it NULL when the library has no primitive for the shape, or
 * when the bits of a row depend on the number of rows; the strips then serve.
 */
hdl_status hdl__onednn_pack(hdl_weight *w, const hdl_pack_args *);
void       hdl__onednn_weight_close(hdl_backend_device *, hdl__onednn_weight *);
size_t     hdl__onednn_weight_bytes(const hdl__onednn_weight *);    /* of NULL: 0 */

/* Of one product: the largest that any weight packed so far asks for, and rows and sums of one block. */
size_t     hdl__onednn_scratch_bytes(const hdl_backend_device *, const hdl_stream_limits *);

/* y = act(x W^T + b) + residual, M at most HDL__ROW_BLOCK; x is the block's first row unless a->rows names them. */
hdl_status hdl__onednn_multiply(hdl_backend_stream *, const hdl_gemm_args *a, int32_t m0, int32_t M);

#endif
