/* logit_rows.h - passes over a row of one panel of logits: bias and greatest, sum of exponentials, what stands out. */
#ifndef HEDDLE_HOST_SIMD_LOGIT_ROWS_H
#define HEDDLE_HOST_SIMD_LOGIT_ROWS_H

#include "cpu/op_kernels.h"
#include "cpu/simd/lane_sums.h"

#include <math.h>

/* One bit per lane in which a > b. */
HDL__INLINE uint32_t lanes_above(vf a, vf b)
{
#if defined(HDL__ISA_AVX512)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
#elif defined(HDL__ISA_AVX2)
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ));
#else
    uint32_t bits = 0;
    for (int i = 0; i < HDL__VF_LANES; i++) bits |= (uint32_t)(a[i] > b[i]) << i;
    return bits;
#endif
}

/* One bit per lane that is NaN or +inf. */
HDL__INLINE uint32_t lanes_not_below_infinity(vf a)
{
#if defined(HDL__ISA_AVX512)
    return _mm512_cmp_ps_mask((__m512)a, _mm512_set1_ps(INFINITY), _CMP_NLT_UQ);
#elif defined(HDL__ISA_AVX2)
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, _mm256_set1_ps(INFINITY), _CMP_NLT_UQ));
#else
    uint32_t bits = 0;
    for (int i = 0; i < HDL__VF_LANES; i++) bits |= (uint32_t)!(a[i] < INFINITY) << i;
    return bits;
#endif
}

/* A register of the row; lanes past its end are -inf, which no pass counts. */
HDL__INLINE vf load_logits(const float *z, int32_t i, int32_t n)
{
    if (i + HDL__VF_LANES <= n) return vf_load(z + i);
    float lane[HDL__VF_LANES];
    for (int j = 0; j < HDL__VF_LANES; j++) lane[j] = i + j < n ? z[i + j] : -INFINITY;
    return vf_load(lane);
}

static bool logit_scan(float *z, const float *bias, int32_t n, float *max)
{
    vf top = vf_set(-INFINITY);
    uint32_t bad = 0;
    for (int32_t i = 0; i < n; i += HDL__VF_LANES) {
        vf v = load_logits(z, i, n);
        if (i + HDL__VF_LANES <= n) {
            if (bias != NULL) v += vf_load(bias + i);
            vf_store(z + i, v);
        } else {
            if (bias != NULL) v += vf_load_part(bias + i, n - i);
            vf_store_part(z + i, v, n - i);
        }
        bad |= lanes_not_below_infinity(v);
        top = greater(v, top);
    }
    *max = top_lane(top);
    return bad == 0;
}

static float logit_max(const float *z, int32_t n)
{
    vf top = vf_set(-INFINITY);
    for (int32_t i = 0; i < n; i += HDL__VF_LANES) top = greater(load_logits(z, i, n), top);
    return top_lane(top);
}

static int32_t logit_sum(const float *z, int32_t n, float max, float bar, float *sum, int32_t *at)
{
    vf total = vf_set(0.0f);
    int32_t found = 0;
    for (int32_t i = 0; i < n; i += HDL__VF_LANES) {
        const vf v = load_logits(z, i, n);
        total += vf_exp(v - vf_set(max));
        for (uint32_t above = lanes_above(v, vf_set(bar)); above != 0; above &= above - 1)
            at[found++] = i + __builtin_ctz(above);
    }
    *sum = sum_lanes(total);
    return found;
}

static void exp_row(const float *z, int32_t n, float max, float factor, float *p)
{
    for (int32_t i = 0; i < n; i += HDL__VF_LANES) {
        const vf e = vf_exp((load_logits(z, i, n) - vf_set(max)) * vf_set(factor));
        if (i + HDL__VF_LANES <= n) vf_store(p + i, e);
        else vf_store_part(p + i, e, n - i);
    }
}

#endif
