/* lane_sums.h - folding lanes: greatest lane, sum of lanes, and one sum per register of a square of registers. */
#ifndef HEDDLE_HOST_SIMD_LANE_SUMS_H
#define HEDDLE_HOST_SIMD_LANE_SUMS_H

#include "cpu/simd/vec_math.h"

/* The greater; `b` where either is NaN. One instruction where vf_max would be a compare and three logical ones. */
HDL__INLINE vf greater(vf a, vf b)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vf_max(a, b);
#endif
}

/* The greatest lane; lanes are not NaN. */
HDL__INLINE float top_lane(vf v)
{
#if defined(HDL__ISA_AVX512)
    return _mm512_reduce_max_ps((__m512)v);
#elif defined(HDL__ISA_AVX2)
    __m128 m = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
#else
    return vf_top(v);
#endif
}

#if defined(HDL__ISA_AVX512)

/* Lane j < n is the sum of the lanes of rows[j], for every j and n in the same order: (0+2)+(1+3) of each quarter, then quarters likewise. n: a multiple of 4. */
HDL__INLINE vf sum_rows(const vf *rows, const int n)
{
    __m512 quad[4];     /* quad[i]: of rows 4 i to 4 i + 3, one sum per quarter */
    for (int i = 0; i < 4; i++) {
        if (4 * i >= n) {
            quad[i] = quad[0];
            continue;
        }
        const __m512 a = (__m512)rows[4 * i], b = (__m512)rows[4 * i + 1];
        const __m512 c = (__m512)rows[4 * i + 2], d = (__m512)rows[4 * i + 3];
        const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b));
        const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d));
        quad[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)) + _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    }
    enum { EVEN = 0x88, ODD = 0xdd };   /* quarters 0 and 2, 1 and 3, of both operands */
    const __m512 low = _mm512_shuffle_f32x4(quad[0], quad[1], 0x44) + _mm512_shuffle_f32x4(quad[0], quad[1], 0xee);
    const __m512 high = _mm512_shuffle_f32x4(quad[2], quad[3], 0x44) + _mm512_shuffle_f32x4(quad[2], quad[3], 0xee);
    return (vf)(_mm512_shuffle_f32x4(low, high, EVEN) + _mm512_shuffle_f32x4(low, high, ODD));
}

#elif defined(HDL__ISA_AVX2)

/* Lane j < n is the sum of the lanes of rows[j], for every j and n in the same order: (0+2)+(1+3) of each half, then the halves. n: 4 or 8. */
HDL__INLINE vf sum_rows(const vf *rows, const int n)
{
    __m256 quad[2];
    for (int i = 0; i < 2; i++) {
        if (4 * i >= n) {
            quad[i] = quad[0];
            continue;
        }
        const __m256 a = (__m256)rows[4 * i], b = (__m256)rows[4 * i + 1];
        const __m256 c = (__m256)rows[4 * i + 2], d = (__m256)rows[4 * i + 3];
        const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b));
        const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d));
        quad[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)) + _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
    }
    enum { LOW = 0x20, HIGH = 0x31 };   /* low halves of both operands, high halves */
    return (vf)(_mm256_permute2f128_ps(quad[0], quad[1], LOW) + _mm256_permute2f128_ps(quad[0], quad[1], HIGH));
}

#else

HDL__INLINE vf sum_rows(const vf *rows, const int n)
{
    vf sum;
    (void)n;
    for (int j = 0; j < HDL__VF_LANES; j++) sum[j] = (rows[j][0] + rows[j][2]) + (rows[j][1] + rows[j][3]);
    return sum;
}

#endif

/* Sum of all lanes, halves folded onto each other. */
HDL__INLINE float sum_lanes(vf v)
{
#if defined(HDL__ISA_PLAIN)
    return (v[0] + v[2]) + (v[1] + v[3]);
#else
#  if defined(HDL__ISA_AVX512)
    const __m256 half = _mm512_castps512_ps256((__m512)v) + _mm512_extractf32x8_ps((__m512)v, 1);
#  else
    const __m256 half = (__m256)v;
#  endif
    const __m128 quad = _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
    const __m128 pair = quad + _mm_movehl_ps(quad, quad);
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
#endif
}

#endif
