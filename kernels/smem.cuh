/*
 * smem.cuh - carving the block's one dynamic buffer of shared memory.
 *
 * Kernels declare no static __shared__ arrays. The host adds up smem_bytes<T>(count) of every
 * carve for the launch, and the kernel carves the same list in the same order:
 *
 *     size_t offset = 0;
 *     __nv_bfloat16 *keys = smem_carve<__nv_bfloat16>(offset, kKeys * kHeadDim);
 *     float *row_sum = smem_carve<float>(offset, kRows);
 */
#pragma once
#include "ptx.cuh"

namespace hdl {

constexpr size_t kSmemAlign = 16;                    // what ldmatrix, cp.async and uint4 ask for

// Bytes that a carve of `count` elements takes, its padding included.
template <class T> __host__ __device__ constexpr size_t smem_bytes(size_t count)
{
    return (count * sizeof(T) + kSmemAlign - 1) / kSmemAlign * kSmemAlign;
}

// `count` elements at `offset` of the dynamic buffer; moves `offset` past them.
template <class T> __device__ __forceinline__ T *smem_carve(size_t &offset, size_t count)
{
    static_assert(alignof(T) <= kSmemAlign, "the dynamic buffer is aligned to 16 bytes, no more");
    T *carved = reinterpret_cast<T *>(shared_memory() + offset);
    offset += smem_bytes<T>(count);
    return carved;
}

// Where 16-byte chunk `chunk` of row `row` is kept in a tile whose rows are kChunks chunks long:
// an exclusive or that sends the eight rows of an 8 x 8 matrix to eight different bank groups,
// for rows of 16 to 128 bytes and for longer ones whose length is a multiple of 128 bytes.
template <int kChunks> __host__ __device__ constexpr int swizzle_chunk(int row, int chunk)
{
    static_assert(kChunks == 1 || kChunks == 2 || kChunks == 4 || kChunks % 8 == 0,
                  "rows of another length need padding instead of a swizzle");
    constexpr int kSpan        = kChunks < 8 ? kChunks : 8;    // chunks in 128 bytes: all banks
    constexpr int kRowsPerSpan = 8 / kSpan;                    // rows that share the 128 bytes
    return chunk ^ (row / kRowsPerSpan & (kSpan - 1));
}

}  // namespace hdl
