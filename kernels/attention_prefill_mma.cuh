/*
 * attention_prefill_mma.cuh - attention of packed sequences in bf16 or f16 on tensor cores
 * (mma.sync, sm_80 and later).
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_PACKED; the door has checked
 *            D % 4 == 0, D <= 256.
 * Reference  host/cpu/attention_packed.c; tests/test_attention.c.
 * Source     Dao 2023, arXiv 2307.08691, algorithm 1; Milakov and Gimelshein 2018, arXiv
 *            1805.02867.
 * Mapping    A block takes one head and 16 or 32 query rows a warp, 1, 2 or 4 warps by the mean
 *            length: short sequences leave no warp idle, long ones read each fragment of a key once
 *            for 32 rows. Keys and values of 64 rows (32 past D = 128) pass through swizzled shared
 *            memory by cp.async, values while the scores are made, the next keys while the softmax
 *            is.
 * Numerics   Products of bf16 or f16 summed in f32 (mma), softmax f32, weights rounded to that
 *            type, their sum taken before. Key tiles ascend from the sequence's first, and hidden keys add exact
 *            zeros: a row's bits do not depend on the block.
 * Bound      4 Tq Tk D flops a head at 788 TFLOP/s (H200, docs/performance.md); below about 366
 *            keys Q, K, V and O once at 4.3 TB/s. mma.sync reaches about half of what wgmma does on
 *            sm_90.
 */
#pragma once
#include "attention_mma.cuh"
#include "attention_tiles.cuh"
#include "launch.cuh"

