/*
 * norm.h - residual add and normalisation in one pass.
 *
 *     s = x + residual;   y = (s - mean(s)) / sqrt(var(s) + eps) * gamma + beta      (LayerNorm)
 *                         y = s / sqrt(mean(s^2) + eps) * gamma                      (RMSNorm)
 *
 * Statistics are f32, the variance from the centred values (two passes over the row). Sources: Ba, Kiros and Hinton 2016, arXiv 1607.06450; Zhang and
 * Sennrich 2019, arXiv 1910.07467.
 */
#ifndef HEDDLE_NORM_H
#define HEDDLE_NORM_H

#include <heddle/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hdl_norm_kind { HDL_NORM_LAYER = 0, HDL_NORM_RMS = 1 } hdl_norm_kind;

typedef struct hdl_norm_args {
    size_t         struct_bytes;
    const void    *x;           /* act [M, E], dense rows */
    const void    *residual;    /* act [M, E] or NULL; may be x's buffer */
    const float   *gamma;       /* f32 [E] */
    const float   *beta;        /* f32 [E] or NULL (0) */
    void          *y;           /* act [M, E]; may alias x or residual */
    void          *sum;         /* act [M, E] or NULL: x + residual; may alias x or residual, not y */
    const int32_t *count;       /* i32 [1] in device memory: live rows; NULL: M */
    int32_t        M, E;        /* E 1 to 16384 */
    float          eps;         /* > 0 */
    hdl_norm_kind  kind;
    hdl_dtype      act_dtype;
    float         *y_max;       /* f32 [M] or NULL: set to the greatest magnitude of each row of y; device.h, "row maxima" */
} hdl_norm_args;

#define HDL_NORM_ARGS_INIT { sizeof(hdl_norm_args), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, HDL_NORM_LAYER, HDL_F32, NULL }

/* Queues the sum and its normalisation. M = 0 is fine. HDL_EINVAL and HDL_ESHAPE name the argument; nothing is queued. */
HDL_API hdl_status hdl_norm(hdl_stream *stream, const hdl_norm_args *args);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_NORM_H */
