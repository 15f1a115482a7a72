/*
 * attention_cross_mma.cuh - attention of a slot's rows over its source pages in bf16 or f16: all
 * beams together, on tensor cores.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_SOURCE_PAGES; values lie as
 *            fragments (kv_pool.cuh).
 * Reference  host/cpu/attention_cpu.c; tests/test_attention_pages.c.
 * Source     Milakov and Gimelshein 2018, arXiv 1805.02867; "Matrix Fragments for mma.m16n8k16" of
 *            the PTX manual.
 * Mapping    A warp takes up to 16 queries of one slot and key head: beams times heads of the
 *            group, the rows of one tile. Keys and values are read once, straight into the
 *            fragments, 16 bytes a lane: no shared memory, no barrier. With few rows the four warps
 *            of a block share the keys, else each has a head of its own; the bits are the same.
 * Numerics   Products of bf16 or f16 summed in f32, softmax f32, weights rounded to that type,
 *            their sum taken before. The columns of D are dealt to the steps of the product in another order, the
 *            same for Q and K.
 * Bound      Memory: keys and values of a slot once. 512 slots, S = 30, Hkv D = 512: 31 MB, 7 us at
 *            4.3 TB/s (H200).
 */
#pragma once
#include "attention_mma.cuh"
#include "attention_paths.cuh"
#include "launch.cuh"

namespace hdl {
namespace {

constexpr int kUnitPages = kUnitKeys / kPageRows;
constexpr int kPageTiles = kPageRows / kMmaCols; // accumulators of one page's scores
constexpr int kVecDims   = kVec<uint16_t>;       // elements of 16 bytes
constexpr int kLaneWords = 4;                    // 32-bit words of 16 bytes

// Which queries a warp has.
struct QueryTile {
    int first, rows; // rows of the step; none: nothing to do
    int span;        // queries of one row in the tile
    int first_head;  // query head of a row's first query
    int kv_head;

