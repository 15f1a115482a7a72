/* half.h - one f16 or bf16 number to f32, exactly, and f32 to bf16, in plain C. */
#ifndef HEDDLE_HOST_HALF_H
#define HEDDLE_HOST_HALF_H

#include <stdint.h>
#include <string.h>

static inline float hdl__f32_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float hdl__f32_of_bf16(uint16_t h) { return hdl__f32_of_bits((uint32_t)h << 16); }

/* To nearest, ties to even; NaN stays NaN. */
static inline uint16_t hdl__bf16_of_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* IEEE 754 binary16: 5 exponent bits (bias 15), 10 of fraction. */
static inline float hdl__f32_of_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7FFFu;
    const float two_to_minus_24 = 5.9604644775390625e-8f;
    if (magnitude >= 0x7C00u) return hdl__f32_of_bits(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
    if (magnitude < 0x0400u) {      /* zero and subnormals: fraction * 2^-24 is exact in f32 */
        const float value = (float)magnitude * two_to_minus_24;
        return sign != 0 ? -value : value;
    }
    return hdl__f32_of_bits(sign | ((magnitude << 13) + (112u << 23)));
}

#endif
