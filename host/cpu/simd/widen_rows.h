/* widen_rows.h - rows of any stored dtype to f32, scaled, plus a row; f32 to bf16. */
#ifndef HEDDLE_HOST_SIMD_WIDEN_ROWS_H
#define HEDDLE_HOST_SIMD_WIDEN_ROWS_H

#include "base/half.h"
#include "cpu/op_kernels.h"
#include "cpu/simd/vec_math.h"

#include <assert.h>

/* IEEE half to single: exact, subnormals and NaN included. */
HDL__INLINE float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    uint32_t bits;
    float value;
    if (magnitude >= 0x7c00u) {
        bits = 0x7f800000u | (magnitude & 0x3ffu) << 13;
    } else {
        bits = (magnitude << 13) + (112u << 23);        /* 112: difference of the exponents' biases */
        if (magnitude < 0x400u) {                       /* no hidden bit: subtract the one that was read as such */
            const uint32_t one = 113u << 23;
            float hidden;
            bits += 1u << 23;
            memcpy(&value, &bits, sizeof value);
            memcpy(&hidden, &one, sizeof hidden);
            value -= hidden;
            memcpy(&bits, &value, sizeof bits);
        }
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

HDL__INLINE float stored_value(const uint8_t *from, hdl_dtype dtype)
{
    uint32_t bits = 0;
    uint16_t half;
    int16_t i16;
    int8_t i8;
    float value = 0.0f;
    switch (dtype) {
    case HDL_F32: memcpy(&value, from, sizeof value); break;
    case HDL_F16: memcpy(&half, from, sizeof half); value = half_to_float(half); break;
    case HDL_BF16:
        memcpy(&half, from, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(&value, &bits, sizeof value);
        break;
    case HDL_I8: memcpy(&i8, from, sizeof i8); value = (float)i8; break;
    case HDL_I16: memcpy(&i16, from, sizeof i16); value = (float)i16; break;
    default: assert(dtype == HDL_F32);
    }
    return value;
}

/* One register of stored values; plain C takes them one by one. */
HDL__INLINE vf stored_values(const uint8_t *from, hdl_dtype dtype)
{
#if defined(HDL__ISA_AVX512)
    const __m512i *p = (const __m512i *)(const void *)from;
    const __m256i *p2 = (const __m256i *)(const void *)from;
    const __m128i *p1 = (const __m128i *)(const void *)from;
    switch (dtype) {
    case HDL_F32: return (vf)_mm512_castsi512_ps(_mm512_loadu_si512(p));
    case HDL_F16: return (vf)_mm512_cvtph_ps(_mm256_loadu_si256(p2));
    case HDL_BF16: return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p2)), 16);
    case HDL_I8: return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p1)));
    default: return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(p2)));
    }
#elif defined(HDL__ISA_AVX2)
    const __m128i *p = (const __m128i *)(const void *)from;
    switch (dtype) {
    case HDL_F32: return (vf)_mm256_loadu_ps((const float *)(const void *)from);
    case HDL_F16: return (vf)_mm256_cvtph_ps(_mm_loadu_si128(p));
    case HDL_BF16: return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16);
    case HDL_I8: return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
    default: return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(p)));
    }
#else
    const size_t bytes = dtype == HDL_F32 ? 4 : dtype == HDL_I8 ? 1 : 2;
    return (vf){stored_value(from, dtype), stored_value(from + bytes, dtype), stored_value(from + 2 * bytes, dtype),
                stored_value(from + 3 * bytes, dtype)};
#endif
}

static void widen_row(const void *from, hdl_dtype dtype, int32_t n, float factor, const float *add, float *to)
{
    const uint8_t *bytes = from;
    const size_t size = dtype == HDL_F32 ? 4 : dtype == HDL_I8 ? 1 : 2;
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) {
        vf v = stored_values(bytes + (size_t)i * size, dtype) * vf_set(factor);
        if (add != NULL) v += vf_load(add + i);
        vf_store(to + i, v);
    }
    for (; i < n; i++) {
        const float v = stored_value(bytes + (size_t)i * size, dtype) * factor;
        to[i] = add != NULL ? v + add[i] : v;
    }
}

/* hdl__bf16_of_f32, a register at a time. */
static void narrow_row(const float *from, int32_t n, uint16_t *to)
{
    typedef uint16_t halves __attribute__((vector_size(HDL__VF_LANES * 2)));
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES) {
        const vf v = vf_load(from + i);
        const vu bits = (vu)v, high = bits >> 16, is_nan = (vu)(v != v);
        const vu rounded = (bits + 0x7FFFu + (high & 1u)) >> 16;
        const halves h = __builtin_convertvector((rounded & ~is_nan) | ((high | 0x40u) & is_nan), halves);
        memcpy(to + i, &h, sizeof h);
    }
    for (; i < n; i++) to[i] = hdl__bf16_of_f32(from[i]);
}

#endif
