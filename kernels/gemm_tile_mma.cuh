/*
 * gemm_tile_mma.cuh - one tile of a product of bf16 rows and weights, or of f16 ones, sums in f32.
 *
 * Slabs of 64 inputs travel through three stages of shared memory by cp.async, without a pause from one panel of
 * outputs to the next; a slab's rows are 128 bytes, their 16-byte chunks swizzled so that ldmatrix meets no bank
 * twice. A warp owns kWarpM x 32 outputs (mma m16n8k16). Sums of a chunk of 256 inputs start at zero and are added
 * to the totals in ascending order. Where rows are few, several groups of warps take one chunk each at the same time;
 * the first group adds what the others leave in shared memory, again ascending: the bits do not depend on the number
 * of groups, nor on the tile.
 */
#pragma once
#include "gemm_weight.cuh"
#include "reduce.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace hdl {

// One product of a warp, on operands of Element.
template <class Element>
__device__ __forceinline__ void mma_of(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void mma_of<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    mma_m16n8k16_bf16(d, a, b);
}
template <>
__device__ __forceinline__ void mma_of<__half>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    mma_m16n8k16_f16(d, a, b);
}

template <class T, int kRows, int kColumns> struct TileMma {
    using Element = T;                               // of rows and weights
    static constexpr int kTileM   = kRows, kTileN = kColumns;
    static constexpr int kWarpM   = kRows >= 128 ? 64 : kRows >= 32 ? 32 : 16;
    static constexpr int kWarpN   = 32;
    static constexpr int kWarpsN  = kColumns / kWarpN;
    static constexpr int kThreads = kRows / kWarpM * kWarpsN * kWarp;    // of one group
    static constexpr int kStep    = 64;              // inputs of a slab: rows of 128 bytes
    static constexpr int kStages  = 3;               // two slabs under way while one is multiplied
    static constexpr int kLd      = kColumns + 4;    // of the sums: float4 stays aligned, rows shift banks
    static constexpr int kAM = kWarpM / 16, kBN = kWarpN / 8;
    static constexpr int kSlots   = 8;               // 16-byte chunks of a slab's row
    static constexpr int kPass    = kThreads / kSlots;                   // rows that one pass copies
    static constexpr int kSlab    = (kRows + kColumns) * kStep;          // elements of a stage
    static constexpr int kSums    = kRows * kColumns;
    static constexpr int kSlabsPerChunk = kChunkK / kStep;

    static_assert(kChunkK % kStep == 0, "a chunk of the family must end with a slab");
    static_assert(kRows % kPass == 0 && kColumns % kPass == 0, "a pass must not run past the tile");

    // Shared memory of multiply(), the sums aside.
    __host__ __device__ static constexpr size_t shared_bytes(int groups)
    {
        return smem_bytes<Element>(static_cast<size_t>(kStages) * groups * kSlab)
               + smem_bytes<float>(static_cast<size_t>(groups - 1) * kSums);
    }

    // What one thread copies: chunk `slot` of every kPass-th row, of x and of w; and which slabs are under way. Slab
    // s of panel p, kColumns outputs further on each, is number p * n_slabs + s.
    struct Source {
        const Element *row[kRows / kPass];     // NULL: no such row
        const Element *w;                      // of output n0 + first
        int                  first, slot, n_left;    // n_left: outputs from n0 + first on
        int                  n_slabs, n_all;         // of a panel, of all panels
    };

    __device__ static Source open(const GemmInput &in, int m0, int live, int n0, int n_panels, Element *stages)
    {
        Source from;
        const int thread   = threadIdx.x % kThreads, groups = blockDim.x / kThreads;
        const int n_chunks = (in.K + kChunkK - 1) / kChunkK;
        from.n_slabs = min((n_chunks + groups - 1) / groups * kSlabsPerChunk, (in.K + kStep - 1) / kStep);
        from.n_all   = n_panels * from.n_slabs;
        from.first   = thread / kSlots;
        from.slot    = thread % kSlots;
        from.n_left  = in.N - n0 - from.first;
        from.w = static_cast<const Element *>(in.w) + static_cast<int64_t>(n0 + from.first) * in.ld_w;
#pragma unroll
        for (int i = 0; i < kRows / kPass; ++i) {
            const int m = m0 + from.first + i * kPass;
            from.row[i] = nullptr;
            if (m >= live) continue;
            const int64_t at = in.rows != nullptr ? in.rows[m] : m;
            from.row[i]      = static_cast<const Element *>(in.x) + at * in.ldx;
        }
        for (int slab = 0; slab < kStages - 1; ++slab) fetch(from, in, slab, stages);
        return from;
    }

    // First input of this thread's group in slab s of a panel: groups take chunks in turn.
    __device__ static int input_of(int s)
    {
        const int groups = blockDim.x / kThreads, group = threadIdx.x / kThreads;
        return (s / kSlabsPerChunk * groups + group) * kChunkK + s % kSlabsPerChunk * kStep;
    }

    __device__ static Element *stage_of(int slab, Element *stages)
    {
        const int groups = blockDim.x / kThreads, group = threadIdx.x / kThreads;
        return stages + (slab % kStages * groups + group) * kSlab;
    }

    // Eight inputs from k on; past K they are zero, whatever lies there.
    __device__ static void copy_inputs(Element *to, const Element *row, int k, const GemmInput &in)
    {
        const bool some = row != nullptr && k < in.K;
        if (!some || (in.vector && k + 8 <= in.K)) {
            cp_async_16(to, some ? static_cast<const void *>(row + k) : in.w, some);
            return;
        }
        for (int i = 0; i < 8; ++i) to[i] = k + i < in.K ? row[k + i] : Element{};
    }

    // Starts the copies of a slab, rows of x, then rows of w; nothing past the last one. A commit either way.
    __device__ static void fetch(const Source &from, const GemmInput &in, int slab, Element *stages)
    {
        if (slab < from.n_all) {
            const int panel = slab / from.n_slabs, k = input_of(slab % from.n_slabs) + from.slot * 8;
            Element *to = stage_of(slab, stages);
#pragma unroll
            for (int i = 0; i < kRows / kPass; ++i) {
                const int row = from.first + i * kPass;
                copy_inputs(to + row * kStep + swizzle_chunk<kSlots>(row, from.slot) * 8, from.row[i], k, in);
            }
#pragma unroll
            for (int i = 0; i < kColumns / kPass; ++i) {
                const int  row   = from.first + i * kPass, n = panel * kColumns + i * kPass;
                const bool valid = n < from.n_left && k < in.ld_w;
                const Element *w = from.w + static_cast<int64_t>(n) * in.ld_w + k;
                cp_async_16(to + (kRows + row) * kStep + swizzle_chunk<kSlots>(row, from.slot) * 8,
                            valid ? static_cast<const void *>(w) : in.w, valid);
            }
        }
        cp_async_commit();
    }

    // acc += slab, one warp's part.
    __device__ static void multiply_slab(const Element *slab, float (&acc)[kAM][kBN][4])
    {
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x % kThreads / kWarp;
        const int m = warp / kWarpsN * kWarpM + lane % 16;
        const int n = warp % kWarpsN * kWarpN + lane % 8 + lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < kSlots; k += 2) {
            uint32_t a[kAM][4], b[kBN / 2][4];
#pragma unroll
            for (int i = 0; i < kAM; ++i)
                ldmatrix_x4(a[i], slab + (m + i * 16) * kStep
                                      + swizzle_chunk<kSlots>(m + i * 16, k + lane / 16) * 8);
#pragma unroll
            for (int j = 0; j < kBN / 2; ++j)
                ldmatrix_x4(b[j], slab + (kRows + n + j * 16) * kStep
                                      + swizzle_chunk<kSlots>(n + j * 16, k + lane / 8 % 2) * 8);
#pragma unroll
            for (int i = 0; i < kAM; ++i)
#pragma unroll
                for (int j = 0; j < kBN; ++j) {
                    const uint32_t pair[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
                    mma_of<Element>(acc[i][j], a[i], pair);
                }
        }
    }

    // The sums of the round's chunks into the first group's totals, ascending; acc is cleared.
    __device__ static void add_chunks(float (&acc)[kAM][kBN][4], float (&total)[kAM][kBN][4], float *exchange,
                                      int groups, int n_left)
    {
        const int thread = threadIdx.x % kThreads, group = threadIdx.x / kThreads;
        if (groups > 1) {
#pragma unroll
            for (int e = 0; e < kAM * kBN * 4; ++e)
                if (group > 0)
                    exchange[((group - 1) * (kAM * kBN * 4) + e) * kThreads + thread] =
                        acc[e / (kBN * 4)][e / 4 % kBN][e % 4];
            __syncthreads();
        }
#pragma unroll
        for (int e = 0; e < kAM * kBN * 4; ++e) {
            float &sum = total[e / (kBN * 4)][e / 4 % kBN][e % 4], &own = acc[e / (kBN * 4)][e / 4 % kBN][e % 4];
            sum += own;
            own = 0.0f;
            for (int g = 1; group == 0 && g < min(groups, n_left); ++g)
                sum += exchange[((g - 1) * (kAM * kBN * 4) + e) * kThreads + thread];
        }
        if (groups > 1) __syncthreads();
    }

    __device__ static void store(const float (&total)[kAM][kBN][4], float *sums)
    {
        if (threadIdx.x >= kThreads) return;
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
        const int m = warp / kWarpsN * kWarpM + lane / 4, n = warp % kWarpsN * kWarpN + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < kAM; ++i)
#pragma unroll
            for (int j = 0; j < kBN; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e) sums[(m + i * 16 + e / 2 * 8) * kLd + n + j * 8 + e % 2] = total[i][j][e];
    }

    __device__ static Element *stages_in(unsigned char *shared)
    {
        return reinterpret_cast<Element *>(shared);
    }

    // sums [kTileM, kLd] = the rows of `from` times its panel of outputs, while the next panel's slabs set out. Panels
    // come in order. Every thread of the block comes here and leaves with the sums in sight.
    __device__ static void multiply(const Source &from, const GemmInput &in, int panel, unsigned char *shared,
                                    float *sums)
    {
        const int groups = blockDim.x / kThreads, n_chunks = (in.K + kChunkK - 1) / kChunkK;
        Element *stages = stages_in(shared);
        float *exchange = reinterpret_cast<float *>(
            shared + smem_bytes<Element>(static_cast<size_t>(kStages) * groups * kSlab));
        float acc[kAM][kBN][4] = {}, total[kAM][kBN][4] = {};
        for (int step = 0; step < from.n_slabs; ++step) {
            const int slab = panel * from.n_slabs + step;
            cp_async_wait<kStages - 2>();
            __syncthreads();
            fetch(from, in, slab + kStages - 1, stages);
            if (input_of(step) < in.K) multiply_slab(stage_of(slab, stages), acc);
            const bool chunk_ends = (step + 1) % kSlabsPerChunk == 0 || step + 1 == from.n_slabs;
            if (chunk_ends) add_chunks(acc, total, exchange, groups, n_chunks - step / kSlabsPerChunk * groups);
        }
        store(total, sums);
        __syncthreads();
    }
};

}  // namespace hdl
