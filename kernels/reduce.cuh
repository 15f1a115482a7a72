/*
 * reduce.cuh - sums and maxima across a warp or a block, the same bits in every lane.
 */
#pragma once
#include "smem.cuh"

namespace hdl {

constexpr int      kWarp     = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Butterfly: every lane ends with the same bits, so no broadcast is needed.
__device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x)
{
#pragma unroll
    for (int step = kWarp / 2; step > 0; step /= 2)
        x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
    return x;
}

// Sum over a block of n_warps warps in ascending order of warps. `partial` [n_warps] is shared
// memory that nothing else touches until every thread has returned; each call needs its own.
__device__ __forceinline__ float block_sum(float x, float *partial, int n_warps)
{
    x = warp_sum(x);
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
    __syncthreads();
    float total = partial[0];
    for (int w = 1; w < n_warps; ++w) total += partial[w];
    return total;
}

}  // namespace hdl
