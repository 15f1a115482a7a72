/*
 * gemm_f32.c - f32 products of one strip, weights stored as f32 or as bf16 that is widened on the way.
 *
 * Order of sums (family "chunk"): inside a chunk of 256 inputs one accumulator per output, k ascending; chunk
 * sums are added in ascending order. Every tile height uses this order, so a row's bits depend on nothing but the
 * row and the weights.
 */
#include "cpu/simd/gemm_simd.h"

/*
 * What the next strip needs is fetched into the L2 meanwhile, one line each k, a part of the strip with every tile of
 * rows; from a level below, its first tile would wait. Only where a level-2 cache and two loads a cycle are sure.
 */
typedef struct fetch { const uint8_t *at; int64_t step; } fetch;

enum { LINE = 64, TO_L2 = 2 };

/* The part that tile number `tile` fetches: `vectors` tiles fetch a strip of f32. */
HDL__INLINE fetch plan_fetch(const hdl__gemm_tile *t, int32_t tile, const int vectors)
{
    if (tile >= vectors) return (fetch){t->w, 0};
    return (fetch){(const uint8_t *)t->next + (int64_t)tile * t->K * LINE, LINE};
}

/* One row of the strip: lanes of f32 from stored f32 or bf16. */
HDL__INLINE vf load_weights(const void *w, int64_t at, const bool narrow)
{
    if (!narrow) return vf_load((const float *)w + at);
    const uint16_t *p = (const uint16_t *)w + at;
#if defined(HDL__ISA_AVX512)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)), 16);
#elif defined(HDL__ISA_AVX2)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16);
#else
    return (vf)((vu){p[0], p[1], p[2], p[3]} << 16);
#endif
}

/* rows x vectors outputs from row m0 on; `rows`, `vectors` and `narrow` are constants at every call */
HDL__INLINE void multiply_tile(const hdl__gemm_tile *t, int32_t m0, fetch ahead, const int rows, const int vectors,
                               const bool narrow)
{
    const float *x = (const float *)t->x + m0 * t->ldx;
    float *y = t->y + m0 * t->ldy;
    for (int32_t k0 = 0; k0 < t->K; k0 += HDL__K_CHUNK) {
        const int32_t k1 = t->K - k0 < HDL__K_CHUNK ? t->K : k0 + HDL__K_CHUNK;
        vf sum[HDL__TILE_ROWS][HDL__TILE_VECTORS];
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) sum[r][v] = vf_set(0.0f);
        for (int32_t k = k0; k < k1; ++k) {
            vf w[HDL__TILE_VECTORS];
#if defined(HDL__ISA_AVX512)
            __builtin_prefetch(ahead.at, 0, TO_L2);
            ahead.at += ahead.step;
#else
            (void)ahead;
#endif
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v)
                w[v] = load_weights(t->w, (int64_t)k * vectors * HDL__VF_LANES + v * HDL__VF_LANES, narrow);
#pragma GCC unroll 6
            for (int r = 0; r < rows; ++r) {
                const vf input = vf_set(x[r * t->ldx + k]);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v) sum[r][v] = vf_fma(input, w[v], sum[r][v]);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) {
                float *out = y + r * t->ldy + v * HDL__VF_LANES;
                if (k0 > 0) sum[r][v] += vf_load(out);
                vf_store(out, sum[r][v]);
            }
    }
}

HDL__INLINE void multiply_rows(const hdl__gemm_tile *t, const int vectors, const bool narrow)
{
    for (int32_t m = 0, tile = 0; m < t->M; ++tile) {
        const int32_t rows = deal_rows(t->M - m);
        const fetch ahead = plan_fetch(t, tile, vectors);
        switch (rows) {
        case 1: multiply_tile(t, m, ahead, 1, vectors, narrow); break;
        case 2: multiply_tile(t, m, ahead, 2, vectors, narrow); break;
        case 3: multiply_tile(t, m, ahead, 3, vectors, narrow); break;
        case 4: multiply_tile(t, m, ahead, 4, vectors, narrow); break;
        case 5: multiply_tile(t, m, ahead, 5, vectors, narrow); break;
        default: multiply_tile(t, m, ahead, 6, vectors, narrow); break;
        }
        m += rows;
    }
}

HDL__INLINE void multiply_strip(const hdl__gemm_tile *t, const bool narrow)
{
    switch (t->columns / HDL__VF_LANES) {
    case 1: multiply_rows(t, 1, narrow); break;
#if HDL__TILE_VECTORS == 4
    case 2: multiply_rows(t, 2, narrow); break;
    case 3: multiply_rows(t, 3, narrow); break;
#endif
    default: multiply_rows(t, HDL__TILE_VECTORS, narrow); break;
    }
}

static void multiply_f32(const hdl__gemm_tile *t) { multiply_strip(t, false); }
static void multiply_bf16(const hdl__gemm_tile *t) { multiply_strip(t, true); }

/* f32 rounded to the nearest bf16, ties to even, and kept as f32; NaN stays NaN. */
HDL__INLINE vf round_to_bf16(vf x)
{
    const vu bits = (vu)x;
    const vu rounded = (bits + (vu)vi_set(0x7fff) + ((bits >> 16) & (vu)vi_set(1))) & (vu)vi_set((int32_t)0xffff0000u);
    return vf_select((vi)(x == x), (vf)rounded, x);
}

static void prepare_bf16(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    (void)scale;
    (void)padded;
    float *to = out;
    int32_t k = 0;
    for (; k + HDL__VF_LANES <= K; k += HDL__VF_LANES) vf_store(to + k, round_to_bf16(vf_load(x + k)));
    if (k < K) vf_store_part(to + k, round_to_bf16(vf_load_part(x + k, K - k)), K - k);
}

const hdl__gemm_method HDL__GEMM_F32 = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = 1, .w_bytes = sizeof(float), .x_bytes = sizeof(float),
    .multiply = multiply_f32,
};

const hdl__gemm_method HDL__GEMM_BF16 = {
    .width = HDL__TILE_WIDTH, .lanes = HDL__VF_LANES, .group = 1, .w_bytes = sizeof(uint16_t), .x_bytes = sizeof(float),
    .prepare = prepare_bf16, .multiply = multiply_bf16,
};
