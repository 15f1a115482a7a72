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

/* The last, partial register of a row; lanes past its end are -inf, which no pass counts. */
HDL__INLINE vf load_last_logits(const float *z, int32_t n)
{
    float lane[HDL__VF_LANES];
    for (int32_t j = 0; j < HDL__VF_LANES; j++) lane[j] = j < n ? z[j] : -INFINITY;
    return vf_load(lane);
}

static bool logit_scan(float *z, const float *bias, int32_t n, float *max)
{
    vf top = vf_set(-INFINITY);
    uint32_t bad = 0;
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) {
        vf v = vf_load(z + i);
        if (bias != NULL) v += vf_load(bias + i);
        vf_store(z + i, v);
        bad |= lanes_not_below_infinity(v);
        top = greater(v, top);
    }
    if (i < n) {
        vf v = load_last_logits(z + i, n - i);
        if (bias != NULL) v += vf_load_part(bias + i, n - i);
        vf_store_part(z + i, v, n - i);
        bad |= lanes_not_below_infinity(v);
        top = greater(v, top);
    }
    *max = top_lane(top);
    return bad == 0;
}

static float logit_max(const float *z, int32_t n)
{
    vf top = vf_set(-INFINITY);
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) top = greater(vf_load(z + i), top);
    if (i < n) top = greater(load_last_logits(z + i, n - i), top);
    return top_lane(top);
}

HDL__INLINE void take_lanes(vf v, int32_t first, hdl__best *best)
{
    uint32_t above = lanes_above(v, vf_set(best->bar));
    if (__builtin_expect(above == 0, 1)) return;
    float lane[HDL__VF_LANES];
    vf_store(lane, v);
    for (; above != 0; above &= above - 1) {
        const int32_t j = __builtin_ctz(above);
        if (lane[j] > best->bar) hdl__best_add(best, lane[j], first + j);
    }
}

static float logit_take(const float *z, int32_t n, float max, int32_t first, hdl__best *best)
{
    vf sum = vf_set(0.0f);
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) {
        const vf v = vf_load(z + i);
        sum += vf_exp(v - vf_set(max));
        take_lanes(v, first + i, best);
    }
    if (i < n) {
        const vf v = load_last_logits(z + i, n - i);
        sum += vf_exp(v - vf_set(max));
        take_lanes(v, first + i, best);
    }
    return sum_lanes(sum);
}

static void exp_row(const float *z, int32_t n, float max, float factor, float *p)
{
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES)
        vf_store(p + i, vf_exp((vf_load(z + i) - vf_set(max)) * vf_set(factor)));
    if (i < n) vf_store_part(p + i, vf_exp((vf_load_part(z + i, n - i) - vf_set(max)) * vf_set(factor)), n - i);
}

#endif
