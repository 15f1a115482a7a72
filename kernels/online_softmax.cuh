/*
 * online_softmax.cuh - softmax over keys that come in parts: the running maximum, and how two parts
 * become one.
 *
 * Scores are in units of log 2: the scale given to the kernels is multiplied by log2(e), and every
 * exponential is exp2. A part keeps the sum of exp2(score - max) and the values weighted alike; a
 * part without keys has max = -infinity.
 *
 * Keys are cut into units of 32 and unit u belongs to part u % kParts. The parts of a row are
 * merged in ascending order, so its bits depend on its number of keys alone, whether one warp runs
 * all parts or each its own.
 *
 * Source: Milakov and Gimelshein 2018, arXiv 1805.02867, algorithm 3 and section 3.1 (the merge).
 */
#pragma once
#include "reduce.cuh"

namespace hdl {

constexpr float kLog2E  = 1.4426950408889634f;
constexpr int kUnitKeys = 32; // two pages; one key a lane
constexpr int kParts    = 4;  // warps of a block that share the keys of a row

// What is subtracted in the exponent: a finite number, so that a row that sees nothing sums to 0, not NaN.
__device__ __forceinline__ float exponent_base(float max) { return max == -INFINITY ? 0.0f : max; }

template <int kN> struct Part { // of one row, as one lane holds it
    float max, sum;
    float acc[kN];

    __device__ __forceinline__ void clear()
    {
        max = -INFINITY;
        sum = 0.0f;
#pragma unroll
        for (int i = 0; i < kN; ++i)
            acc[i] = 0.0f;
    }

    // A new maximum: what was summed shrinks.
    __device__ __forceinline__ void raise(float greatest)
    {
        const float found = fmaxf(max, greatest);
        if (found == max) return;
        const float shrink = exp2f(max - exponent_base(found));
        max                = found;
        sum *= shrink;
#pragma unroll
        for (int i = 0; i < kN; ++i)
            acc[i] *= shrink;
    }

    __device__ __forceinline__ void merge(const Part &other)
    {
        const float found = fmaxf(max, other.max), base = exponent_base(found);
        const float mine = exp2f(max - base), theirs = exp2f(other.max - base);
        max = found;
        sum = sum * mine + other.sum * theirs;
#pragma unroll
        for (int i = 0; i < kN; ++i)
            acc[i] = acc[i] * mine + other.acc[i] * theirs;
    }
};

__device__ __forceinline__ int units_of(int n_keys) { return (n_keys + kUnitKeys - 1) / kUnitKeys; }

}  // namespace hdl
