/*
 * gemm_quantise.c - one row of f32 to int8 by its greatest magnitude; and the table of this instruction set's
 * product kernels.
 */
#include "cpu/simd/gemm_simd.h"

#define HDL__Q_MAX 127.0f
#define HDL__Q_TINY 1e-36f      /* below it 127 / max overflows; such a row counts as zero */

HDL__INLINE vi larger(vi a, vi b)
{
#if defined(HDL__ISA_AVX512)
    return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
#else
    const vi above = a > b;
    return (above & a) | (~above & b);
#endif
}

/* Greatest |x| as bits: ordered like integers, infinity above all numbers and NaN above infinity. */
HDL__INLINE float find_max(const float *x, int32_t K)
{
    vi top = vi_set(0), other = vi_set(0);
    int32_t k = 0;
    for (; k + 2 * HDL__VF_LANES <= K; k += 2 * HDL__VF_LANES) {
        top = larger((vi)vf_abs(vf_load(x + k)), top);
        other = larger((vi)vf_abs(vf_load(x + k + HDL__VF_LANES)), other);
    }
    for (; k + HDL__VF_LANES <= K; k += HDL__VF_LANES) top = larger((vi)vf_abs(vf_load(x + k)), top);
    if (k < K) other = larger((vi)vf_abs(vf_load_part(x + k, K - k)), other);
    top = larger(top, other);
    int32_t best = 0;
#if defined(HDL__ISA_AVX512)
    best = _mm512_reduce_max_epi32((__m512i)top);
#else
    int32_t lane[HDL__VF_LANES];
    memcpy(lane, &top, sizeof lane);
    for (int i = 0; i < HDL__VF_LANES; ++i) best = lane[i] > best ? lane[i] : best;
#endif
    float max;
    memcpy(&max, &best, sizeof max);
    return max;
}

/* |x * scale| is at most 127 and a rounding error, so that the magic number rounds it to an integer in its low byte. */
HDL__INLINE vi round_lanes(vf x, float scale)
{
    const vf magic = vf_set(12582912.0f);   /* 1.5 * 2^23 */
    return (vi)(x * vf_set(scale) + magic);
}

/* n bytes; `flip` is 0, or the top bit to be flipped. */
HDL__INLINE void store_bytes(int8_t *q, vi lanes, int32_t n, const uint8_t flip)
{
#if defined(HDL__ISA_AVX512)
    const __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8((__m512i)lanes), _mm_set1_epi8((char)flip));
    _mm_mask_storeu_epi8(q, (__mmask16)((1u << n) - 1u), bytes);
#else
    int32_t lane[HDL__VF_LANES];
    memcpy(lane, &lanes, sizeof lane);
    for (int32_t i = 0; i < n; ++i) q[i] = (int8_t)(uint8_t)(((uint32_t)lane[i] & 0xffu) ^ flip);
#endif
}

#if defined(HDL__ISA_AVX512)
/* Four vectors to 64 bytes: packing takes a fifth of the time of narrowing one by one. Packs work by quarters, hence
 * the order. */
HDL__INLINE void store_line(int8_t *q, const float *x, float scale, const uint8_t flip)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i lanes[4];
    for (int i = 0; i < 4; ++i)
        lanes[i] = _mm512_cvtps_epi32((__m512)(vf_load(x + i * HDL__VF_LANES) * vf_set(scale)));
    const __m512i words = _mm512_packs_epi16(_mm512_packs_epi32(lanes[0], lanes[1]),
                                             _mm512_packs_epi32(lanes[2], lanes[3]));
    const __m512i bytes = _mm512_permutexvar_epi32(order, words);
    _mm512_storeu_si512(q, _mm512_xor_si512(bytes, _mm512_set1_epi8((char)flip)));
}
#endif

HDL__INLINE void quantise_row(const float *x, int32_t K, int8_t *q, float *scale, const uint8_t flip)
{
    const float max = find_max(x, K);
    const bool finite = max < __builtin_inff();     /* false for NaN too */
    if (!finite || max < HDL__Q_TINY) {
        memset(q, flip, (size_t)K);
        *scale = finite ? 1.0f : __builtin_nanf("");
        return;
    }
    const float s = HDL__Q_MAX / max;
    int32_t k = 0;
#if defined(HDL__ISA_AVX512)
    for (; k + 4 * HDL__VF_LANES <= K; k += 4 * HDL__VF_LANES) store_line(q + k, x + k, s, flip);
#endif
    for (; k + HDL__VF_LANES <= K; k += HDL__VF_LANES)
        store_bytes(q + k, round_lanes(vf_load(x + k), s), HDL__VF_LANES, flip);
    if (k < K) store_bytes(q + k, round_lanes(vf_load_part(x + k, K - k), s), K - k, flip);
    *scale = s;
}

void HDL__QUANTISE(const float *x, int32_t K, int8_t *q, float *scale) { quantise_row(x, K, q, scale, 0); }

#if defined(HDL__ISA_AVX512)
/* Padding meets zero weights. */
HDL__INLINE void prepare_row(const float *x, int32_t K, int32_t padded, void *out, float *scale, const uint8_t flip)
{
    quantise_row(x, K, out, scale, flip);
    if (K < padded) memset((uint8_t *)out + K, 0, (size_t)(padded - K));
}

void hdl__prepare_int8_signed(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    prepare_row(x, K, padded, out, scale, 0);
}

/* i8 to u8 by adding 128, which flips the top bit. */
void hdl__prepare_int8_offset(const float *x, int32_t K, int32_t padded, void *out, float *scale)
{
    prepare_row(x, K, padded, out, scale, 0x80u);
}
#endif

const hdl__gemm_kernels HDL__GEMM_KERNELS = {
    .f32 = &HDL__GEMM_F32, .bf16 = &HDL__GEMM_BF16, .int8 = &HDL__GEMM_INT8,
#if defined(HDL__ISA_AVX512)
    .bf16_native = &hdl__gemm_bf16_dot, .int8_native = &hdl__gemm_int8_vnni,
    .f32_halves = &hdl__gemm_f32_halves, .bf16_tiles = &hdl__gemm_bf16_amx, .int8_tiles = &hdl__gemm_int8_amx,
#endif
    .finish = HDL__GEMM_FINISH, .quantise = HDL__QUANTISE,
};