namespace hdl {
namespace {

constexpr int kWarpsMost = 4;
constexpr int kChunk = kVec<uint16_t>; // elements of 16 bytes, the unit of copies and of the swizzle

// Keys of a tile: 32 where the output takes 128 registers of a thread.
template <int kDim> constexpr int kKeys = kDim > 128 ? 32 : 64;
// Warps of a block at the most: wider rows would need more shared memory than a block gets without asking.
template <int kDim> constexpr int kWarpsFit = kDim > 128 ? 2 : kWarpsMost;
// Whether the queries stay in registers: 32 of them.
template <int kDim, int kTiles> constexpr bool kHoldQueries = kDim *kTiles <= 128;

// Rows [0, count) of a swizzled tile of kDim columns: `rows` rows of D elements from global memory, zeros elsewhere.
template <int kDim, class Element>
__device__ __forceinline__ void stage_tile(const Element *from, int64_t ld, int count, int rows,
                                           int D, bool vector, Element *to)
{
    constexpr int kChunks = kDim / kChunk;
    for (int i = threadIdx.x; i < count * kChunks; i += blockDim.x) {
        const int r = i / kChunks, c = i % kChunks, d = c * kChunk;
        Element *at           = to + r * kDim + swizzle_chunk<kChunks>(r, c) * kChunk;
        const bool inside     = r < rows && d < D;
        const Element *source = inside ? from + r * ld + d : from;
        if (vector) {
            cp_async_16(at, source, inside);
            continue;
        }
        uint32_t word[kChunk / 2] = {};
        for (int e = 0; e < kChunk && inside && d + e < D; e += 2) // D is even
            word[e / 2] = join_bits(source[e], source[e + 1]);
        *reinterpret_cast<uint4 *>(at) = make_uint4(word[0], word[1], word[2], word[3]);
    }
}

// The 16-byte chunk `chunk` of row `row` of a staged tile.
template <int kDim, class T> __device__ __forceinline__ T *tile_chunk(T *tile, int row, int chunk)
{
    return tile + row * kDim + swizzle_chunk<kDim / kChunk>(row, chunk) * kChunk;
}

// 16 queries from row `first` on, columns 16 step ..: an A operand.
template <int kDim, class Element>
__device__ __forceinline__ void load_queries(const Element *q, int first, int step,
                                             uint32_t (&a)[4])
{
    const int lane = threadIdx.x % kWarp;
    ldmatrix_x4(a, tile_chunk<kDim>(q, first + lane % kMmaRows, 2 * step + lane / kMmaRows));
}

// What a warp has: kTiles times 16 rows.
template <class Element, int kDim, int kTiles> struct WarpRows {
    static constexpr int kKeyTiles = kKeys<kDim> / kMmaCols;
    static constexpr int kSteps    = kDim / kMmaDeep;
    static constexpr int kHeld     = kHoldQueries<kDim, kTiles> ? kSteps : 1;

    Element *q; // the block's queries; later this warp's output
    int first;  // the warp's first row there
    uint32_t held[kHeld][kTiles][4];
    float s[kTiles][kKeyTiles][4];
    MmaPart<kDim / kMmaCols> part[kTiles];

    __device__ __forceinline__ WarpRows(Element *queries)
        : q(queries), first(threadIdx.x / kWarp * kTiles * kMmaRows)
    {
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
            part[i].clear();
    }

    // Once, when the queries are in shared memory.
    __device__ __forceinline__ void hold_queries()
    {
        if constexpr (kHoldQueries<kDim, kTiles>) {
#pragma unroll
            for (int step = 0; step < kSteps; ++step)
#pragma unroll
                for (int i = 0; i < kTiles; ++i)
                    load_queries<kDim>(q, first + i * kMmaRows, step, held[step][i]);
        }
    }

    // Scores against `groups` times 16 keys.
    __device__ __forceinline__ void score_keys(const Element *k, int groups)
    {
        const int lane = threadIdx.x % kWarp, matrix = lane / 8;
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
#pragma unroll
            for (int n = 0; n < kKeyTiles; ++n)
                s[i][n][0] = s[i][n][1] = s[i][n][2] = s[i][n][3] = 0.0f;
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            const int kept = kHoldQueries<kDim, kTiles> ? step : 0;
#pragma unroll
            for (int i = 0; i < kTiles && !kHoldQueries<kDim, kTiles>; ++i)
                load_queries<kDim>(q, first + i * kMmaRows, step, held[kept][i]);
#pragma unroll
            for (int n = 0; n < kKeyTiles; n += 2) {
                if (n / 2 >= groups) break;
                uint32_t b[4];
                ldmatrix_x4(b, tile_chunk<kDim>(k, n * kMmaCols + matrix / 2 * 8 + lane % 8,
                                                2 * step + matrix % 2));
                const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
#pragma unroll
                for (int i = 0; i < kTiles; ++i) {
                    multiply_tile<Element>(s[i][n], held[kept][i], low);
                    multiply_tile<Element>(s[i][n + 1], held[kept][i], high);
                }
            }
        }
    }

    // Scales the scores of keys start .. and hides those that a row does not see. `row`: the warp's
    // first in the sequence.
    __device__ __forceinline__ void mask_scores(const SequenceTile &at, const PackedTask &a,
                                                int row, int start)
    {
        const int lane = threadIdx.x % kWarp;
        const bool all = start + kKeys<kDim> <= at.seen(row, a.causal);
#pragma unroll
        for (int i = 0; i < kTiles; ++i) {
            const int g       = row + i * kMmaRows + lane / 4;
            const int seen[2] = {at.seen(g, a.causal) - start, at.seen(g + 8, a.causal) - start};
#pragma unroll
            for (int n = 0; n < kKeyTiles; ++n)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    s[i][n][e] *= a.scale;
                    if (!all && n * kMmaCols + lane % 4 * 2 + e % 2 >= seen[e / 2])
                        s[i][n][e] = -INFINITY;
                }
        }
    }

    __device__ __forceinline__ void soften()
    {
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
            part[i].soften(s[i]);
    }