    // Row of the step and query head of query i of the tile; false when there is none.
    __device__ __forceinline__ bool find(int i, int heads_end, int &row, int &head) const
    {
        row  = first + i / span;
        head = first_head + i % span;
        return i / span < rows && head < heads_end;
    }
};

// Rows of the slot at `row` that make one tile with it, when `row` is the first of a tile; else 0.
// Rows of a slot stand together.
__device__ __forceinline__ int rows_of_tile(const hdl_rows &rows, int row, int count, int most)
{
    const int lane = threadIdx.x % kWarp, slot = rows.slot[row];
    int before = 0;
    for (bool whole = true; whole;) { // rows of the slot in front of this one
        const int at         = row - before - 1 - lane;
        const bool same      = at >= 0 && rows.slot[at] == slot;
        const unsigned other = ~__ballot_sync(kAllLanes, same);
        whole                = other == 0;
        before += whole ? kWarp : __ffs(static_cast<int>(other)) - 1;
    }
    if (before % most != 0) return 0;
    const bool same = lane < most && row + lane < count && rows.slot[row + lane] == slot;
    return __popc(__ballot_sync(kAllLanes, same));
}

template <class Element>
__device__ __forceinline__ void load_words(const Element *from, uint32_t (&word)[kLaneWords])
{
    const uint4 got = *reinterpret_cast<const uint4 *>(from);
    word[0] = got.x, word[1] = got.y, word[2] = got.z, word[3] = got.w;
}

// Elements 8t .. of every 32 of a query row, as they lie; zeros without a query.
template <class Element, int kDim>
__device__ __forceinline__ void load_query(const PagedTask &a, const QueryTile &tile, int i,
                                           uint32_t (&word)[kDim / kFragmentDims][kLaneWords])
{
    int row, head;
    const bool there = tile.find(i, (tile.kv_head + 1) * a.group, row, head);
    const int t      = threadIdx.x % 4;
#pragma unroll
    for (int u = 0; u < kDim / kFragmentDims; ++u) {
        for (int w = 0; w < kLaneWords; ++w)
            word[u][w] = 0;
        if (!there) continue;
        const Element *from = static_cast<const Element *>(a.q) + row * a.ldq + head * kDim +
                              u * kFragmentDims + t * kVecDims;
        if (a.q_vector) {
            load_words(from, word[u]);
            continue;
        }
#pragma unroll
        for (int w = 0; w < kLaneWords; ++w)
            word[u][w] = join_bits(from[2 * w], from[2 * w + 1]);
    }
}

// Scores of 16 queries against the 16 keys of a page at `keys`.
template <class Element, int kDim>
__device__ __forceinline__ void
score_page(const Element *keys, const uint32_t (&low)[kDim / kFragmentDims][kLaneWords],
           const uint32_t (&high)[kDim / kFragmentDims][kLaneWords], float (&s)[kPageTiles][4])
{
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int n = 0; n < kPageTiles; ++n) {
        const Element *key = keys + (n * kMmaCols + lane / 4) * kDim + lane % 4 * kVecDims;
        s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
#pragma unroll
        for (int u = 0; u < kDim / kFragmentDims; ++u) {
            uint32_t k[kLaneWords];
            load_words(key + u * kFragmentDims, k);
#pragma unroll
            for (int w = 0; w < kLaneWords; w += 2) {
                const uint32_t q[4] = {low[u][w], high[u][w], low[u][w + 1], high[u][w + 1]};
                const uint32_t b[2] = {k[w], k[w + 1]};
                multiply_tile<Element>(s[n], q, b);
            }
        }
    }
}

// Output += weights times the values of a page, of which `n` keys count.
template <class Element, int kDim>
__device__ __forceinline__ void add_page(const Element *values, int n, const float (&low)[4],
                                         const float (&high)[4], MmaPart<kDim / kMmaCols> &part)
{
    const int lane = threadIdx.x % kWarp, first = lane % 4 * 2;
    uint32_t p[4], mask[2];
    pack_weights<Element>(low, high, p);
#pragma unroll
    for (int half = 0; half < 2; ++half) { // what lies past the keys must not count, NaN included
        const int key = first + half * kMmaCols;
        mask[half]    = (key < n ? 0xffffu : 0u) | (key + 1 < n ? 0xffff0000u : 0u);
    }
#pragma unroll
    for (int c = 0; c < kDim / kMmaCols; c += 2) {
        uint32_t v[kLaneWords];
        load_words(values + (c / 2 * kWarp + lane) * kVecDims, v);
        const uint32_t even[2] = {v[0] & mask[0], v[1] & mask[1]},
                       odd[2]  = {v[2] & mask[0], v[3] & mask[1]};
        multiply_tile<Element>(part.acc[c], p, even);
        multiply_tile<Element>(part.acc[c + 1], p, odd);
    }
}

// One part of the keys: every kParts-th unit from unit `first`.
template <class Element, int kDim>
__device__ __forceinline__ void
attend_part(const PagedTask &a, const PagePath &path, int kv_head, int first,
            const uint32_t (&low)[kDim / kFragmentDims][kLaneWords],
            const uint32_t (&high)[kDim / kFragmentDims][kLaneWords],
            MmaPart<kDim / kMmaCols> &part)
{
    const int lane = threadIdx.x % kWarp;
    part.clear();
    for (int start = first * kUnitKeys; start < path.n_keys; start += kParts * kUnitKeys) {
        const int n = path.n_keys - start;
        const Element *page[kUnitPages];
        float s[kUnitPages * kPageTiles][4];
        // A page that is not there stands for the first: its keys are hidden.
#pragma unroll
        for (int i = 0; i < kUnitPages; ++i) {
            const int at = i * kPageRows < n ? start / kPageRows + i : start / kPageRows;
            const uint32_t row =
                key_row_at(a.pages, path.pages[at], 0) + static_cast<uint32_t>(kv_head) * kHeadRows;
            page[i] = static_cast<const Element *>(a.pages.base) + static_cast<size_t>(row) * kDim;
        }
#pragma unroll
        for (int i = 0; i < kUnitPages; ++i)
            score_page<Element, kDim>(page[i], low, high,
                             *reinterpret_cast<float(*)[kPageTiles][4]>(s[i * kPageTiles]));
#pragma unroll
        for (int t = 0; t < kUnitPages * kPageTiles; ++t)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                s[t][i] = t * kMmaCols + lane % 4 * 2 + i % 2 < n ? s[t][i] * a.scale : -INFINITY;
        part.soften(s);
#pragma unroll
        for (int i = 0; i < kUnitPages; ++i)
            add_page<Element, kDim>(page[i] + kPageRows * kDim, n - i * kPageRows, s[i * kPageTiles],
                           s[i * kPageTiles + 1], part);
    }
}

template <class Element, int kDim>
__device__ __forceinline__ void write_queries(const PagedTask &a, const QueryTile &tile,
                                              const MmaPart<kDim / kMmaCols> &part)
{
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int r = 0; r < kRowPair; ++r) {
        const float inverse = part.inverse_sum(r);
        const uint32_t top =
            a.out_max != nullptr ? part.template top_of_row<Element>(r, inverse, kDim) : 0;
        int row, head;
        if (!tile.find(lane / 4 + 8 * r, (tile.kv_head + 1) * a.group, row, head)) continue;
        if (a.out_max != nullptr && lane % 4 == 0) raise_row_max(a.out_max, row, top);
        Element *out = static_cast<Element *>(a.out) + row * a.ldo + head * kDim + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kDim / kMmaCols; ++n) {
            const float low = part.acc[n][2 * r] * inverse, high = part.acc[n][2 * r + 1] * inverse;
            if (a.out_vector) {
                *reinterpret_cast<uint32_t *>(out + n * kMmaCols) = pack_pair<Element>(low, high);
            } else {
                out[n * kMmaCols]     = narrow<Element>(low);
                out[n * kMmaCols + 1] = narrow<Element>(high);
            }
        }
    }
}

