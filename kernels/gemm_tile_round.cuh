/*
 * gemm_tile_round.cuh - one tile of an int8 product that takes rows of bf16 and rounds them on their way to shared memory.
 *
 * The greatest magnitude of each row is known, so a row needs no pass before its product; rows begin, and K ends, at a
 * multiple of 16 bytes of bf16. Weights travel as in gemm_tile_mma.cuh. Of the rows, 16 bytes at a time, a thread reads
 * its part of the next slab into registers before it multiplies this one, and rounds it to where ldmatrix will look for
 * it behind that: the multiplying hides the reads. 16 neighbouring lanes have the 128 inputs of a row: both 256 bytes
 * read and 128 bytes written lie side by side. Integers, sums and factors are those of rows that were quantised before,
 * so the bits are.
 */
#pragma once
#include "gemm_tile_mma.cuh"
#include "int8_rule.cuh"
#include "vec.cuh"

namespace hdl {

template <int kRows, int kColumns> struct TileRound : TileMma<int8_t, kRows, kColumns> {
    using Base    = TileMma<int8_t, kRows, kColumns>;
    using Element = int8_t;                          // in shared memory
    using Row     = typename Base::Row;              // of x, and of results unless they are f32
    using Source  = typename Base::Source;           // its `row` is not used
    static constexpr int kThreads = Base::kThreads, kStep = Base::kStep;
    static constexpr int kInputs  = kVec<Row>;       // that a thread reads at a time: 8 bytes of a slab
    static constexpr int kAcross  = kStep / kInputs; // threads for a row of a slab
    static constexpr int kPass    = kThreads / kAcross;              // rows that they take at a time
    static constexpr int kHeld    = kRows / kPass;   // 16-byte words of a slab that one thread has

    static_assert(kRows <= kThreads, "a thread for each row looks up where it lies and its greatest magnitude");
    static_assert(kRows % kPass == 0, "a pass must not run past the tile");

    // Of the block's rows: first element in x; the factor of values; 1 / scale. Where there is no row, the first one's
    // place, which can be read, and what makes zeros.
    struct Table {
        int64_t at[kRows];
        float   factor[kRows], unscale[kRows];
    };

    // Shared memory of multiply(), the sums aside.
    __host__ __device__ static constexpr size_t shared_bytes(int groups)
    {
        return Base::shared_bytes(groups) + smem_bytes<Table>(1);
    }

    __device__ static Table *table_in(unsigned char *shared)
    {
        return reinterpret_cast<Table *>(shared + Base::shared_bytes(blockDim.x / kThreads));
    }

    // This thread's part of n_rows rows' inputs k0 .. k0 + kStep as they lie; zeros past K, which is a multiple of kInputs.
    __device__ static void read_slab(const Table &table, int n_rows, const GemmInput &in, int k0, uint4 (&held)[kHeld])
    {
        const int  thread = threadIdx.x % kThreads, k = k0 + thread % kAcross * kInputs;
        const Row *from   = static_cast<const Row *>(in.x) + k;
#pragma unroll
        for (int i = 0; i < kHeld; ++i) {
            held[i] = make_uint4(0, 0, 0, 0);
            if (k < in.K && i * kPass < n_rows)
                held[i] = *reinterpret_cast<const uint4 *>(from + table.at[thread / kAcross + i * kPass]);
        }
    }

    // The same as int8 at `rows`, zeros where no row is: a step of one sentence has one row of 16.
    __device__ static void round_slab(const Table &table, int n_rows, const uint4 (&held)[kHeld], Element *rows)
    {
        const int thread = threadIdx.x % kThreads, k = thread % kAcross * kInputs;
#pragma unroll
        for (int i = 0; i < kHeld; ++i) {
            const int row = thread / kAcross + i * kPass;
            auto *to = reinterpret_cast<uint2 *>(
                rows + row * kStep + swizzle_chunk<Base::kSlots>(row, k / Base::kWord) * Base::kWord + k % Base::kWord);
            if (i * kPass >= n_rows) {               // the same for the whole block
                *to = make_uint2(0, 0);
                continue;
            }
            const Int8Rule rule   = {table.factor[row], 0.0f};
            const unsigned word[] = {held[i].x, held[i].y, held[i].z, held[i].w};
            float value[kInputs];
#pragma unroll
            for (int j = 0; j < kInputs; ++j)
                value[j] = j % 2 == 0 ? low_half<Row>(word[j / 2]) : high_half<Row>(word[j / 2]);
            *to = make_uint2(join_int8(rule, value), join_int8(rule, value + 4));
        }
    }

    __device__ static void fetch_weights(const Source &from, const GemmInput &in, int slab, Element *stages)
    {
        if (slab < from.n_slabs)
            Base::fetch_columns(from, in, 0, Base::input_of(slab) + from.slot * Base::kWord,
                                Base::stage_of(slab, stages) + kRows * kStep);
        cp_async_commit();
    }

    // One panel. The reads of the first slab go out beside those of the maxima, which they do not wait for.
    __device__ static Source open(const GemmInput &in, int m0, int live, int n0, int, Element *stages)
    {
        Table *table = table_in(reinterpret_cast<unsigned char *>(stages));
        const Source from = Base::source_of(in, live - m0, table->unscale, n0, 1);
        const int  row  = threadIdx.x;
        const bool mine = row < kRows, some = mine && m0 + row < live;
        const int     m  = some ? m0 + row : m0;
        const int64_t at = in.rows != nullptr ? in.rows[m] : m;
        const float most = some ? in.x_max[at] : 0.0f;
        if (mine) table->at[row] = at * in.ldx;
        for (int slab = 0; slab < Base::kStages - 1; ++slab) fetch_weights(from, in, slab, stages);
        __syncthreads();
        uint4 held[kHeld];
        read_slab(*table, from.n_rows, in, Base::input_of(0), held);
        if (mine) {
            const Int8Rule rule = int8_rule(magnitude_bits(most));
            table->factor[row]  = rule.factor;
            table->unscale[row] = 1.0f / rule.scale;
        }
        __syncthreads();
        round_slab(*table, from.n_rows, held, Base::stage_of(0, stages));
        return from;
    }

    // sums [kTileM, kLd] = the rows of `from` times its panel. Every thread of the block comes here and leaves with the
    // sums in sight.
    __device__ static void multiply(const Source &from, const GemmInput &in, int, unsigned char *shared, float *sums)
    {
        const int    groups = blockDim.x / kThreads;
        const Table &table  = *table_in(shared);
        Element *stages     = Base::stages_in(shared);
        auto    *exchange   = reinterpret_cast<int32_t *>(
            shared + smem_bytes<Element>(static_cast<size_t>(Base::kStages) * groups * Base::kSlab));
        const typename Base::Scales scales = Base::read_scales(from, in, 0);
        int32_t acc[Base::kAM][Base::kBN][4] = {};
        for (int slab = 0; slab < from.n_slabs; ++slab) {
            cp_async_wait<Base::kStages - 2>();
            __syncthreads();
            fetch_weights(from, in, slab + Base::kStages - 1, stages);
            const bool more = slab + 1 < from.n_slabs;
            uint4 held[kHeld];
            if (more) read_slab(table, from.n_rows, in, Base::input_of(slab + 1), held);
            const Element *stage = Base::stage_of(slab, stages);
            if (Base::input_of(slab) < in.K) Base::multiply_slab(stage, stage + kRows * kStep, acc);
            if (more) round_slab(table, from.n_rows, held, Base::stage_of(slab + 1, stages));
        }
        Base::add_chunks(acc, acc, exchange, groups, groups);
        Base::store(acc, scales, sums);
        __syncthreads();
    }
};

}  // namespace hdl
