/*
 * vec_math.h - lanes of f32: load, store, select, reduce, exp, tanh, erf, sigmoid.
 *
 * Errors, tested over all ranges against double: exp 2 ulp, tanh and sigmoid 4 ulp, erf 3 ulp (FMA or not). NaN
 * stays NaN. Polynomials are least-squares fits on Chebyshev nodes with Lawson's weights, relative to the
 * function; their own error is below 5e-9.
 */
#ifndef HEDDLE_HOST_SIMD_VEC_MATH_H
#define HEDDLE_HOST_SIMD_VEC_MATH_H

#include "cpu/simd/isa.h"

#include <stdbool.h>
#include <string.h>

HDL__INLINE vf vf_load(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
HDL__INLINE void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }

HDL__INLINE vf vf_set(float x)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_set1_ps(x);
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_set1_ps(x);
#else
    return (vf){x, x, x, x};
#endif
}

HDL__INLINE vi vi_set(int32_t x)
{
#if defined(HDL__ISA_AVX512)
    return (vi)_mm512_set1_epi32(x);
#elif defined(HDL__ISA_AVX2)
    return (vi)_mm256_set1_epi32(x);
#else
    return (vi){x, x, x, x};
#endif
}

/* The first n lanes, 0 <= n < HDL__VF_LANES; the others are 0. Never touches memory past them. */
HDL__INLINE vf vf_load_part(const float *p, int32_t n)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
#else
    vf v = vf_set(0.0f);
    for (int32_t i = 0; i < n; ++i) v[i] = p[i];
    return v;
#endif
}

HDL__INLINE void vf_store_part(float *p, vf v, int32_t n)
{
#if defined(HDL__ISA_AVX512)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#else
    for (int32_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}

/* a * b + c, rounded once where the instruction set has it. */
HDL__INLINE vf vf_fma(vf a, vf b, vf c)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* mask lanes are -1 (take a) or 0 (take b) */
HDL__INLINE vf vf_select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
HDL__INLINE vf vf_max(vf a, vf b) { return vf_select((vi)(a > b), a, b); }      /* b when either is NaN */
HDL__INLINE vf vf_min(vf a, vf b) { return vf_select((vi)(a < b), a, b); }
HDL__INLINE vf vf_abs(vf a) { return (vf)((vi)a & vi_set(INT32_MAX)); }

/* Sum and maximum of all lanes, in one fixed order: halves are folded onto each other. */
HDL__INLINE float vf_sum(vf v)
{
    float lane[HDL__VF_LANES];
    vf_store(lane, v);
    for (int half = HDL__VF_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    return lane[0];
}

HDL__INLINE float vf_top(vf v)
{
    float lane[HDL__VF_LANES];
    vf_store(lane, v);
    for (int half = HDL__VF_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
    return lane[0];
}

/* Into [low, high]; NaN stays NaN (the processor's minimum and maximum give their second operand then). */
HDL__INLINE vf vf_clamp(vf x, float low, float high)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)x));
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
#else
    x = vf_select((vi)(x < vf_set(low)), vf_set(low), x);
    return vf_select((vi)(x > vf_set(high)), vf_set(high), x);
#endif
}

/* 2^n for integral n in [-126, 127], given as bits of n + 1.5 * 2^23 */
HDL__INLINE vf vf_power_of_two(vi n) { return (vf)((n + vi_set(127)) << 23); }

#define VF_EXP_LEAST (-87.33f)      /* a little more than the logarithm of the smallest normal number */

/*
 * e^x: 0 below -87.33, infinite above 88.8. A subnormal result would cost more than thirty ordinary ones (the processor's
 * help is called for a register with a single one), and lanes of -inf are in most tiles of attention.
 */
HDL__INLINE vf vf_exp(vf x)
{
    const vf magic = vf_set(12582912.0f);           /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
#if defined(HDL__ISA_AVX512)
    const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(VF_EXP_LEAST), _CMP_NLT_UQ);
#else
    const vi counts = ~(vi)(x < vf_set(VF_EXP_LEAST));
#endif
    x = vf_clamp(x, VF_EXP_LEAST, 89.0f);
    const vf shifted = vf_fma(x, vf_set(0x1.715476p+0f), magic);
    const vf n = shifted - magic;
    vf r = vf_fma(n, vf_set(-0x1.62e4p-1f), x);     /* the high 16 bits of ln 2: n times them is exact */
    r = vf_fma(n, vf_set(-0x1.7f7d1cp-20f), r);
    vf p = vf_fma(r, vf_set(0.0013814608f), vf_set(0.00836871f));
    p = vf_fma(p, r, vf_set(0.04166839f));
    p = vf_fma(p, r, vf_set(0.16666521f));
    p = vf_fma(p, r, vf_set(0.49999994f));
    p = vf_fma(p * r, r, r) + vf_set(1.0f);
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_maskz_scalef_ps(counts, (__m512)p, (__m512)n);
#else
    const vi bits = (vi)shifted - (vi)magic;        /* n; two factors, as 2^n may be 2^128 */
    const vi half = bits >> 1;
    return (vf)((vi)(p * vf_power_of_two(half) * vf_power_of_two(bits - half)) & counts);
#endif
}

#if defined(HDL__ISA_AVX512)
/* 2^(j / 32) */
static const float vf_powers[2 * HDL__VF_LANES] = {
    1.0f, 1.02189720f, 1.04427373f, 1.06714046f, 1.09050775f, 1.11438680f, 1.13878858f, 1.16372490f,
    1.18920708f, 1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f, 1.35425556f, 1.38390994f,
    1.41421354f, 1.44518077f, 1.47682619f, 1.50916445f, 1.54221082f, 1.57598090f, 1.61049032f, 1.64575553f,
    1.68179286f, 1.71861935f, 1.75625217f, 1.79470909f, 1.83400810f, 1.87416768f, 1.91520655f, 1.95714414f,
};