    // Output += weights times the values of `groups` times 16 keys.
    __device__ __forceinline__ void add_values(const Element *v, int groups)
    {
        const int lane = threadIdx.x % kWarp, matrix = lane / 8;
#pragma unroll
        for (int step = 0; step < kKeys<kDim> / kMmaDeep; ++step) {
            if (step >= groups) break;
            uint32_t a[kTiles][4];
#pragma unroll
            for (int i = 0; i < kTiles; ++i)
                pack_weights<Element>(s[i][2 * step], s[i][2 * step + 1], a[i]);
#pragma unroll
            for (int n = 0; n < kDim / kMmaCols; n += 2) {
                uint32_t b[4];
                ldmatrix_x4_trans(b,
                                  tile_chunk<kDim>(v, step * kMmaDeep + matrix % 2 * 8 + lane % 8,
                                                   n + matrix / 2));
                const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
#pragma unroll
                for (int i = 0; i < kTiles; ++i) {
                    multiply_tile<Element>(part[i].acc[n], a[i], low);
                    multiply_tile<Element>(part[i].acc[n + 1], a[i], high);
                }
            }
        }
    }

    // To the warp's own rows of the queries' tile, which nobody else reads: from there rows are written in one piece.
    __device__ __forceinline__ void stage_output()
    {
        const int lane = threadIdx.x % kWarp;
        __syncwarp();
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
#pragma unroll
            for (int r = 0; r < kRowPair; ++r) {
                const float inverse = part[i].inverse_sum(r);
                const int row       = first + i * kMmaRows + lane / 4 + 8 * r;
#pragma unroll
                for (int n = 0; n < kDim / kMmaCols; ++n) {
                    const float (&x)[4] = part[i].acc[n];
                    uint32_t *to       = reinterpret_cast<uint32_t *>(tile_chunk<kDim>(q, row, n));
                    to[lane % 4]       = pack_pair<Element>(x[2 * r] * inverse, x[2 * r + 1] * inverse);
                }
            }
        __syncwarp();
    }

    // Raises out_max of `rows` of the warp's rows; `out_max`: of its first.
    __device__ __forceinline__ void note_output(float *out_max, int rows, int D) const
    {
        const int lane = threadIdx.x % kWarp;
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
#pragma unroll
            for (int r = 0; r < kRowPair; ++r) {
                const int row      = i * kMmaRows + lane / 4 + 8 * r;
                const uint32_t top = part[i].template top_of_row<Element>(r, part[i].inverse_sum(r), D);
                if (row < rows && lane % 4 == 0) raise_row_max(out_max, row, top);
            }
    }

    // `rows` of the warp's rows to `out`, its first.
    __device__ __forceinline__ void write_output(Element *out, int64_t ld, int rows, int D,
                                                 bool vector) const
    {
        constexpr int kChunks = kDim / kChunk;
        for (int i = threadIdx.x % kWarp; i < rows * kChunks; i += kWarp) {
            const int r = i / kChunks, c = i % kChunks, d = c * kChunk;
            const Element *from = tile_chunk<kDim>(q, first + r, c);
            Element *to         = out + r * ld + d;
            if (vector && d < D)
                *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(from);
            for (int e = 0; e < kChunk && !vector && d + e < D; ++e)
                to[e] = from[e];
        }
    }
};

