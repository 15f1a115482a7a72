/*
 * row_max.cuh - the greatest magnitude of a row, noted by the kernel that writes it: include/heddle/device.h, "row maxima".
 *
 * Magnitudes are compared as integers (int8_rule.cuh): the greatest of them is the same in whatever order they are met, NaN
 * above infinity included. An f32 of such bits is a magnitude, so the array reads as f32.
 */
#pragma once
#include "int8_rule.cuh"
#include "reduce.cuh"
#include "vec.cuh"

namespace hdl {

// magnitude_bits of x as a row of T holds it. Rounding keeps the order of magnitudes: the greatest of many is rounded once.
template <class T> __device__ __forceinline__ uint32_t stored_magnitude(float x)
{
    return magnitude_bits(widen(narrow<T>(x)));
}

// The same of the greatest magnitude_bits of many x.
template <class T> __device__ __forceinline__ uint32_t stored_magnitude(uint32_t top)
{
    return stored_magnitude<T>(__uint_as_float(top));
}

// Joins `top`, the greatest magnitude_bits of a part of row `row`, to row_max [*]; called by one thread for each part.
__device__ __forceinline__ void raise_row_max(float *row_max, int64_t row, uint32_t top)
{
    atomicMax(reinterpret_cast<unsigned *>(row_max + row), top);
}

}  // namespace hdl
