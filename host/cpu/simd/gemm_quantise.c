/*
 * gemm_quantise.c - one row of f32 to int8 by its greatest magnitude; and the table of this instruction set's
 * product kernels.
 */
#include "cpu/simd/gemm_simd.h"

#define HDL__Q_MAX 127.0f
#define HDL__Q_TINY 1e-36f      /* below it 127 / max overflows; such a row counts as zero */

/* Greatest |x| as bits: ordered like integers, infinity above all numbers and NaN above infinity. */
static float find_max(const float *x, int32_t K)
{
    vi top = vi_set(0);
    const int32_t whole = K - K % HDL__VF_LANES;
    for (int32_t k = 0; k < whole; k += HDL__VF_LANES) {
        const vi bits = (vi)vf_abs(vf_load(x + k));
        const vi above = bits > top;
        top = (above & bits) | (~above & top);
    }
    int32_t lane[HDL__VF_LANES], best = 0;
    memcpy(lane, &top, sizeof lane);
    for (int i = 0; i < HDL__VF_LANES; ++i) best = lane[i] > best ? lane[i] : best;
    for (int32_t k = whole; k < K; ++k) {
        int32_t bits;
        memcpy(&bits, x + k, sizeof bits);
        bits &= INT32_MAX;
        best = bits > best ? bits : best;
    }
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

HDL__INLINE void store_bytes(int8_t *q, vi lanes, int32_t n)
{
#if defined(HDL__ISA_AVX512)
    _mm_mask_storeu_epi8(q, (__mmask16)((1u << n) - 1u), _mm512_cvtepi32_epi8((__m512i)lanes));
#else
    int32_t lane[HDL__VF_LANES];
    memcpy(lane, &lanes, sizeof lane);
    for (int32_t i = 0; i < n; ++i) q[i] = (int8_t)(uint8_t)((uint32_t)lane[i] & 0xffu);
#endif
}

void HDL__QUANTISE(const float *x, int32_t K, int8_t *q, float *scale)
{
    const float max = find_max(x, K);
    const bool finite = max < __builtin_inff();     /* false for NaN too */
    if (!finite || max < HDL__Q_TINY) {
        memset(q, 0, (size_t)K);
        *scale = finite ? 1.0f : __builtin_nanf("");
        return;
    }
    const float s = HDL__Q_MAX / max;
    const int32_t whole = K - K % HDL__VF_LANES;
    for (int32_t k = 0; k < whole; k += HDL__VF_LANES) store_bytes(q + k, round_lanes(vf_load(x + k), s),
                                                                   HDL__VF_LANES);
    if (whole < K) store_bytes(q + whole, round_lanes(vf_load_part(x + whole, K - whole), s), K - whole);
    *scale = s;
}

const hdl__gemm_kernels HDL__GEMM_KERNELS = {
    .f32 = &HDL__GEMM_F32, .bf16 = &HDL__GEMM_BF16, .int8 = &HDL__GEMM_INT8,
#if defined(HDL__ISA_AVX512)
    .bf16_native = &hdl__gemm_bf16_dot, .int8_native = &hdl__gemm_int8_vnni,
#endif
    .finish = HDL__GEMM_FINISH, .quantise = HDL__QUANTISE,
};