// Blocks of a multiprocessor at the least: what leaves enough registers to spill none.
template <int kDim> constexpr int kBlocks = kDim == 32 ? 4 : kDim == 64 ? 3 : 2;

// `spread`: the block's warps share the keys of one tile; else each has a tile of its own.
template <class Element, int kDim>
__global__ void __launch_bounds__(kWarp * kParts, kBlocks<kDim>)
    attention_cross_mma_kernel(const PagedTask a, const bool spread)
{
    using TilePart = MmaPart<kDim / kMmaCols>;
    const int warp = threadIdx.x / kWarp, row = blockIdx.x;
    const int span = min(a.group, kMmaRows), per_head = (a.group + kMmaRows - 1) / kMmaRows;
    const int item = spread ? blockIdx.y : blockIdx.y * kParts + warp, kv_head = item / per_head;
    const int count = a.rows.count[0];
    if (row >= count || kv_head * a.group >= a.H) return;
    const int slot      = a.rows.slot[row];
    const int done      = a.slots.state[slot].done; // asked for together with what the path needs
    const PagePath path = find_path(a, row, slot);
    QueryTile tile;
    tile.first      = row;
    tile.span       = span;
    tile.kv_head    = kv_head;
    tile.first_head = kv_head * a.group + item % per_head * kMmaRows;
    tile.rows       = rows_of_tile(a.rows, row, count, kMmaRows / span);
    if (done != 0 || tile.rows == 0) return;

    const int n_parts = min(kParts, units_of(path.n_keys)), g = threadIdx.x % kWarp / 4;
    uint32_t low[kDim / kFragmentDims][kLaneWords], high[kDim / kFragmentDims][kLaneWords];
    load_query<Element, kDim>(a, tile, g, low);
    load_query<Element, kDim>(a, tile, g + 8, high);

    size_t offset = 0;
    float *saved  = smem_carve<float>(offset, kParts * kWarp * TilePart::kSaved),
          *mine   = saved + warp * kWarp * TilePart::kSaved;
    TilePart part;
    part.clear();
    for (int p = spread ? warp : 0; p <= (spread ? warp : n_parts - 1); ++p) {
        attend_part<Element, kDim>(a, path, kv_head, p, low, high, part);
        if (!spread && p > 0) part.merge_saved(mine);
        if (spread || p + 1 < n_parts) part.save(mine);
    }
    if (spread) {
        __syncthreads();
        if (warp != 0) return;
        for (int p = 1; p < n_parts; ++p)
            part.merge_saved(saved + p * kWarp * TilePart::kSaved);
    }
    write_queries<Element, kDim>(a, tile, part);
}

// Up to so many rows and heads a multiprocessor the keys of a tile are spread; with beams, rows are
// several times the tiles.
constexpr int kSpreadRows = 8;

template <class Element, int kDim>
hdl_status launch_cross(hdl_backend_stream *stream, PagedTask task, int M)
{
    const int items   = task.H / task.group * ((task.group + kMmaRows - 1) / kMmaRows);
    const bool spread = static_cast<int64_t>(M) * items <=
                        static_cast<int64_t>(stream->device->sm_count) * kSpreadRows;
    const int blocks   = spread ? items : (items + kParts - 1) / kParts;
    const int64_t word = sizeof(uint32_t);
    task.q_vector      = is_vector<Element>(task.q, task.ldq);
    task.out_vector    = task.ldo % 2 == 0 && reinterpret_cast<uintptr_t>(task.out) % word == 0;
    return launch(
        stream, "attention", listed<attention_cross_mma_kernel<Element, kDim>>,
        dim3(static_cast<unsigned>(M), static_cast<unsigned>(blocks)), dim3(kWarp * kParts),
        smem_bytes<float>(kParts * kWarp * MmaPart<kDim / kMmaCols>::kSaved), task, spread);
}

template <class Element>
hdl_status choose_cross(hdl_backend_stream *stream, const PagedTask &task, int M)
{
    if (task.pages.D == 32) return launch_cross<Element, 32>(stream, task, M);
    if (task.pages.D == 64) return launch_cross<Element, 64>(stream, task, M);
    if (task.pages.D == 96) return launch_cross<Element, 96>(stream, task, M);
    return launch_cross<Element, 128>(stream, task, M);
}

}  // namespace

}  // namespace hdl
