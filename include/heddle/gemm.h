/*
 * gemm.h - matrix product with packed weights: y = act(x W^T + b) + residual.
 *
 * Weights are packed once, by the backend, into its own layout (hdl_pack_args) and never change. The bits of a row of y
 * depend on that row of x and on the weights alone, never on M or on the row's place (docs/numerics.md, "families").
 * Letters: M rows, K inputs, N outputs.
 */
#ifndef HEDDLE_GEMM_H
#define HEDDLE_GEMM_H

#include <heddle/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hdl_activation {
    HDL_ACT_NONE = 0,
    HDL_ACT_RELU,
    HDL_ACT_GELU_TANH,      /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)));  Hendrycks and Gimpel 2016 */
    HDL_ACT_SWISH,          /* x sigmoid(x);  Ramachandran et al. 2017 */
    HDL_ACT_GELU_ERF,       /* 0.5 x (1 + erf(x / sqrt 2)) */
    HDL_ACT_GELU_SIGMOID,   /* x sigmoid(1.702 x) */
    HDL_ACT_TANH,
    HDL_ACT_SIGMOID,
    HDL_N_ACTIVATIONS
} hdl_activation;

/* How weights are multiplied. Activations stay f32 on the CPU; sums are f32 (i32, exact, for int8). */
typedef enum hdl_compute {
    HDL_COMPUTE_AUTO = 0,   /* int8 weights run int8; others bf16 where the device multiplies it natively, else f32 */
    HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_F16,
    HDL_COMPUTE_INT8        /* weights per output row, activations per row, q = rint(v * 127 / max|row|) */
} hdl_compute;

/* A matrix in the backend's layout. Opaque; freed with hdl_weight_close. */
typedef struct hdl_weight hdl_weight;

/* Rows [.., K] of one source tensor; several parts are stacked to N rows (query, key and value in one product). */
typedef struct hdl_pack_part {
    const void  *data;          /* host memory, maybe unaligned: [rows, K], or [K, rows] when transposed */
    hdl_dtype    dtype;         /* F32, F16, BF16, I8 or I16 */
    int32_t      rows;
    int32_t      transposed;
    const float *scale;         /* f32 [n_scale] host: real value = stored / scale; NULL: 1 */
    int32_t      n_scale;       /* 1 or rows */
} hdl_pack_part;

/* What a matrix will be used for. A backend that keeps two layouts makes only the one that is named. */
typedef enum hdl_pack_use { HDL_PACK_FOR_ALL = 0, HDL_PACK_FOR_GEMM, HDL_PACK_FOR_LOGITS } hdl_pack_use;

typedef struct hdl_pack_args {
    size_t               struct_bytes;
    const hdl_pack_part *parts;
    int32_t              n_parts;
    int32_t              N, K;          /* N is the sum of the parts' rows */
    hdl_compute          compute;       /* F32, BF16, F16 or INT8; AUTO is resolved by the caller */
    int32_t              rank, ranks;   /* tensor parallelism, reserved: 0, 1 */
    hdl_pack_use         use;           /* gemm, or logit_reduce and token_logprobs, or both */
    int32_t              reserved;      /* 0 */
} hdl_pack_args;

#define HDL_PACK_ARGS_INIT { sizeof(hdl_pack_args), NULL, 0, 0, 0, HDL_COMPUTE_F32, 0, 1, HDL_PACK_FOR_ALL, 0 }

typedef struct hdl_gemm_args {
    size_t            struct_bytes;
    const void       *x;            /* act [*, K], row stride ldx elements */
    int64_t           ldx;
    const hdl_weight *w;            /* [N, K] */
    const float      *bias;         /* f32 [N] or NULL */
    const void       *residual;     /* act [M, N], row stride ldr, added after the activation; or NULL. May be y */
    int64_t           ldr;
    void             *y;            /* act [M, N], row stride ldy; must not overlap x */
    int64_t           ldy;
    const int32_t    *count;        /* i32 [1] in device memory: live rows, 0 to M; NULL: M. Rows past it are not written */
    const int32_t    *rows;         /* i32 [M] in device memory: row i reads x[rows[i]]; NULL: x[i] */
    int32_t           M, N, K;
    hdl_activation    act;
    hdl_dtype         act_dtype;    /* of what the comments call act: HDL_F32, or what the device offers for the weights' compute type */
    const float      *x_max;        /* f32 [*] or NULL: greatest magnitude of each row of x, where what wrote it knows. Speed alone */
    float            *y_max;        /* f32 [M] or NULL: raised to the greatest magnitude of each row of y; device.h, "row maxima" */
} hdl_gemm_args;

#define HDL_GEMM_ARGS_INIT \
    { sizeof(hdl_gemm_args), NULL, 0, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, 0, 0, 0, HDL_ACT_NONE, HDL_F32, NULL, NULL }

/*
 * Copies the parts into the device's own layout; they may die as soon as this returns. HDL_EINVAL (ranges, NULL),
 * HDL_ESHAPE (the parts' rows do not sum to N), HDL_EDTYPE, HDL_ENUMERIC (a scale is zero or not finite), HDL_ENOMEM.
 */
HDL_API hdl_status hdl_weight_pack(hdl_device *device, const hdl_pack_args *args, hdl_weight **weight);
HDL_API void       hdl_weight_close(hdl_device *device, hdl_weight *weight);   /* the same device; NULL is fine */
HDL_API size_t     hdl_weight_bytes(const hdl_device *device, const hdl_weight *weight);  /* 0 for NULL */

/* Queues y = act(x W^T + b) + residual. M = 0 is fine. HDL_EINVAL and HDL_ESHAPE name the argument; nothing is queued. */
HDL_API hdl_status hdl_gemm(hdl_stream *stream, const hdl_gemm_args *args);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_GEMM_H */
