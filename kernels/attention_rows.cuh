/*
 * attention_rows.cuh - one query against the keys of its path: a warp, or four warps that share the
 * keys.
 *
 * Eight lanes hold a key: lane t of them has kV elements (8 or 16 bytes) at t * kV, and again every
 * 8 kV. A unit of 32 keys is eight loads of four keys; a butterfly leaves the score of key l in
 * lane l. Nothing is staged: the beams of a slot stand in one block, so what they share comes from
 * the first-level cache after the first of them has read it.
 */
#pragma once
#include "attention_paths.cuh"
#include "launch.cuh"
#include "online_softmax.cuh"
#include "row_max.cuh"

namespace hdl {

constexpr int kKeyLanes = 8;         // lanes that share a key
constexpr int kLaneKeys = kWarp / 4; // keys that each group of 8 lanes walks through in a unit

// kV elements as they lie in memory, in whole registers: halves are parted when they are used.
template <class T, int kV> struct alignas(sizeof(T) * kV) Raw {
    static constexpr int kWords = static_cast<int>(sizeof(T)) * kV / 4;
    uint32_t word[kWords];

    __device__ __forceinline__ float operator[](int i) const
    {
        if constexpr (sizeof(T) == sizeof(float))
            return __uint_as_float(word[i]);
        else
            return i % 2 == 0 ? low_half<T>(word[i / 2]) : high_half<T>(word[i / 2]);
    }
};

__device__ __forceinline__ void set_pair(Raw<float, 4> &raw, int i, float low, float high)
{
    raw.word[i]     = __float_as_uint(low);
    raw.word[i + 1] = __float_as_uint(high);
}

template <class T, int kV>
__device__ __forceinline__ void set_pair(Raw<T, kV> &raw, int i, float low, float high)
{
    raw.word[i / 2] = pack_pair<T>(low, high);
}

// What stays the same for one query.
template <class T> struct KeyReader {
    const T *keys; // of the head; key row r at r * D, its value kPageRows rows on
    int D;

    __device__ __forceinline__ const T *key(uint32_t row) const
    {
        return keys + static_cast<size_t>(row) * D;
    }
    __device__ __forceinline__ const T *value(uint32_t row) const { return key(row + kPageRows); }
};

template <class T, int kV, int kChunks>
__device__ __forceinline__ void load_row(const T *row, int D, Raw<T, kV> (&to)[kChunks])
{
    const int t = threadIdx.x % kKeyLanes;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int d = (c * kKeyLanes + t) * kV;
        if (d < D) {
            to[c] = *reinterpret_cast<const Raw<T, kV> *>(row + d);
        } else {
#pragma unroll
            for (int i = 0; i < Raw<T, kV>::kWords; ++i)
                to[c].word[i] = 0;
        }
    }
}

// Lane l has partial scores s[i] of keys 8 (l / 8) + i; afterwards the whole score of key l.
__device__ __forceinline__ float gather_score(float (&s)[kLaneKeys])
{
    const int t = threadIdx.x % kKeyLanes;
#pragma unroll
    for (int half = kLaneKeys / 2; half > 0; half /= 2) {
        const bool upper = (t & half) != 0;
#pragma unroll
        for (int i = 0; i < half; ++i) {
            const float keep = upper ? s[i + half] : s[i], give = upper ? s[i] : s[i + half];
            s[i] = keep + __shfl_xor_sync(kAllLanes, give, half);
        }
    }
    return s[0];
}

// One unit: `n` keys, the row of key l in lane l (of a key below n in every lane).
template <class T, int kV, int kChunks>
__device__ __forceinline__ void attend_unit(const KeyReader<T> &reader,
                                            const float (&q)[kChunks * kV], uint32_t key_row, int n,
                                            Part<kChunks * kV> &part)
{
    constexpr int kBatch = kLaneKeys / kChunks; // keys whose loads are under way together
    const int lane = threadIdx.x % kWarp, first = lane / kKeyLanes * kKeyLanes;
    uint32_t rows[kLaneKeys];
    float s[kLaneKeys];
    Raw<T, kV> raw[kBatch][kChunks];
#pragma unroll
    for (int i = 0; i < kLaneKeys; ++i)
        rows[i] = __shfl_sync(kAllLanes, key_row, first + i);
#pragma unroll
    for (int at = 0; at < kLaneKeys; at += kBatch) {
#pragma unroll
        for (int i = 0; i < kBatch; ++i)
            load_row<T, kV, kChunks>(reader.key(rows[at + i]), reader.D, raw[i]);
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            s[at + i] = 0.0f;
#pragma unroll
            for (int d = 0; d < kChunks * kV; ++d)
                s[at + i] = fmaf(q[d], raw[i][d / kV][d % kV], s[at + i]);
        }
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) // the first values travel while the softmax is made
        load_row<T, kV, kChunks>(reader.value(rows[i]), reader.D, raw[i]);
    const float whole = gather_score(s);
    const float score = lane < n ? whole : -INFINITY;
    part.raise(warp_max(score));
    const float p = exp2f(score - exponent_base(part.max));
    part.sum += p;
