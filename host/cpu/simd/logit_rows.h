/* logit_rows.h - passes over a row of a few logits: bias, sum of exponentials, what stands out. */
#ifndef HEDDLE_HOST_SIMD_LOGIT_ROWS_H
#define HEDDLE_HOST_SIMD_LOGIT_ROWS_H

#include "cpu/op_kernels.h"
#include "cpu/simd/lane_sums.h"

#include <math.h>

enum { VF_SEVERAL = 4 };      /* registers that are looked at together */

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

static bool logit_scan(float *z, const float *bias, int32_t n)
{
    uint32_t bad = 0;
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) {
        vf v = vf_load(z + i);
        if (bias != NULL) v += vf_load(bias + i);
        vf_store(z + i, v);
        bad |= lanes_not_below_infinity(v);
    }
    if (i < n) {
        vf v = load_last_logits(z + i, n - i);
        if (bias != NULL) v += vf_load_part(bias + i, n - i);
        vf_store_part(z + i, v, n - i);
        bad |= lanes_not_below_infinity(v);
    }
    return bad == 0;
}

HDL__INLINE void take_lanes(vf v, int32_t first, hdl__best *best)
{
    uint32_t above = lanes_above(v, vf_set(best->bar));
    if (above == 0) return;
    float lane[HDL__VF_LANES];
    vf_store(lane, v);
    for (; above != 0; above &= above - 1) {
        const int32_t j = __builtin_ctz(above);
        if (lane[j] > best->bar) hdl__best_add(best, lane[j], first + j);
    }
}

/* Registers i .. i + VF_SEVERAL of a row of n values; -inf past its end. */
HDL__INLINE void load_logits(const float *z, const float *bias, int32_t i, int32_t n, vf *v)
{
    if (__builtin_expect(i + VF_SEVERAL * HDL__VF_LANES <= n, 1)) {
        for (int r = 0; r < VF_SEVERAL; r++) v[r] = vf_load(z + i + r * HDL__VF_LANES);
        if (bias == NULL) return;
        for (int r = 0; r < VF_SEVERAL; r++) v[r] += vf_load(bias + i + r * HDL__VF_LANES);
        return;
    }
    for (int r = 0; r < VF_SEVERAL; r++, i += HDL__VF_LANES) {
        const int32_t left = n - i;
        const int32_t live = left < 0 ? 0 : left < HDL__VF_LANES ? left : HDL__VF_LANES;
        v[r] = load_last_logits(z + i, live);
        if (bias == NULL) continue;
        if (live == HDL__VF_LANES) v[r] += vf_load(bias + i);
        else if (live > 0) v[r] += vf_load_part(bias + i, live);
    }
}

#if defined(HDL__ISA_AVX512)
/* 2^(j / 32) */
static const float powers[2 * HDL__VF_LANES] = {
    1.0f, 1.02189720f, 1.04427373f, 1.06714046f, 1.09050775f, 1.11438680f, 1.13878858f, 1.16372490f,
    1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f, 1.35425556f, 1.38390994f,
    1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f, 1.57598090f, 1.61049032f, 1.64575553f,
    1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f, 1.83400810f, 1.87416768f, 1.91520655f, 1.95714414f,
};
#endif

/*
 * e^x of VF_SEVERAL registers that will be summed; x is at most HDL__LOGIT_RISE or NaN. AVX-512: x = n ln 2 / 32 + r,
 * 2^(n / 32) from two registers, e^r by a polynomial of degree 2 (5.3e-8 off at most, nothing at 0): two thirds of vf_exp's
 * arithmetic. ln 2 in one part is off by 2.7e-9 |x| of a term, which for the terms that count is less than the rest.
 */
HDL__INLINE void exp_terms(vf *x)
{
#if defined(HDL__ISA_AVX512)
    const vf magic = vf_set(393216.0f);     /* 1.5 * 2^18: adding it rounds to 32nds, whose number is in the low bits */
    const __m512 low = _mm512_loadu_ps(powers), high = _mm512_loadu_ps(powers + HDL__VF_LANES);
    for (int i = 0; i < VF_SEVERAL; i++) {
        const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x[i], _mm512_set1_ps(-87.33f), _CMP_NLT_UQ);
        const vf shifted = vf_fma(x[i], vf_set(0x1.715476p+0f), magic), n = shifted - magic;
        const vf r = vf_fma(n, vf_set(-0x1.62e43p-1f), x[i]);
        const vf p = vf_fma(vf_fma(r, vf_set(0.5f), vf_set(1.00001466f)), r, vf_set(1.0f));
        const __m512 power = _mm512_permutex2var_ps(low, (__m512i)shifted, high);
        x[i] = (vf)_mm512_maskz_scalef_ps(counts, power * (__m512)p, (__m512)n);
    }
#else
    for (int i = 0; i < VF_SEVERAL; i++) x[i] = vf_exp(x[i]);
#endif
}

/* The greatest of `top` becomes the reference. */
static __attribute__((noinline)) void raise_reference(hdl__logit_sum *sum, vf top)
{
    const float reference = top_lane(top);
    const double shrink = exp((double)sum->reference - (double)reference);
    vf_store(sum->lane, vf_load(sum->lane) * vf_set((float)shrink));
    sum->total *= shrink;
    sum->reference = reference;
}

static __attribute__((noinline)) void take_several(const float *z, const float *bias, int32_t i, int32_t n, int32_t first,
                                                   hdl__best *best)
{
    vf v[VF_SEVERAL];
    load_logits(z, bias, i, n, v);
    for (int r = 0; r < VF_SEVERAL; r++) take_lanes(v[r], first + i + r * HDL__VF_LANES, best);
}

static void logit_add(const float *z, int64_t ldz, const float *bias, int32_t M, int32_t n, int32_t first,
                      hdl__logit_sum *sums)
{
    for (int32_t m = 0; m < M; m++, z += ldz) {
        hdl__logit_sum *sum = &sums[m];
        for (int32_t i = 0; i < n; i += VF_SEVERAL * HDL__VF_LANES) {
            vf v[VF_SEVERAL];
            load_logits(z, bias, i, n, v);
            const vf top = greater(greater(v[0], v[1]), greater(v[2], v[3]));
            if (__builtin_expect(lanes_above(top, vf_set(sum->reference + HDL__LOGIT_RISE)) != 0, 0))
                raise_reference(sum, top);
            if (__builtin_expect(lanes_above(top, vf_set(sum->best->bar)) != 0, 0))
                take_several(z, bias, i, n, first, sum->best);
            vf_store(sum->top, greater(top, vf_load(sum->top)));
            for (int r = 0; r < VF_SEVERAL; r++) v[r] -= vf_set(sum->reference);
            exp_terms(v);
            vf_store(sum->lane, vf_load(sum->lane) + ((v[0] + v[1]) + (v[2] + v[3])));
        }
    }
}

static void exp_row(const float *z, int32_t n, float max, float factor, float *p)
{
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES)
        vf_store(p + i, vf_exp((vf_load(z + i) - vf_set(max)) * vf_set(factor)));
    if (i < n) vf_store_part(p + i, vf_exp((vf_load_part(z + i, n - i) - vf_set(max)) * vf_set(factor)), n - i);
}

#endif
