/*
 * gemm_native.c - products by the dot instructions that only some AVX-512 processors have: VNNI for int8,
 * AVX512_BF16 for bf16.
 *
 * The functions carry the instruction sets as attributes, and the device calls them by feature bits only. int8:
 * vpdpbusd takes unsigned inputs, so rows are stored plus 128 (or signed ones, gemm_amx.c's, made so as they are
 * read), and every column starts at minus 128 times the sum of its weights; sums are exact. bf16: pairs are summed
 * by vdpbf16ps (no subnormals, one fixed order), in the chunks of gemm_f32.c.
 */
#include "cpu/simd/gemm_simd.h"

#if defined(HDL__ISA_AVX512)

#define HDL__VNNI  __attribute__((target("avx512vnni")))
#define HDL__DOT   __attribute__((target("avx512bf16")))
#define HDL__QUAD  4    /* int8 k of one column, side by side */
#define HDL__PAIR  2    /* bf16 k of one column, side by side */

HDL__INLINE HDL__VNNI void multiply_int8_tile(const hdl__gemm_tile *t, int32_t m0, const int rows, const int vectors,
                                                   const bool offset)
{
    const uint8_t *x = (const uint8_t *)t->x + m0 * t->ldx;
    const int8_t *w = t->w;
    vi sum[HDL__TILE_ROWS][HDL__TILE_VECTORS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[r][v] = (vi)_mm512_loadu_si512(t->w_start + v * HDL__VF_LANES);
    for (int32_t k = 0; k < t->K; k += HDL__QUAD, w += vectors * HDL__VF_BYTES) {
        __m512i quads[HDL__TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) quads[v] = _mm512_loadu_si512(w + v * HDL__VF_BYTES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            int32_t input;
            memcpy(&input, x + r * t->ldx + k, sizeof input);
            if (!offset) input ^= (int32_t)0x80808080u;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v)
                sum[r][v] = (vi)_mm512_dpbusd_epi32((__m512i)sum[r][v], _mm512_set1_epi32(input), quads[v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        const vf unscale = vf_set(t->x_unscale[m0 + r]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v)
            if (t->sums) vf_store(t->y + (m0 + r) * t->ldy + v * HDL__VF_LANES, (vf)sum[r][v]);
            else vf_store(t->y + (m0 + r) * t->ldy + v * HDL__VF_LANES,
                     (vf)_mm512_cvtepi32_ps((__m512i)sum[r][v]) * unscale * vf_load(t->w_unscale + v * HDL__VF_LANES));
    }
}

HDL__INLINE HDL__DOT void multiply_bf16_tile(const hdl__gemm_tile *t, int32_t m0, const int rows, const int vectors)
{
    const uint16_t *x = (const uint16_t *)t->x + m0 * t->ldx;
    const uint8_t *w = t->w;
    for (int32_t k0 = 0; k0 < t->K; k0 += HDL__K_CHUNK) {
        const int32_t k1 = t->K - k0 < HDL__K_CHUNK ? t->K : k0 + HDL__K_CHUNK;
        __m512 sum[HDL__TILE_ROWS][HDL__TILE_VECTORS];
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) sum[r][v] = _mm512_setzero_ps();
        for (int32_t k = k0; k < k1; k += HDL__PAIR, w += vectors * HDL__VF_BYTES) {
            __m512i pairs[HDL__TILE_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) pairs[v] = _mm512_loadu_si512(w + v * HDL__VF_BYTES);
#pragma GCC unroll 6
            for (int r = 0; r < rows; ++r) {
                int32_t input;
                memcpy(&input, x + r * t->ldx + k, sizeof input);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v)
                    sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)_mm512_set1_epi32(input), (__m512bh)pairs[v]);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) {
                float *out = t->y + (m0 + r) * t->ldy + v * HDL__VF_LANES;
                if (k0 > 0) sum[r][v] = _mm512_add_ps(sum[r][v], _mm512_loadu_ps(out));
                _mm512_storeu_ps(out, sum[r][v]);
            }
    }
}