#pragma unroll
    for (int at = 0; at < kLaneKeys; at += kBatch) {
#pragma unroll
        for (int i = 0; i < kBatch; ++i) {
            const float weight = __shfl_sync(kAllLanes, p, first + at + i);
#pragma unroll
            for (int d = 0; d < kChunks * kV; ++d)
                part.acc[d] = fmaf(weight, raw[i][d / kV][d % kV], part.acc[d]);
        }
        if (at + kBatch == kLaneKeys) break;
#pragma unroll
        for (int i = 0; i < kBatch; ++i)
            load_row<T, kV, kChunks>(reader.value(rows[at + kBatch + i]), reader.D, raw[i]);
    }
}

// The units of part `first`.
template <class T, int kV, int kChunks>
__device__ __forceinline__ void attend_part(const KeyReader<T> &reader, const LayerPages &pages,
                                            const PagePath &path, const float (&q)[kChunks * kV],
                                            int first, Part<kChunks * kV> &part)
{
    const int lane = threadIdx.x % kWarp;
    part.clear();
    for (int start = first * kUnitKeys; start < path.n_keys; start += kParts * kUnitKeys) {
        const int n            = min(kUnitKeys, path.n_keys - start);
        const uint32_t key_row = find_key(pages, path, start + min(lane, n - 1));
        attend_unit<T, kV, kChunks>(reader, q, key_row, n, part);
    }
}

// The query of this lane's elements, scaled. `vector`: kV elements at a time.
template <class T, int kV, int kChunks>
__device__ __forceinline__ void load_query(const T *row, int D, float scale, bool vector,
                                           float (&q)[kChunks * kV])
{
    if (vector) {
        Raw<T, kV> raw[kChunks];
        load_row<T, kV, kChunks>(row, D, raw);
#pragma unroll
        for (int i = 0; i < kChunks * kV; ++i)
            q[i] = raw[i / kV][i % kV] * scale;
        return;
    }
#pragma unroll
    for (int i = 0; i < kChunks * kV; ++i) {
        const int d =
            (i / kV * kKeyLanes + static_cast<int>(threadIdx.x) % kKeyLanes) * kV + i % kV;
        q[i] = d < D ? widen(row[d]) * scale : 0.0f;
    }
}

// Greatest stored_magnitude of a head's output, acc * inverse, in every lane; all lanes ask together.
template <class T, int kV, int kChunks>
__device__ __forceinline__ uint32_t top_of_head(int D, float inverse,
                                                const Part<kChunks * kV> &part)
{
    uint32_t top = 0;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        if ((c * kKeyLanes + static_cast<int>(threadIdx.x) % kKeyLanes) * kV >= D) break;
#pragma unroll
        for (int i = 0; i < kV; ++i)
            top = max(top, magnitude_bits(part.acc[c * kV + i] * inverse));
    }
    return stored_magnitude<T>(__reduce_max_sync(kAllLanes, top));
}

// The four groups of eight lanes hold sums over different keys. `out_max`: of row `row`, or NULL.
template <class T, int kV, int kChunks>
__device__ __forceinline__ void write_row(T *out, int D, bool vector, float *out_max, int row,
                                          Part<kChunks * kV> &part)
{
    const int lane  = threadIdx.x % kWarp;
    const float sum = warp_sum(part.sum), inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
#pragma unroll
    for (int i = 0; i < kChunks * kV; ++i) {
        part.acc[i] += __shfl_xor_sync(kAllLanes, part.acc[i], kKeyLanes);
        part.acc[i] += __shfl_xor_sync(kAllLanes, part.acc[i], 2 * kKeyLanes);
    }
    if (out_max != nullptr) {
        const uint32_t top = top_of_head<T, kV, kChunks>(D, inverse, part);
        if (lane == 0) raise_row_max(out_max, row, top);
    }
    if (lane >= kKeyLanes) return;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int d = (c * kKeyLanes + lane) * kV;
        if (d >= D) break;
        if (vector) {
            Raw<T, kV> raw;
#pragma unroll
            for (int i = 0; i < kV; i += 2)
                set_pair(raw, i, part.acc[c * kV + i] * inverse,
                         part.acc[c * kV + i + 1] * inverse);
            *reinterpret_cast<Raw<T, kV> *>(out + d) = raw;
            continue;
        }
#pragma unroll
        for (int i = 0; i < kV; ++i)
            out[d + i] = narrow<T>(part.acc[c * kV + i] * inverse);
    }
}

