/*
 * gemm_int8.c - exact int8 products of one strip: sums in i32, scaled to f32 at the end.
 *
 * Pairs of 16-bit products are added in i32 (pmaddwd), which cannot saturate, unlike the 8-bit multiply-add of
 * AVX2. Inputs are prepared as i16 pairs, weights widened as they are loaded. Exact for K up to 2^31 / 128^2.
 */
#include "cpu/simd/gemm_simd.h"

#define HDL__PAIR 2     /* consecutive k of one column, side by side */

/* lanes columns of a pair of rows as i16 [lanes, 2] in an i32 register each */
HDL__INLINE vi load_pairs(const int8_t *w)
{
#if defined(HDL__ISA_AVX512)
    return (vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)w));
#elif defined(HDL__ISA_AVX2)
    return (vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
#else
    vi pairs;
    int16_t wide[HDL__VF_LANES * HDL__PAIR];
    for (int i = 0; i < HDL__VF_LANES * HDL__PAIR; ++i) wide[i] = w[i];
    memcpy(&pairs, wide, sizeof pairs);
    return pairs;
#endif
}

/* sum + a0 * b0 + a1 * b1 in every lane */
HDL__INLINE vi add_pairs(vi sum, vi a, vi b)
{
#if defined(HDL__ISA_AVX512)
    return sum + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(HDL__ISA_AVX2)
    return sum + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

HDL__INLINE vf to_f32(vi sum)
{
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_cvtepi32_ps((__m512i)sum);
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_cvtepi32_ps((__m256i)sum);
#else
    return __builtin_convertvector(sum, vf);
#endif
}

HDL__INLINE void multiply_tile(const hdl__gemm_tile *t, int32_t m0, const int rows, const int vectors)
{
    const int16_t *x = (const int16_t *)t->x + m0 * t->ldx;
    const int8_t *w = t->w;
    const int step = vectors * HDL__VF_LANES * HDL__PAIR;
    vi sum[HDL__TILE_ROWS][HDL__TILE_VECTORS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[r][v] = vi_set(0);
    for (int32_t k = 0; k < t->K; k += HDL__PAIR, w += step) {
        vi pairs[HDL__TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) pairs[v] = load_pairs(w + v * HDL__VF_LANES * HDL__PAIR);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            int32_t input;
            memcpy(&input, x + r * t->ldx + k, sizeof input);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) sum[r][v] = add_pairs(sum[r][v], vi_set(input), pairs[v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        const vf unscale = vf_set(t->x_unscale[m0 + r]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v)
            vf_store(t->y + (m0 + r) * t->ldy + v * HDL__VF_LANES,
                     to_f32(sum[r][v]) * unscale * vf_load(t->w_unscale + v * HDL__VF_LANES));
    }
}

HDL__INLINE void multiply_rows(const hdl__gemm_tile *t, const int vectors)
{
    for (int32_t m = 0; m < t->M;) {
        const int32_t rows = deal_rows(t->M - m);
        switch (rows) {
        case 1: multiply_tile(t, m, 1, vectors); break;
        case 2: multiply_tile(t, m, 2, vectors); break;
        case 3: multiply_tile(t, m, 3, vectors); break;
        case 4: multiply_tile(t, m, 4, vectors); break;
        case 5: multiply_tile(t, m, 5, vectors); break;
        default: multiply_tile(t, m, 6, vectors); break;
        }
        m += rows;
    }
}

static void multiply_int8(const hdl__gemm_tile *t)
{
    switch (t->columns / HDL__VF_LANES) {
    case 1: multiply_rows(t, 1); break;
#if HDL__TILE_VECTORS == 4
    case 2: multiply_rows(t, 2); break;
    case 3: multiply_rows(t, 3); break;
#endif
    default: multiply_rows(t, HDL__TILE_VECTORS); break;
    }
}

/* Quantised where the second half of the i16 row will stand, then widened front to back: the reader stays ahead of
 * the writer. */
static void prepare_int8(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    int8_t *narrow = (int8_t *)out + padded;
    HDL__QUANTISE(x, K, narrow, scale);
    for (int32_t k = K; k < padded; ++k) narrow[k] = 0;
    for (int32_t k = 0; k < padded; ++k) {
        const int16_t wide = narrow[k];
        memcpy((uint8_t *)out + (size_t)k * sizeof wide, &wide, sizeof wide);
    }
}

const hdl__gemm_method HDL__GEMM_INT8 = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = HDL__PAIR, .w_bytes = sizeof(int8_t),
    .x_bytes = sizeof(int16_t), .prepare = prepare_int8, .multiply = multiply_int8,
};
