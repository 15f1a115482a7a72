/* norm_rows.h - one row of residual add and LayerNorm or RMSNorm; two passes for the variance, f32 sums. */
#ifndef HEDDLE_HOST_SIMD_NORM_ROWS_H
#define HEDDLE_HOST_SIMD_NORM_ROWS_H

#include "cpu/op_kernels.h"
#include "cpu/simd/lane_sums.h"

#include <math.h>

enum { NORM_SUMS = 4 };     /* registers that a sum over a row is spread on: hides the latency of an addition */

HDL__INLINE vf add_to_sum(vf sum, vf v, bool squares)
{
    if (squares) return vf_fma(v, v, sum);
    return sum + v;
}

/* Sum over a row of (s - mean)^2, or of s when `squares` is false (then mean is 0). */
HDL__INLINE float row_sum(const float *s, int32_t E, float mean, bool squares)
{
    vf sum[NORM_SUMS];
    for (int i = 0; i < NORM_SUMS; i++) sum[i] = vf_set(0.0f);
    const vf centre = vf_set(mean);
    int32_t e = 0;
    for (; e + NORM_SUMS * HDL__VF_LANES <= E; e += NORM_SUMS * HDL__VF_LANES)
        for (int i = 0; i < NORM_SUMS; i++)
            sum[i] = add_to_sum(sum[i], vf_load(s + e + i * HDL__VF_LANES) - centre, squares);
    for (; e + HDL__VF_LANES <= E; e += HDL__VF_LANES) sum[0] = add_to_sum(sum[0], vf_load(s + e) - centre, squares);
    float total = sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; e < E; e++) {
        const float v = s[e] - mean;
        total += squares ? v * v : v;
    }
    return total;
}

HDL__INLINE void norm_part(const hdl__norm_row *r, int32_t e, int32_t part, float mean, float inverse)
{
    const vf s = part > 0 ? vf_load_part(r->s + e, part) : vf_load(r->s + e);
    const vf gamma = part > 0 ? vf_load_part(r->gamma + e, part) : vf_load(r->gamma + e);
    vf beta = vf_set(0.0f);
    if (r->beta != NULL) beta = part > 0 ? vf_load_part(r->beta + e, part) : vf_load(r->beta + e);
    const vf y = vf_fma((s - vf_set(mean)) * vf_set(inverse), gamma, beta);
    if (part > 0) vf_store_part(r->y + e, y, part);
    else vf_store(r->y + e, y);
}

static void norm_row(const hdl__norm_row *r)
{
    const int32_t E = r->E;
    if (r->residual != NULL) {
        int32_t e = 0;
        for (; e + HDL__VF_LANES <= E; e += HDL__VF_LANES) vf_store(r->s + e, vf_load(r->x + e) + vf_load(r->residual + e));
        for (; e < E; e++) r->s[e] = r->x[e] + r->residual[e];
    } else if (r->s != r->x) {
        memcpy(r->s, r->x, (size_t)E * sizeof(float));
    }
    const float mean = r->kind == HDL_NORM_LAYER ? row_sum(r->s, E, 0.0f, false) / (float)E : 0.0f;
    const float inverse = 1.0f / sqrtf(row_sum(r->s, E, mean, true) / (float)E + r->eps);
    int32_t e = 0;
    for (; e + HDL__VF_LANES <= E; e += HDL__VF_LANES) norm_part(r, e, 0, mean, inverse);
    if (e < E) norm_part(r, e, E - e, mean, inverse);
}

#endif