HDL__INLINE HDL__VNNI void multiply_int8_rows(const hdl__gemm_tile *t, const int vectors, const bool offset)
{
    for (int32_t m = 0; m < t->M;) {
        const int32_t rows = deal_rows(t->M - m);
        switch (rows) {
        case 1: multiply_int8_tile(t, m, 1, vectors, offset); break;
        case 2: multiply_int8_tile(t, m, 2, vectors, offset); break;
        case 3: multiply_int8_tile(t, m, 3, vectors, offset); break;
        case 4: multiply_int8_tile(t, m, 4, vectors, offset); break;
        case 5: multiply_int8_tile(t, m, 5, vectors, offset); break;
        default: multiply_int8_tile(t, m, 6, vectors, offset); break;
        }
        m += rows;
    }
}

HDL__INLINE HDL__DOT void multiply_bf16_rows(const hdl__gemm_tile *t, const int vectors)
{
    for (int32_t m = 0; m < t->M;) {
        const int32_t rows = deal_rows(t->M - m);
        switch (rows) {
        case 1: multiply_bf16_tile(t, m, 1, vectors); break;
        case 2: multiply_bf16_tile(t, m, 2, vectors); break;
        case 3: multiply_bf16_tile(t, m, 3, vectors); break;
        case 4: multiply_bf16_tile(t, m, 4, vectors); break;
        case 5: multiply_bf16_tile(t, m, 5, vectors); break;
        default: multiply_bf16_tile(t, m, 6, vectors); break;
        }
        m += rows;
    }
}

HDL__INLINE HDL__VNNI void multiply_int8(const hdl__gemm_tile *t, const bool offset)
{
    switch (t->columns / HDL__VF_LANES) {
    case 1: multiply_int8_rows(t, 1, offset); break;
    case 2: multiply_int8_rows(t, 2, offset); break;
    case 3: multiply_int8_rows(t, 3, offset); break;
    default: multiply_int8_rows(t, 4, offset); break;
    }
}

static HDL__VNNI void multiply_int8_offset(const hdl__gemm_tile *t) { multiply_int8(t, true); }
HDL__VNNI void hdl__multiply_int8_signed(const hdl__gemm_tile *t) { multiply_int8(t, false); }

static HDL__DOT void multiply_bf16(const hdl__gemm_tile *t)
{
    switch (t->columns / HDL__VF_LANES) {
    case 1: multiply_bf16_rows(t, 1); break;
    case 2: multiply_bf16_rows(t, 2); break;
    case 3: multiply_bf16_rows(t, 3); break;
    default: multiply_bf16_rows(t, 4); break;
    }
}

HDL__DOT void hdl__prepare_bf16_pairs(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    (void)scale;
    uint16_t *to = out;
    for (int32_t k = 0; k < padded; k += HDL__VF_LANES) {
        const int32_t rest = K - k > 0 ? K - k : 0, left = rest < HDL__VF_LANES ? rest : HDL__VF_LANES;
        const int32_t room = padded - k < HDL__VF_LANES ? padded - k : HDL__VF_LANES;
        const __mmask16 live = (__mmask16)((1u << left) - 1u);
        const __mmask16 kept = (__mmask16)((1u << room) - 1u);
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(live, x + k));
        _mm256_mask_storeu_epi16(to + k, kept, (__m256i)rounded);
    }
}

const hdl__gemm_method hdl__gemm_int8_vnni = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = HDL__QUAD, .w_bytes = sizeof(int8_t),
    .x_bytes = sizeof(uint8_t), .offset = true, .prepare = hdl__prepare_int8_offset,
    .multiply = multiply_int8_offset,
};

const hdl__gemm_method hdl__gemm_bf16_dot = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = HDL__PAIR, .w_bytes = sizeof(uint16_t),
    .x_bytes = sizeof(uint16_t), .prepare = hdl__prepare_bf16_pairs, .multiply = multiply_bf16,
};

#endif