typedef struct vf_power { vf value, n; } vf_power;      /* value * 2^floor(n) */

/*
 * e^x, or e^-x, for x of at most 10^5 in magnitude, or NaN: n ln 2 + r, n in 32nds whose 2^n is from two registers, e^r by a
 * polynomial of degree 2 (5.3e-8 off at most, nothing at 0). Two thirds of vf_exp's arithmetic. Unless it is `fine`, ln 2 has one
 * part, which is off by 2.7e-9 |x| of the result.
 */
HDL__INLINE vf_power vf_exp_short(vf x, const bool negative, const bool fine)
{
    const vf magic = vf_set(393216.0f);     /* 1.5 * 2^18: adding it rounds to 32nds, whose number is in the low bits */
    const __m512 low = _mm512_loadu_ps(vf_powers), high = _mm512_loadu_ps(vf_powers + HDL__VF_LANES);
    const vf shifted = vf_fma(x, vf_set(negative ? -0x1.715476p+0f : 0x1.715476p+0f), magic), n = shifted - magic;
    const __m512 ln2 = _mm512_set1_ps(0x1.62e43p-1f);
    vf r = (vf)(negative ? _mm512_fnmsub_ps((__m512)n, ln2, (__m512)x) : _mm512_fnmadd_ps((__m512)n, ln2, (__m512)x));
    if (fine) r = vf_fma(n, vf_set(0x1.05c61p-29f), r);
    const vf power = (vf)_mm512_permutex2var_ps(low, (__m512i)shifted, high);
    return (vf_power){vf_fma(vf_fma(r, vf_set(0.5f), vf_set(1.00001466f)) * r, power, power), n};
}

/* 1 / (1 + e^-x) from -87.33 on. A division takes as long as all the rest: an inverse of 14 bits, and from there to 28. */
HDL__INLINE vf vf_sigmoid_above(vf x)
{
    const vf_power e = vf_exp_short(vf_clamp(x, VF_EXP_LEAST, -VF_EXP_LEAST), true, true);
    const vf d = vf_set(1.0f) + (vf)_mm512_scalef_ps((__m512)e.value, (__m512)e.n);
    const vf near = (vf)_mm512_rcp14_ps((__m512)d);
    return vf_fma(near, vf_fma(-d, near, vf_set(1.0f)), near);
}
#endif

/* v sigmoid(x); 0 where the sigmoid is below the smallest normal number (2^-126; not AVX-512: 2^-128), whatever v is there. */
HDL__INLINE vf vf_times_sigmoid(vf v, vf x)
{
#if defined(HDL__ISA_AVX512)
    const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(VF_EXP_LEAST), _CMP_NLT_UQ);
    return (vf)_mm512_maskz_mul_ps(counts, (__m512)v, (__m512)vf_sigmoid_above(x));
#else
    const vf y = v / (vf_set(1.0f) + vf_exp(-x));
    return vf_select((vi)(x == vf_set(-__builtin_inff())), vf_set(0.0f), y);
#endif
}

/* 1 / (1 + e^-x) */
HDL__INLINE vf vf_sigmoid(vf x) { return vf_times_sigmoid(vf_set(1.0f), x); }

HDL__INLINE vf vf_tanh(vf x)
{
    const vi sign = (vi)x & vi_set(INT32_MIN);
    const vf a = vf_abs(x), u = a * a;
    vf p = vf_fma(u, vf_set(-0.005704968f), vf_set(0.020639068f));
    p = vf_fma(p, u, vf_set(-0.053739708f));
    p = vf_fma(p, u, vf_set(0.13331442f));
    p = vf_fma(p, u, vf_set(-0.3333328f));
    const vf small = vf_fma(p * u, a, a);
    const vf large = vf_set(1.0f) - vf_set(2.0f) / (vf_exp(a + a) + vf_set(1.0f));
    return (vf)((vi)vf_select((vi)(a < vf_set(0.625f)), small, large) | sign);
}

HDL__INLINE vf vf_erf(vf x)
{
    const vi sign = (vi)x & vi_set(INT32_MIN);
    vf a = vf_abs(x);
    const vf u = a * a;
    vf p = vf_fma(u, vf_set(8.513095e-05f), vf_set(-0.00081756373f));
    p = vf_fma(p, u, vf_set(0.005203859f));
    p = vf_fma(p, u, vf_set(-0.026860509f));
    p = vf_fma(p, u, vf_set(0.11283715f));
    p = vf_fma(p, u, vf_set(-0.37612635f));
    p = vf_fma(p, u, vf_set(0.12837917f));
    const vf small = vf_fma(p, a, a);
    a = vf_select((vi)(a > vf_set(3.95f)), vf_set(3.95f), a);   /* erf is 1 in f32 from 3.92 on */
    vf q = vf_fma(a, vf_set(5.2969335e-06f), vf_set(-4.9939666e-05f));
    q = vf_fma(q, a, vf_set(-2.7439179e-05f));
    q = vf_fma(q, a, vf_set(0.0028691317f));
    q = vf_fma(q, a, vf_set(-0.022575632f));
    q = vf_fma(q, a, vf_set(0.10516951f));
    q = vf_fma(q, a, vf_set(0.63567317f));
    q = vf_fma(q, a, vf_set(1.1285415f));
    const vf large = vf_set(1.0f) - vf_exp(-(a * q));
    return (vf)((vi)vf_select((vi)(a < vf_set(0.9f)), small, large) | sign);
}

#endif
