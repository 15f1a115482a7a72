/*
 * int8_rule.cuh - how a row becomes int8: by its own greatest magnitude, on the device and at load, with the CPU's bits.
 *
 * q = rint(v * 127 / max|row|), ties to even. A zero row has scale 1 and zeros; a row that is not finite has scale NaN
 * and zeros, so that its products are NaN. Dettmers et al. 2022, arXiv 2208.07339, section 2.
 */
#pragma once
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

namespace hdl {

constexpr float kMostInt8 = 127.0f;
constexpr float kTinyRow  = 1e-36f;                  // below it 127 / max overflows; such a row counts as zero

struct Int8Rule {
    float factor;                                    // of values; 0 where all become zero
    float scale;                                     // what a caller is told
};

// |x| as an integer that orders like it: infinity above all numbers, NaN above infinity.
__host__ __device__ __forceinline__ uint32_t magnitude_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffu;
}

// From the greatest magnitude_bits of a row.
__host__ __device__ __forceinline__ Int8Rule int8_rule(uint32_t top)
{
    float most;
    memcpy(&most, &top, sizeof most);
    if (!(most < INFINITY)) return {0.0f, NAN};      // NaN too
    if (most < kTinyRow) return {0.0f, 1.0f};
    return {kMostInt8 / most, kMostInt8 / most};
}

// The low byte is the result where the factor is not 0: adding 1.5 * 2^23 rounds to an integer there, at four times the
// speed of a conversion.
__host__ __device__ __forceinline__ uint32_t shifted_bits(const Int8Rule &rule, float x)
{
    const float shifted = x * rule.factor + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits;
}

__host__ __device__ __forceinline__ uint32_t to_int8(const Int8Rule &rule, float x)
{
    return rule.factor == 0.0f ? 0u : shifted_bits(rule, x) & 0xffu;
}

// Four of them as one word, the first in its low byte.
__device__ __forceinline__ uint32_t join_int8(const Int8Rule &rule, const float *value)
{
    const uint32_t low  = __byte_perm(shifted_bits(rule, value[0]), shifted_bits(rule, value[1]), 0x0040);
    const uint32_t high = __byte_perm(shifted_bits(rule, value[2]), shifted_bits(rule, value[3]), 0x0040);
    return rule.factor == 0.0f ? 0u : __byte_perm(low, high, 0x5410);
}

}  // namespace hdl
