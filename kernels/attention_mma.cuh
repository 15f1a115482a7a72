/*
 * attention_mma.cuh - what the tensor-core kernels of attention share: 16 query rows of a warp,
 * their softmax, their output.
 *
 * The accumulator of a product (16 rows, 8 columns) gives lane 4g + t columns 2t and 2t + 1 of rows
 * g and g + 8; packed to bf16 or f16, two of them side by side are the A operand of the next product, so
 * weights never leave the registers.
 */
#pragma once
#include "online_softmax.cuh"
#include "ptx.cuh"
#include "row_max.cuh"

namespace hdl {

constexpr int kMmaRows = 16; // rows of A and of the accumulator
constexpr int kMmaCols = 8;  // columns of B and of the accumulator
constexpr int kMmaDeep = 16; // columns of A, rows of B
constexpr int kRowPair = 2;  // rows that a lane holds parts of: g and g + 8

// Softmax state of a lane's two rows, and kTiles accumulators of their output.
template <int kTiles> struct MmaPart {
    float max[kRowPair], sum[kRowPair]; // sum: over this lane's columns
    float acc[kTiles][4];

    __device__ __forceinline__ void clear()
    {
#pragma unroll
        for (int r = 0; r < kRowPair; ++r)
            max[r] = -INFINITY, sum[r] = 0.0f;
#pragma unroll
        for (int n = 0; n < kTiles; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                acc[n][i] = 0.0f;
    }

    // Scores of kKeys / 8 accumulators become weights; what was summed shrinks.
    template <int kKeyTiles> __device__ __forceinline__ void soften(float (&s)[kKeyTiles][4])
    {
#pragma unroll
        for (int r = 0; r < kRowPair; ++r) {
            float top = max[r];
#pragma unroll
            for (int n = 0; n < kKeyTiles; ++n)
                top = fmaxf(top, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
            top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 1)); // the four lanes of a row
            top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 2));
            const float base = exponent_base(top), shrink = exp2f(max[r] - base);
            max[r]      = top;
            float total = 0.0f;
#pragma unroll
            for (int n = 0; n < kKeyTiles; ++n)
#pragma unroll
                for (int i = 2 * r; i < 2 * r + 2; ++i)
                    total += s[n][i] = exp2f(s[n][i] - base);
            sum[r] = sum[r] * shrink + total;
#pragma unroll
            for (int n = 0; n < kTiles; ++n) {
                acc[n][2 * r] *= shrink;
                acc[n][2 * r + 1] *= shrink;
            }
        }
    }

    static constexpr int kSaved = 2 * kRowPair + 4 * kTiles; // floats of a lane

    // To shared memory f32 [kSaved, 32], and back into a part of the same rows over other keys; either may come first.
    __device__ __forceinline__ void save(float *to) const
    {
        to += threadIdx.x % kWarp;
#pragma unroll
        for (int r = 0; r < kRowPair; ++r) {
            to[2 * r * kWarp]       = max[r];
            to[(2 * r + 1) * kWarp] = sum[r];
        }
#pragma unroll
        for (int n = 0; n < kTiles; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                to[(2 * kRowPair + 4 * n + i) * kWarp] = acc[n][i];
    }

    __device__ __forceinline__ void merge_saved(const float *from)
    {
        from += threadIdx.x % kWarp;
#pragma unroll
        for (int r = 0; r < kRowPair; ++r) {
            const float other = from[2 * r * kWarp], found = fmaxf(max[r], other),
                        base = exponent_base(found);
            const float mine = exp2f(max[r] - base), theirs = exp2f(other - base);
            max[r] = found;
            sum[r] = sum[r] * mine + from[(2 * r + 1) * kWarp] * theirs;
#pragma unroll
            for (int n = 0; n < kTiles; ++n)
#pragma unroll
                for (int i = 2 * r; i < 2 * r + 2; ++i)
                    acc[n][i] =
                        acc[n][i] * mine + from[(2 * kRowPair + 4 * n + i) * kWarp] * theirs;
        }
    }

    // 1 / sum of row g + 8r; 0 when the row sees no key.
    __device__ __forceinline__ float inverse_sum(int r) const
    {
        float whole = sum[r];
        whole += __shfl_xor_sync(kAllLanes, whole, 1);
        whole += __shfl_xor_sync(kAllLanes, whole, 2);
        return whole == 0.0f ? 0.0f : 1.0f / whole;
    }

    // Greatest stored_magnitude of row g + 8r of the output of D columns, which is acc * inverse;
    // the same in its four lanes.
    template <class T> __device__ __forceinline__ uint32_t top_of_row(int r, float inverse, int D) const
    {
        uint32_t top = 0;
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
            if (n * kMmaCols + static_cast<int>(threadIdx.x) % 4 * 2 >= D) break;
#pragma unroll
            for (int i = 2 * r; i < 2 * r + 2; ++i)
                top = ::max(top, magnitude_bits(acc[n][i] * inverse));
        }
        top = ::max(top, __shfl_xor_sync(kAllLanes, top, 1));
        return stored_magnitude<T>(::max(top, __shfl_xor_sync(kAllLanes, top, 2)));
    }
};

// The product of one tile, of bf16 or of f16.
template <class T>
__device__ __forceinline__ void multiply_tile(float (&d)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void
multiply_tile<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    mma_m16n8k16_bf16(d, a, b);
}
template <>
__device__ __forceinline__ void multiply_tile<__half>(float (&d)[4], const uint32_t (&a)[4],
                                                      const uint32_t (&b)[2])
{
    mma_m16n8k16_f16(d, a, b);
}

// Weights of 16 keys, two accumulators, as the A operand of the product with their values.
template <class T>
__device__ __forceinline__ void pack_weights(const float (&low)[4], const float (&high)[4],
                                             uint32_t (&a)[4])
{
    a[0] = pack_pair<T>(low[0], low[1]);
    a[1] = pack_pair<T>(low[2], low[3]);
    a[2] = pack_pair<T>(high[0], high[1]);
    a[3] = pack_pair<T>(high[2], high[3]);
}

}  // namespace hdl
