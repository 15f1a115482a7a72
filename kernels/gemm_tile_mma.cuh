/*
 * gemm_tile_mma.cuh - one tile of a product of rows and weights of bf16 or f16, sums in f32, or of int8, sums in int32.
 *
 * Slabs of 64 inputs (128 of int8) travel through three stages of shared memory by cp.async, without a pause from one
 * panel of outputs to the next; a slab's rows are 128 bytes, their 16-byte chunks swizzled so that ldmatrix meets no
 * bank twice. A warp owns kWarpM x 32 outputs (mma m16n8k16, of int8 m16n8k32). Sums of a chunk of 256 inputs start at
 * zero and are added to the totals in ascending order. Where rows are few, several groups of warps take one chunk each
 * at the same time; the first group adds what the others leave in shared memory, again ascending: the bits do not
 * depend on the number of groups, nor on the tile. Sums of int8 are exact: any order gives their bits, so groups take
 * single slabs and one set of sums runs from the first input to the last.
 */
#pragma once
#include "gemm_weight.cuh"
#include "reduce.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace hdl {

// One product of a warp, on operands of Element; and the hidden rows that go with such weights.
template <class Element> struct Mma;
template <> struct Mma<__nv_bfloat16> {
    using Sum = float;
    using Row = __nv_bfloat16;
    __device__ static void add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
    {
        mma_m16n8k16_bf16(d, a, b);
    }
};
template <> struct Mma<__half> {
    using Sum = float;
    using Row = __half;
    __device__ static void add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
    {
        mma_m16n8k16_f16(d, a, b);
    }
};
template <> struct Mma<int8_t> {
    using Sum = int32_t;
    using Row = __nv_bfloat16;
    __device__ static void add(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
    {
        mma_m16n8k32_s8(d, a, b);
    }
};

template <class T, int kRows, int kColumns> struct TileMma {
    using Element = T;                               // of rows and weights
    using Sum     = typename Mma<T>::Sum;
    using Row     = typename Mma<T>::Row;            // of results, unless they are f32
    static constexpr bool kExact = sizeof(T) == 1;   // int8: sums have no order
    // Blocks of a multiprocessor that registers must allow; 0 leaves it to the compiler, which would spill int8's.
    static constexpr int kMinBlocks = kExact ? 1 : 0;
    static constexpr int kTileM   = kRows, kTileN = kColumns;
    static constexpr int kWarpM   = kRows >= 128 ? 64 : kRows >= 32 ? 32 : 16;
    static constexpr int kWarpN   = 32;
    static constexpr int kWarpsN  = kColumns / kWarpN;
    static constexpr int kThreads = kRows / kWarpM * kWarpsN * kWarp;    // of one group
    static constexpr int kWord    = 16 / sizeof(T);  // inputs that one thread copies at a time
    static constexpr int kStep    = 128 / sizeof(T); // inputs of a slab: rows of 128 bytes
    static constexpr int kChunk   = kExact ? kStep : kChunkK;            // inputs that a group takes in turn
    static constexpr int kStages  = 3;               // two slabs under way while one is multiplied
    static constexpr int kLd      = kColumns + 4;    // of the sums: float4 stays aligned, rows shift banks
    static constexpr int kAM = kWarpM / 16, kBN = kWarpN / 8;
    static constexpr int kSlots   = 8;               // 16-byte chunks of a slab's row
    static constexpr int kPass    = kThreads / kSlots;                   // rows that one pass copies
    static constexpr int kSlab    = (kRows + kColumns) * kStep;          // elements of a stage
    static constexpr int kSums    = kRows * kColumns;
    static constexpr int kSlabsPerChunk = kChunk / kStep;

    static_assert(kChunk % kStep == 0, "a chunk of the family must end with a slab");
    static_assert(kRows % kPass == 0 && kColumns % kPass == 0, "a pass must not run past the tile");

    // Shared memory of multiply(), the sums aside.
    __host__ __device__ static constexpr size_t shared_bytes(int groups)
    {
        return smem_bytes<Element>(static_cast<size_t>(kStages) * groups * kSlab)
               + smem_bytes<Sum>(static_cast<size_t>(groups - 1) * kSums);
    }

    // What one thread copies: chunk `slot` of every kPass-th row, of x and of w; and which slabs are under way. Slab
    // s of panel p, kColumns outputs further on each, is number p * n_slabs + s.
    struct Source {
        const Element *row[kRows / kPass];     // NULL: no such row
        const Element *w;                      // of output n0 + first
        int                  first, slot, n_left;    // n_left: outputs from n0 + first on
        int                  n_slabs, n_all;         // of a panel, of all panels
        const float         *unscale;                // int8: of the tile's first row; else NULL
        int                  n_rows, n0;             // live rows from there on; the tile's first output
    };

    // All but the rows of x.
    __device__ static Source source_of(const GemmInput &in, int n_rows, const float *unscale, int n0, int n_panels)
    {
        Source from;
        const int thread   = threadIdx.x % kThreads, groups = blockDim.x / kThreads;
        const int n_chunks = (in.K + kChunk - 1) / kChunk;
        from.n_slabs = min((n_chunks + groups - 1) / groups * kSlabsPerChunk, (in.K + kStep - 1) / kStep);
        from.n_all   = n_panels * from.n_slabs;
        from.first   = thread / kSlots;
        from.slot    = thread % kSlots;
        from.n_left  = in.N - n0 - from.first;
        from.unscale = unscale, from.n_rows = n_rows, from.n0 = n0;
        from.w = static_cast<const Element *>(in.w) + static_cast<int64_t>(n0 + from.first) * in.ld_w;
        return from;
    }

    __device__ static Source open(const GemmInput &in, int m0, int live, int n0, int n_panels, Element *stages)
    {
        Source from = source_of(in, live - m0, kExact ? in.x_unscale + m0 : nullptr, n0, n_panels);
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
        return (s / kSlabsPerChunk * groups + group) * kChunk + s % kSlabsPerChunk * kStep;
    }

    __device__ static Element *stage_of(int slab, Element *stages)
    {
        const int groups = blockDim.x / kThreads, group = threadIdx.x / kThreads;
        return stages + (slab % kStages * groups + group) * kSlab;
    }

    // 16 bytes of inputs from k on; past K they are zero, whatever lies there.
    __device__ static void copy_inputs(Element *to, const Element *row, int k, const GemmInput &in)
    {
        const bool some = row != nullptr && k < in.K;
        if (!some || (in.vector && k + kWord <= in.K)) {
            cp_async_16(to, some ? static_cast<const void *>(row + k) : in.w, some);
            return;
        }
        for (int i = 0; i < kWord; ++i) to[i] = k + i < in.K ? row[k + i] : Element{};
    }

    // Starts the copies of a panel's rows of w, inputs k and on for this thread, to `to`.
    __device__ static void fetch_columns(const Source &from, const GemmInput &in, int panel, int k, Element *to)
    {
#pragma unroll
        for (int i = 0; i < kColumns / kPass; ++i) {
            const int  row   = from.first + i * kPass, n = panel * kColumns + i * kPass;
            const bool valid = n < from.n_left && k < in.ld_w;
            const Element *w = from.w + static_cast<int64_t>(n) * in.ld_w + k;
            cp_async_16(to + row * kStep + swizzle_chunk<kSlots>(row, from.slot) * kWord,
                        valid ? static_cast<const void *>(w) : in.w, valid);
        }
    }

    // Starts the copies of a slab, rows of x, then rows of w; nothing past the last one. A commit either way.
    __device__ static void fetch(const Source &from, const GemmInput &in, int slab, Element *stages)
    {
        if (slab < from.n_all) {
            const int panel = slab / from.n_slabs, k = input_of(slab % from.n_slabs) + from.slot * kWord;
            Element *to = stage_of(slab, stages);
#pragma unroll
            for (int i = 0; i < kRows / kPass; ++i) {
                const int row = from.first + i * kPass;
                copy_inputs(to + row * kStep + swizzle_chunk<kSlots>(row, from.slot) * kWord, from.row[i], k, in);
            }
            fetch_columns(from, in, panel, k, to + kRows * kStep);
        }
        cp_async_commit();
    }

    // acc += a slab of rows times one of columns, one warp's part.
    __device__ static void multiply_slab(const Element *rows, const Element *columns, Sum (&acc)[kAM][kBN][4])
    {
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x % kThreads / kWarp;
        const int m = warp / kWarpsN * kWarpM + lane % 16;
        const int n = warp % kWarpsN * kWarpN + lane % 8 + lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < kSlots; k += 2) {
            uint32_t a[kAM][4], b[kBN / 2][4];
#pragma unroll
            for (int i = 0; i < kAM; ++i)
                ldmatrix_x4(a[i], rows + (m + i * 16) * kStep
                                      + swizzle_chunk<kSlots>(m + i * 16, k + lane / 16) * kWord);
#pragma unroll
            for (int j = 0; j < kBN / 2; ++j)
                ldmatrix_x4(b[j], columns + (n + j * 16) * kStep
                                      + swizzle_chunk<kSlots>(n + j * 16, k + lane / 8 % 2) * kWord);
#pragma unroll
            for (int i = 0; i < kAM; ++i)
#pragma unroll
                for (int j = 0; j < kBN; ++j) {
                    const uint32_t pair[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
                    Mma<Element>::add(acc[i][j], a[i], pair);
                }
        }
    }

    // The sums of the round's chunks into the first group's totals, ascending; acc is cleared. Sums of int8 are their
    // own totals.
    __device__ static void add_chunks(Sum (&acc)[kAM][kBN][4], Sum (&total)[kAM][kBN][4], Sum *exchange, int groups,
                                      int n_left)
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
            Sum &sum = total[e / (kBN * 4)][e / 4 % kBN][e % 4];
            if constexpr (!kExact) {
                Sum &own = acc[e / (kBN * 4)][e / 4 % kBN][e % 4];
                sum += own;
                own = 0;
            }
            for (int g = 1; group == 0 && g < min(groups, n_left); ++g)
                sum += exchange[((g - 1) * (kAM * kBN * 4) + e) * kThreads + thread];
        }
        if (groups > 1) __syncthreads();
    }

    // What a thread's sums of int8 are multiplied by, rows first, as on the CPU. Read before the slabs arrive.
    struct Scales { float row[kAM][2], column[kBN][2]; };

    __device__ static Scales read_scales(const Source &from, const GemmInput &in, int panel)
    {
        Scales scales;
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x % kThreads / kWarp;
        const int m = warp / kWarpsN * kWarpM + lane / 4;
        const int n = from.n0 + panel * kColumns + warp % kWarpsN * kWarpN + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < kAM * 2; ++i) scales.row[i / 2][i % 2] = from.unscale[min(m + i * 8, from.n_rows - 1)];
