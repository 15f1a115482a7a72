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

static void scale_sums(const int32_t *z, int32_t n, float x_unscale, const float *w_unscale, float *y)
{
    for (int32_t i = 0; i < n; i++) y[i] = (float)z[i] * x_unscale * w_unscale[i];
}

/* One row of hdl__logits. */
typedef struct logit_row {
    const float *z, *bias, *w_unscale;
    vf           x_unscale;
    int32_t      n;
} logit_row;

/* The register at i: all of it, or the first `live` lanes and -inf. */
HDL__INLINE vf load_logit(const logit_row *row, int32_t i, int32_t live, const bool sums)
{
    const bool whole = live >= HDL__VF_LANES;
    vf v = whole ? vf_load(row->z + i) : vf_load_part(row->z + i, live);
    if (sums) v = __builtin_convertvector((vi)v, vf) * row->x_unscale
                  * (whole ? vf_load(row->w_unscale + i) : vf_load_part(row->w_unscale + i, live));
    if (row->bias != NULL) v += whole ? vf_load(row->bias + i) : vf_load_part(row->bias + i, live);
    if (whole) return v;
    vi lane;
    for (int l = 0; l < HDL__VF_LANES; l++) lane[l] = l;
    return vf_select((vi)(lane < vi_set(live)), v, vf_set(-INFINITY));
}

/* Registers i .. i + VF_SEVERAL of a row; -inf past its end. */
HDL__INLINE void load_logits(const logit_row *row, int32_t i, const bool sums, vf *v)
{
    if (__builtin_expect(i + VF_SEVERAL * HDL__VF_LANES <= row->n, 1)) {
        for (int r = 0; r < VF_SEVERAL; r++) v[r] = load_logit(row, i + r * HDL__VF_LANES, HDL__VF_LANES, sums);
        return;
    }
    for (int r = 0; r < VF_SEVERAL; r++, i += HDL__VF_LANES)
        v[r] = i < row->n ? load_logit(row, i, row->n - i, sums) : vf_set(-INFINITY);
}

/* e^x of VF_SEVERAL registers that will be summed; x is at most HDL__LOGIT_RISE or NaN. */
HDL__INLINE void exp_terms(vf *x)
{
#if defined(HDL__ISA_AVX512)
    for (int i = 0; i < VF_SEVERAL; i++) {
        const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x[i], _mm512_set1_ps(VF_EXP_LEAST), _CMP_NLT_UQ);
        const vf_power e = vf_exp_short(x[i], false, false);
        x[i] = (vf)_mm512_maskz_scalef_ps(counts, (__m512)e.value, (__m512)e.n);
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

static __attribute__((noinline)) void take_several(const logit_row *row, int32_t i, bool sums, int32_t first, hdl__best *best)
{
    vf v[VF_SEVERAL];
    load_logits(row, i, sums, v);
    for (int r = 0; r < VF_SEVERAL; r++) take_lanes(v[r], first + i + r * HDL__VF_LANES, best);
}

HDL__INLINE void add_logits(const logit_row *row, int32_t first, hdl__logit_sum *sum, const bool sums)
{
    for (int32_t i = 0; i < row->n; i += VF_SEVERAL * HDL__VF_LANES) {
        vf v[VF_SEVERAL];
        load_logits(row, i, sums, v);
        const vf top = greater(greater(v[0], v[1]), greater(v[2], v[3]));
        if (__builtin_expect(lanes_above(top, vf_set(sum->reference + HDL__LOGIT_RISE)) != 0, 0)) raise_reference(sum, top);
        if (__builtin_expect(lanes_above(top, vf_set(sum->best->bar)) != 0, 0))
            take_several(row, i, sums, first, sum->best);
        vf_store(sum->top, greater(top, vf_load(sum->top)));
        for (int r = 0; r < VF_SEVERAL; r++) v[r] -= vf_set(sum->reference);
        exp_terms(v);
        vf_store(sum->lane, vf_load(sum->lane) + ((v[0] + v[1]) + (v[2] + v[3])));
    }
}

static void logit_add(const hdl__logits *z, int32_t M, int32_t first, hdl__logit_sum *sums)
{
    logit_row row = {z->z, z->bias, z->w_unscale, vf_set(1.0f), z->n};
    for (int32_t m = 0; m < M; m++, row.z += z->ldz) {
        if (z->w_unscale == NULL) {
            add_logits(&row, first, &sums[m], false);
            continue;
        }
        row.x_unscale = vf_set(z->x_unscale[m]);
        add_logits(&row, first, &sums[m], true);
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