template <class Element, int kDim, int kTiles>
__global__ void __launch_bounds__(kWarpsFit<kDim> * kWarp)
    attention_packed_mma_kernel(const PackedTask a)
{
    constexpr int kTile = kKeys<kDim>, kRows = kTiles * kMmaRows;
    const int head = blockIdx.y, block_rows = blockDim.x / kWarp * kRows;
    const SequenceTile at = find_tile(a, blockIdx.x, block_rows);
    if (at.start >= at.Tq) return; // the whole block
    size_t offset = 0;
    Element *q    = smem_carve<Element>(offset, block_rows * kDim);
    Element *k    = smem_carve<Element>(offset, kTile * kDim);
    Element *v    = smem_carve<Element>(offset, kTile * kDim);

    const int rows        = min(block_rows, at.Tq - at.start),
              n_keys      = at.seen(at.start + rows - 1, a.causal);
    const int64_t kv      = at.first_k * a.ldkv + static_cast<int64_t>(head / a.group) * a.D;
    const Element *keys   = static_cast<const Element *>(a.k) + kv,
                  *values = static_cast<const Element *>(a.v) + kv;
    const auto stage      = [&](const Element *from, int start, Element *to) {
        const int n = min(kTile, n_keys - start);
        if (n > 0)
            stage_tile<kDim>(from + start * a.ldkv, a.ldkv,
                             (n + kMmaDeep - 1) / kMmaDeep * kMmaDeep, n, a.D, a.kv_vector, to);
        cp_async_commit();
    };
    stage_tile<kDim>(static_cast<const Element *>(a.q) + (at.first_q + at.start) * a.ldq +
                         static_cast<int64_t>(head) * a.D,
                     a.ldq, block_rows, rows, a.D, a.q_vector, q);
    stage(keys, 0, k);
    stage(values, 0, v);

    WarpRows<Element, kDim, kTiles> mine(q);
    const int row  = at.start + mine.first,
              seen = at.seen(row + kRows - 1, a.causal); // by the warp's last row
    cp_async_wait<1>();
    __syncthreads(); // queries and the first keys are here
    mine.hold_queries();
    for (int start = 0; start < n_keys; start += kTile) {
        const int groups = (min(kTile, n_keys - start) + kMmaDeep - 1) / kMmaDeep;
        const bool works = start < seen; // else all is hidden, and would add zeros
        if (works) mine.score_keys(k, groups);
        __syncthreads(); // the keys have been used
        stage(keys, start + kTile, k);
        if (works) {
            mine.mask_scores(at, a, row, start);
            mine.soften();
        }
        cp_async_wait<1>();
        __syncthreads(); // values are here
        if (works) mine.add_values(v, groups);
        cp_async_wait<0>();
        __syncthreads(); // the next keys are here, the values have been used
        stage(values, start + kTile, v);
    }
    cp_async_wait<0>();
    const int written = max(0, min(kRows, at.Tq - row));
    mine.stage_output();
    if (a.out_max != nullptr) mine.note_output(a.out_max + at.first_q + row, written, a.D);
    mine.write_output(static_cast<Element *>(a.out) + (at.first_q + row) * a.ldo +
                          static_cast<int64_t>(head) * a.D,
                      a.ldo, written, a.D, a.out_vector);
}

template <int kDim> constexpr size_t shared_bytes(int rows)
{
    return smem_bytes<uint16_t>(static_cast<size_t>(rows) * kDim) +
           2 * smem_bytes<uint16_t>(kKeys<kDim> * kDim);
}

template <class Element, int kDim, int kTiles>
hdl_status launch_packed(hdl_backend_stream *stream, const PackedTask &task, int M, int warps)
{
    const int rows = warps * kTiles * kMmaRows;
    return launch(stream, "attention", listed<attention_packed_mma_kernel<Element, kDim, kTiles>>,
                  dim3(most_tiles(M, task.n_seq, rows), static_cast<unsigned>(task.H)),
                  dim3(static_cast<unsigned>(warps * kWarp)), shared_bytes<kDim>(rows), task);
}

// Warps, and rows of a warp, by the mean length.
template <class Element, int kDim>
hdl_status launch_dim(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    const int mean = M / task.n_seq; // at least: M is a bound
    int warps      = 1;
    while (warps < kWarpsFit<kDim> && warps * kMmaRows < mean)
        warps *= 2;
    if constexpr (kDim <= 128)
        if (mean > kWarpsMost * kMmaRows)
            return launch_packed<Element, kDim, 2>(stream, task, M, kWarpsMost);
    return launch_packed<Element, kDim, 1>(stream, task, M, warps);
}

template <class Element>
hdl_status choose_packed(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    if (task.D <= 32) return launch_dim<Element, 32>(stream, task, M);
    if (task.D <= 64) return launch_dim<Element, 64>(stream, task, M);
    if (task.D <= 128) return launch_dim<Element, 128>(stream, task, M);
    return launch_dim<Element, 256>(stream, task, M);
}

template <class Element> hdl_status prepare_packed(hdl_backend_device *device)
{
    return allow_shared(device, "attention", attention_packed_mma_kernel<Element, 128, 2>,
                        shared_bytes<128>(2 * kWarpsMost * kMmaRows));
}

}  // namespace

}  // namespace hdl
