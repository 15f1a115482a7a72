/*
 * gemm_tile_f32.cuh - one tile of a product of f32 rows and f32 weights: fused multiply-adds, no
 * TF32.
 *
 * Slabs of 32 inputs travel through three stages of shared memory by cp.async, without a pause from
 * one panel of outputs to the next. A thread owns four
 * neighbouring outputs of every kThreadsM-th row. Inside a chunk of 256 inputs each output has one
 * accumulator, inputs ascending; chunk sums are added in ascending order. No tile splits a chunk,
 * so that a row's bits do not depend on the tile.
 */
#pragma once
#include "gemm_weight.cuh"
#include "smem.cuh"

namespace hdl {

template <int kRows, int kColumns> struct TileF32 {
    using Element = float;                           // of rows and weights
    using Row     = float;                           // of results
    static constexpr int kMinBlocks = 0;             // of a multiprocessor: left to the compiler
    static constexpr int kTileM    = kRows, kTileN = kColumns;
    static constexpr int kThreads  = 256;
    static constexpr int kStep     = 32;
    static constexpr int kStages   = 3;              // two slabs under way while one is multiplied
    static constexpr int kLd       = kColumns + 4;   // of the sums: float4 stays aligned, rows shift banks
    static constexpr int kLdX      = kStep + 4;      // of a row of x in shared memory, likewise
    static constexpr int kThreadsN = kColumns / 4, kThreadsM = kThreads / kThreadsN;
    static constexpr int kOwn      = kRows / kThreadsM;                  // rows of one thread
    static constexpr int kSlots    = kStep / 4;                          // float4 of a slab's row of x
    static constexpr int kPass     = kThreads / kSlots;                  // rows of x that one pass copies
    static constexpr int kPasses   = (kRows + kPass - 1) / kPass;
    static constexpr int kSlabX    = kRows * kLdX, kSlab = kSlabX + kStep * kColumns;

    static_assert(kChunkK % kStep == 0, "a chunk of the family must end with a slab");
    static_assert(kRows % kThreadsM == 0, "every thread must own the same number of rows");

    // Shared memory of multiply(), the sums aside. There is one group.
    __host__ __device__ static constexpr size_t shared_bytes(int)
    {
        return smem_bytes<float>(static_cast<size_t>(kStages) * kSlab);
    }

    // What one thread copies of x, and which slabs are under way. Slab s of panel p, kColumns outputs further on each,
    // is number p * n_slabs + s.
    struct Source {
        const float *row[kPasses];                   // NULL: no such row
        int          first, slot;
        int          n0, own;                        // own: this thread's live rows
        int          n_slabs, n_all;                 // of a panel, of all panels
    };

    __device__ static Source open(const GemmInput &in, int m0, int live, int n0, int n_panels, float *stages)
    {
        Source from;
        from.first   = threadIdx.x / kSlots;
        from.slot    = threadIdx.x % kSlots;
        from.n0      = n0;
        from.own     = (live - m0 - static_cast<int>(threadIdx.x / kThreadsN) + kThreadsM - 1) / kThreadsM;
        from.n_slabs = (in.K + kStep - 1) / kStep;
        from.n_all   = n_panels * from.n_slabs;
#pragma unroll
        for (int i = 0; i < kPasses; ++i) {
            const int m = m0 + from.first + i * kPass;
            from.row[i] = nullptr;
            if (m >= live || from.first + i * kPass >= kRows) continue;
            const int64_t at = in.rows != nullptr ? in.rows[m] : m;
            from.row[i]      = static_cast<const float *>(in.x) + at * in.ldx;
        }
        for (int slab = 0; slab < kStages - 1; ++slab) fetch(from, in, slab, stages);
        return from;
    }

    // Four inputs from k on; past K they are zero, whatever lies there.
    __device__ static void copy_inputs(float *to, const float *row, int k, const GemmInput &in)
    {
        const bool some = row != nullptr && k < in.K;
        if (!some || (in.vector && k + 4 <= in.K)) {
            cp_async_16(to, some ? static_cast<const void *>(row + k) : in.w, some);
            return;
        }
        for (int i = 0; i < 4; ++i) cp_async_4(to + i, k + i < in.K ? row + k + i : row, k + i < in.K);
    }

    // Starts the copies of a slab, rows of x, then inputs of w; nothing past the last one. A commit either way.
    __device__ static void fetch(const Source &from, const GemmInput &in, int slab, float *stages)
    {
        if (slab < from.n_all) {
            const int k0 = slab % from.n_slabs * kStep, n = threadIdx.x % kThreadsN * 4;
            const int n0 = from.n0 + slab / from.n_slabs * kColumns;
            float *to = stages + slab % kStages * kSlab;
#pragma unroll
            for (int i = 0; i < kPasses; ++i) {
                const int row = from.first + i * kPass;
                if (row < kRows) copy_inputs(to + row * kLdX + from.slot * 4, from.row[i], k0 + from.slot * 4, in);
            }
#pragma unroll
            for (int i = 0; i < kStep / kThreadsM; ++i) {
                const int    k     = threadIdx.x / kThreadsN + i * kThreadsM;
                const bool   valid = n0 + n < in.ld_w && k0 + k < in.K;
                const float *w     = static_cast<const float *>(in.w);
                cp_async_16(to + kSlabX + k * kColumns + n,
                            valid ? w + static_cast<int64_t>(k0 + k) * in.ld_w + n0 + n : w, valid);
            }
        }
        cp_async_commit();
    }

    // acc += slab for the thread's rows; rows past `own` are dead.
    __device__ static void multiply_slab(const float *slab, int own, float (&acc)[kOwn][4])
    {
        const float *x = slab + threadIdx.x / kThreadsN * kLdX, *w = slab + kSlabX + threadIdx.x % kThreadsN * 4;
#pragma unroll 2
        for (int k = 0; k < kStep; k += 4) {
            float4 b[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) b[i] = *reinterpret_cast<const float4 *>(w + (k + i) * kColumns);
#pragma unroll
            for (int m = 0; m < kOwn; ++m) {
                if (m >= own) continue;
                const float4 a     = *reinterpret_cast<const float4 *>(x + m * kThreadsM * kLdX + k);
                const float  in[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    acc[m][0] = fmaf(in[i], b[i].x, acc[m][0]);
                    acc[m][1] = fmaf(in[i], b[i].y, acc[m][1]);
                    acc[m][2] = fmaf(in[i], b[i].z, acc[m][2]);
                    acc[m][3] = fmaf(in[i], b[i].w, acc[m][3]);
                }
            }
        }
    }

    __device__ static float *stages_in(unsigned char *shared) { return reinterpret_cast<float *>(shared); }

    // sums [kTileM, kLd] = the rows of `from` times its panel of outputs, while the next panel's slabs set out. Panels
    // come in order. Every thread of the block comes here and leaves with the sums in sight.
    __device__ static void multiply(const Source &from, const GemmInput &in, int panel, unsigned char *shared,
                                    float *sums)
    {
        float    *stages   = stages_in(shared);
        const int thread_m = threadIdx.x / kThreadsN, thread_n = threadIdx.x % kThreadsN;
        float acc[kOwn][4] = {}, total[kOwn][4] = {};
        for (int step = 0; step < from.n_slabs; ++step) {
            const int slab = panel * from.n_slabs + step;
            cp_async_wait<kStages - 2>();
            __syncthreads();
            fetch(from, in, slab + kStages - 1, stages);
            multiply_slab(stages + slab % kStages * kSlab, from.own, acc);
            if ((step + 1) % (kChunkK / kStep) != 0 && step + 1 != from.n_slabs) continue;
#pragma unroll
            for (int e = 0; e < kOwn * 4; ++e) {
                total[e / 4][e % 4] += acc[e / 4][e % 4];
                acc[e / 4][e % 4] = 0.0f;
            }
        }
#pragma unroll
        for (int m = 0; m < kOwn; ++m)
            *reinterpret_cast<float4 *>(sums + (thread_m + m * kThreadsM) * kLd + thread_n * 4) =
                make_float4(total[m][0], total[m][1], total[m][2], total[m][3]);
        __syncthreads();
    }
};

}  // namespace hdl