namespace {

// Two parts of such a row do not fit a thread's registers: its keys are always spread.
template <int kN> constexpr bool kLongHead = kN > 16;

// Blocks of a multiprocessor at the least: what leaves enough registers to spill none.
template <int kN, int kChunks> constexpr int kBlocks = kN <= 8 ? 4 : kChunks == 2 ? 3 : 2;

// `spread`: the block's warps share the keys of one row; else each warp has a row of its own.
template <class T, int kV, int kChunks>
__global__ void __launch_bounds__(kWarp * kParts, kBlocks<kChunks * kV, kChunks>)
    attention_rows_kernel(const PagedTask a, const bool spread)
{
    using RowPart  = Part<kChunks * kV>;
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int head = blockIdx.y, D = a.pages.D;
    const int row = spread ? blockIdx.x : blockIdx.x * kParts + warp;
    if (row >= a.rows.count[0]) return;
    const int slot      = a.rows.slot[row];
    const int done      = a.slots.state[slot].done; // asked for together with what the path needs
    const PagePath path = find_path(a, row, slot);
    if (done != 0) return;
    const int n_parts = min(kParts, units_of(path.n_keys));

    float q[kChunks * kV];
    load_query<T, kV, kChunks>(static_cast<const T *>(a.q) + row * a.ldq +
                                   static_cast<int64_t>(head) * D,
                               D, a.scale, a.q_vector, q);
    const uint32_t head_row   = static_cast<uint32_t>(head / a.group) * kHeadRows;
    const KeyReader<T> reader = {
        static_cast<const T *>(a.pages.base) + static_cast<size_t>(head_row) * D, D};

    const bool share = kLongHead<kChunks * kV> || spread;
    const int first = share ? warp : 0, last = share ? warp : n_parts - 1;
    RowPart total;
    total.clear();
    if (kLongHead<kChunks * kV>) {
        attend_part<T, kV, kChunks>(reader, a.pages, path, q, warp, total);
    } else {
        for (int p = first; p <= last; ++p) {
            RowPart part;
            attend_part<T, kV, kChunks>(reader, a.pages, path, q, p, part);
            if (p == first)
                total = part;
            else
                total.merge(part);
        }
    }
    if (share) {
        size_t offset              = 0;
        RowPart *parts             = smem_carve<RowPart>(offset, kParts * kWarp);
        parts[warp * kWarp + lane] = total;
        __syncthreads();
        if (warp != 0) return;
        for (int p = 1; p < n_parts; ++p)
            total.merge(parts[p * kWarp + lane]);
    }
    write_row<T, kV, kChunks>(static_cast<T *>(a.out) + row * a.ldo +
                                  static_cast<int64_t>(head) * D,
                              D, a.out_vector, a.out_max, row, total);
}

// Up to so many rows and heads a multiprocessor, a block each: more would not run side by side, and
// the warps that a short row leaves idle would be in the way.
constexpr int kSpreadRows = 4;

template <class T, int kV, int kChunks>
hdl_status launch_rows(hdl_backend_stream *stream, PagedTask task, int M)
{
    const int64_t align = static_cast<int64_t>(sizeof(T)) * kV;
    const int64_t few   = static_cast<int64_t>(stream->device->sm_count) * kSpreadRows;
    const bool spread   = kLongHead<kChunks * kV> || static_cast<int64_t>(M) * task.H <= few;
    const size_t shared = spread ? smem_bytes<Part<kChunks * kV>>(kParts * kWarp) : 0;
    const int rows      = spread ? 1 : kParts;
    task.q_vector       = task.ldq % kV == 0 && reinterpret_cast<uintptr_t>(task.q) % align == 0;
    task.out_vector     = task.ldo % kV == 0 && reinterpret_cast<uintptr_t>(task.out) % align == 0;
    return launch(stream, "attention", listed<attention_rows_kernel<T, kV, kChunks>>,
                  dim3(static_cast<unsigned>((M + rows - 1) / rows), static_cast<unsigned>(task.H)),
                  dim3(kWarp * kParts), shared, task, spread);
}

}  // namespace

}  // namespace hdl
