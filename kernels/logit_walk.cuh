/*
 * logit_walk.cuh - the kernel that walks column panels of an output product, over any tile 128 columns wide.
 *
 * A panel's sums lie in shared memory; then a warp takes a row at a time: bias, edits, allowed ids, greatest logit, sum
 * of exponentials, best values. Lane l holds columns l, l + 32, l + 64, l + 96, whatever the tile: the sum of a panel
 * has one order.
 */
#pragma once
#include "gemm_kernel.cuh"
#include "logit_best.cuh"
#include "logit_work.cuh"

namespace hdl {
namespace {

constexpr int kShortList = 16;                       // best values that fit into shared memory: beams up to 8
constexpr int kOwnZ      = kPanel / kWarp;           // columns of one lane

// How far a row's sorted lists are consumed, and what its list of best values has come to.
struct LogitCursor {
    int32_t edit, next_token;                        // next_token: of entry `edit`; INT32_MAX: none is left
    int32_t allowed;
    int32_t n;
    float   bar;
};

// First entry that is not below `value`.
__device__ __forceinline__ int32_t lower_bound(const int32_t *sorted, int32_t n, int64_t value)
{
    int32_t low = 0, high = n;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (sorted[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

__device__ __forceinline__ int32_t token_at(const LogitAsk &ask, int32_t edit)
{
    return edit < ask.n_edits ? ask.edits[edit] >> 2 : INT32_MAX;
}

__device__ __forceinline__ LogitCursor open_cursor(const LogitAsk &ask, int32_t first_column)
{
    LogitCursor at;
    at.edit       = lower_bound(ask.edits, ask.n_edits, static_cast<int64_t>(first_column) * 4);
    at.next_token = token_at(ask, at.edit);
    at.allowed    = lower_bound(ask.allowed, ask.n_allowed, first_column);
    at.n          = 0;
    at.bar        = ask.n_best > 0 ? -INFINITY : INFINITY;
    return at;
}

// Edits of the panel's columns, 32 entries at a time.
__device__ __forceinline__ void edit_columns(const LogitAsk &ask, LogitCursor &at, int32_t n0, float (&z)[kOwnZ])
{
    const int lane = threadIdx.x % kWarp;
    while (at.next_token < n0 + kPanel) {
        const int32_t entry = at.edit + lane < ask.n_edits ? ask.edits[at.edit + lane] : INT32_MAX;
        const unsigned here = __ballot_sync(kAllLanes, (entry >> 2) < n0 + kPanel);
        for (unsigned left = here; left != 0; left &= left - 1) {
            const int32_t edit   = __shfl_sync(kAllLanes, entry, __ffs(static_cast<int>(left)) - 1);
            const int     column = (edit >> 2) - n0;
#pragma unroll
            for (int j = 0; j < kOwnZ; ++j) {
                if (column != lane + j * kWarp) continue;
                if ((edit & 3) == HDL_EDIT_REMOVE) z[j] = -INFINITY;
                else z[j] = z[j] < 0.0f ? z[j] * ask.penalty : z[j] / ask.penalty;
            }
        }
        at.edit += __popc(here);
        at.next_token = token_at(ask, at.edit);
    }
}

// Everything between the allowed ids goes.
__device__ __forceinline__ void keep_allowed(const LogitAsk &ask, LogitCursor &at, int32_t n0, float (&z)[kOwnZ])
{
    const int lane = threadIdx.x % kWarp;
    unsigned  keep[kOwnZ] = {}, here = kAllLanes;
    while (here == kAllLanes) {
        const int32_t id = at.allowed + lane < ask.n_allowed ? ask.allowed[at.allowed + lane] : INT32_MAX;
        const bool    in = id < n0 + kPanel;
#pragma unroll
        for (int j = 0; j < kOwnZ; ++j)              // ids are distinct: adding bits is joining them
            keep[j] += __reduce_add_sync(kAllLanes, in && (id - n0) / kWarp == j ? 1u << (id - n0) % kWarp : 0u);
        here = __ballot_sync(kAllLanes, in);
        at.allowed += __popc(here);
    }
#pragma unroll
    for (int j = 0; j < kOwnZ; ++j)
        if ((keep[j] >> lane & 1u) == 0) z[j] = -INFINITY;
}

// Bias, edits and allowed ids. False when a raw logit is NaN or +infinity; then nothing is left of the panel.
__device__ __forceinline__ bool read_logits(const LogitJob &job, const LogitAsk &ask, LogitCursor &at, int32_t n0,
                                            const float *sums, float (&z)[kOwnZ])
{
    const int lane = threadIdx.x % kWarp;
    bool bad = false;
#pragma unroll
    for (int j = 0; j < kOwnZ; ++j) {
        const int32_t n = n0 + lane + j * kWarp;
        z[j] = -INFINITY;
        if (n >= job.in.N) continue;
        z[j] = sums[lane + j * kWarp];
        if (job.bias != nullptr) z[j] += job.bias[n];
        bad = bad || !(z[j] < INFINITY);
    }
    bad = __any_sync(kAllLanes, bad);
#pragma unroll
    for (int j = 0; j < kOwnZ; ++j)
        if (bad) z[j] = -INFINITY;
    edit_columns(ask, at, n0, z);
    if (ask.n_allowed > 0) keep_allowed(ask, at, n0, z);
    return !bad;
}

// One row of one panel.
__device__ __forceinline__ void visit_row(const LogitJob &job, const LogitAsk &ask, LogitCursor &at, int m, int panel,
                                          const float *sums, BestList &best)
{
    const int     lane = threadIdx.x % kWarp;
    const int32_t n0   = panel * kPanel;
    float   z[kOwnZ], greatest = -INFINITY, sum = 0.0f;
    int32_t id[kOwnZ];
    const bool good = read_logits(job, ask, at, n0, sums, z);
#pragma unroll
    for (int j = 0; j < kOwnZ; ++j) {
        const int32_t n = id[j] = n0 + lane + j * kWarp;
        greatest        = fmaxf(greatest, z[j]);
        if (n == ask.wanted) job.work.wanted[m] = z[j];
        if (ask.draw >= 0 && n < job.in.N)
            job.work.kept[static_cast<int64_t>(ask.draw % job.work.n_kept) * job.in.N + n] = z[j];
    }
    greatest = warp_greatest(greatest);
    if (greatest > -INFINITY) {
#pragma unroll
        for (int j = 0; j < kOwnZ; ++j) sum += expf(z[j] - greatest);
        sum = warp_sum(sum);
        if (greatest > best.bar) best_merge(best, z, id);
    }
    if (lane == 0)
        job.work.parts[static_cast<int64_t>(m) * job.work.n_panels + panel] = make_float2(greatest, good ? sum : NAN);
}

// What a block keeps of its rows between panels.
struct LogitTile {
    LogitAsk    *asks;
    LogitCursor *cursors;
    float       *short_value;                        // [kTileM, kShortList]
    int32_t     *short_id;
};

template <class Tile> __host__ __device__ constexpr size_t walk_shared_bytes()
{
    return Tile::shared_bytes(1) + smem_bytes<float>(static_cast<size_t>(Tile::kTileM) * Tile::kLd)
           + smem_bytes<LogitAsk>(Tile::kTileM) + smem_bytes<LogitCursor>(Tile::kTileM)
           + smem_bytes<float>(static_cast<size_t>(Tile::kTileM) * kShortList)
           + smem_bytes<int32_t>(static_cast<size_t>(Tile::kTileM) * kShortList);
}

// The list of row m0 + row: in shared memory when it is short, else where the merge will read it.
__device__ __forceinline__ BestList list_of(const LogitJob &job, const LogitTile &tile, int m, int row)
{
    const LogitAsk    &ask = tile.asks[row];
    const LogitCursor &at  = tile.cursors[row];
    const int64_t place =
        (static_cast<int64_t>(m) * job.work.n_splits + blockIdx.y) * static_cast<int64_t>(HDL_MAX_CANDIDATES);
    if (ask.n_best <= kShortList)
        return {tile.short_value + row * kShortList, tile.short_id + row * kShortList, at.n, ask.n_best, at.bar};
    return {job.work.best_value + place, job.work.best_id + place, at.n, ask.n_best, at.bar};
}

// The list as the merge reads it: complete, -infinity past its end.
__device__ __forceinline__ void close_list(const LogitJob &job, const LogitAsk &ask, const BestList &best, int m)
{
    const int64_t place =
        (static_cast<int64_t>(m) * job.work.n_splits + blockIdx.y) * static_cast<int64_t>(HDL_MAX_CANDIDATES);
    const bool is_short = ask.n_best <= kShortList;
    for (int i = threadIdx.x % kWarp; i < ask.n_best; i += kWarp) {
        if (i < best.n && !is_short) continue;       // it is there
        job.work.best_value[place + i] = i < best.n ? best.value[i] : -INFINITY;
        job.work.best_id[place + i]    = i < best.n ? best.id[i] : 0;
    }
}

// Every row of a panel by one warp. The next product overwrites the sums after its first barrier.
template <class Tile>
__device__ __forceinline__ void visit_panel(const LogitJob &job, const LogitTile &tile, int m0, int live, int panel,
                                            const float *sums)
{
    for (int row = threadIdx.x / kWarp; row < Tile::kTileM && m0 + row < live; row += Tile::kThreads / kWarp) {
        const LogitAsk ask = tile.asks[row];
        if (!in_round(ask, job.round, job.work.n_kept)) continue;
        LogitCursor at   = tile.cursors[row];
        BestList    best = list_of(job, tile, m0 + row, row);
        __syncwarp();                                // every lane has read the cursor
        visit_row(job, ask, at, m0 + row, panel, sums + row * Tile::kLd, best);
        if (threadIdx.x % kWarp == 0) {
            tile.cursors[row]     = at;
            tile.cursors[row].n   = best.n;
            tile.cursors[row].bar = best.bar;
        }
    }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
logit_walk_kernel(const LogitJob job)
{
    static_assert(Tile::kTileN == kPanel, "a panel's sums must lie in one tile");
    const int live = live_rows(job.count, job.R), m0 = blockIdx.x * Tile::kTileM;
    if (m0 >= live) return;                          // the whole block leaves
    size_t offset = 0;
    unsigned char *shared = smem_carve<unsigned char>(offset, Tile::shared_bytes(1));
    float *sums = smem_carve<float>(offset, static_cast<size_t>(Tile::kTileM) * Tile::kLd);
    LogitTile tile;
    tile.asks        = smem_carve<LogitAsk>(offset, Tile::kTileM);
    tile.cursors     = smem_carve<LogitCursor>(offset, Tile::kTileM);
    tile.short_value = smem_carve<float>(offset, static_cast<size_t>(Tile::kTileM) * kShortList);
    tile.short_id    = smem_carve<int32_t>(offset, static_cast<size_t>(Tile::kTileM) * kShortList);

    const int64_t n_panels = job.work.n_panels;
    const int first = static_cast<int>(n_panels * blockIdx.y / gridDim.y);
    const int end   = static_cast<int>(n_panels * (blockIdx.y + 1) / gridDim.y);
    bool wanted = false;
    for (int row = threadIdx.x; row < Tile::kTileM && m0 + row < live; row += Tile::kThreads) {
        tile.asks[row]    = job.work.asks[m0 + row];
        const bool serves = in_round(tile.asks[row], job.round, job.work.n_kept);
        if (serves) tile.cursors[row] = open_cursor(tile.asks[row], first * kPanel);
        wanted = wanted || serves;
    }
    if (!__syncthreads_or(wanted)) return;           // nobody asks: rows of ended sentences, or a spare round
    const typename Tile::Source from =
        Tile::open(job.in, m0, live, first * kPanel, end - first, Tile::stages_in(shared));
    for (int panel = first; panel < end; ++panel) {
        Tile::multiply(from, job.in, panel - first, shared, sums);
        visit_panel<Tile>(job, tile, m0, live, panel, sums);
    }
    __syncwarp();                                    // the first lane has written the warp's cursors
    for (int row = threadIdx.x / kWarp; row < Tile::kTileM && m0 + row < live; row += Tile::kThreads / kWarp) {
        const LogitAsk ask = tile.asks[row];
        if (!in_round(ask, job.round, job.work.n_kept)) continue;
        close_list(job, ask, list_of(job, tile, m0 + row, row), m0 + row);
    }
}

template <class Tile>
hdl_status launch_walk(hdl_backend_stream *stream, const char *op, const LogitJob &job)
{
    const dim3 grid(static_cast<unsigned>((job.R + Tile::kTileM - 1) / Tile::kTileM),
                    static_cast<unsigned>(job.work.n_splits));
    return launch(stream, op, listed<logit_walk_kernel<Tile>>, grid, dim3(Tile::kThreads), walk_shared_bytes<Tile>(),
                  job);
}

}  // namespace
}  // namespace hdl