#pragma unroll
        for (int j = 0; j < kBN * 2; ++j)
            scales.column[j / 2][j % 2] = in.w_unscale[min(n + j / 2 * 8 + j % 2, in.N - 1)];
        return scales;
    }

    __device__ static void store(const Sum (&total)[kAM][kBN][4], const Scales &scales, float *sums)
    {
        if (threadIdx.x >= kThreads) return;
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
        const int m = warp / kWarpsN * kWarpM + lane / 4, n = warp % kWarpsN * kWarpN + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < kAM; ++i)
#pragma unroll
            for (int j = 0; j < kBN; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    float value = static_cast<float>(total[i][j][e]);
                    if constexpr (kExact) value = value * scales.row[i][e / 2] * scales.column[j][e % 2];
                    sums[(m + i * 16 + e / 2 * 8) * kLd + n + j * 8 + e % 2] = value;
                }
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
        const int groups = blockDim.x / kThreads, n_chunks = (in.K + kChunk - 1) / kChunk;
        Element *stages = stages_in(shared);
        Sum *exchange = reinterpret_cast<Sum *>(
            shared + smem_bytes<Element>(static_cast<size_t>(kStages) * groups * kSlab));
        Sum acc[kAM][kBN][4] = {}, total[kAM][kBN][4] = {};
        Scales scales = {};
        if constexpr (kExact) scales = read_scales(from, in, panel);
        for (int step = 0; step < from.n_slabs; ++step) {
            const int slab = panel * from.n_slabs + step;
            cp_async_wait<kStages - 2>();
            __syncthreads();
            fetch(from, in, slab + kStages - 1, stages);
            const Element *stage = stage_of(slab, stages);
            if (input_of(step) < in.K) multiply_slab(stage, stage + kRows * kStep, acc);
            const bool chunk_ends = (step + 1) % kSlabsPerChunk == 0 || step + 1 == from.n_slabs;
            if (!kExact && chunk_ends)
                add_chunks(acc, total, exchange, groups, n_chunks - step / kSlabsPerChunk * groups);
        }
        if constexpr (kExact) {
            add_chunks(acc, acc, exchange, groups, groups);
            store(acc, scales, sums);
        } else {
            store(total, scales, sums);
        }
        __syncthreads();
    }
};

}  // namespace hdl
