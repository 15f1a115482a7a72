/*
 * logit_merge.cu - what the walks found of a row becomes its candidates: the best 2K, or one draw.
 *
 * Contract   include/heddle/search.h, hdl_candidates; docs/numerics.md.
 * Reference  host/cpu/logit_reduce_cpu.c, sampling_cpu.c; tests/test_logits.c, tests/test_sampling.c.
 * Source     Holtzman et al. 2019, arXiv 1904.09751 (top-p); Fan et al. 2018, arXiv 1805.04833
 *            (top-k); Salmon et al. 2011 (detail/philox.h).
 *
 * Mapping    One block of 256 threads owns a row. Each warp merges an eighth of the splits' lists,
 *            the first warp merges theirs. A row that draws is read by the whole block.
 * Numerics   Sums of panels are added in f64, each thread its panels in ascending order, threads in
 *            one order: by V alone. log-probability = (float)(z - log of the sum), in f64.
 * Bound      8 bytes a panel and 16 K bytes a split: about 3 us for one row.
 */
#include "logit_sample.cuh"
#include "logit_work.cuh"

#include <heddle/detail/beam_step.h>
#include <heddle/detail/philox.h>

namespace hdl {
namespace {

constexpr int kThreads = kDrawThreads, kWarps = kDrawWarps;
constexpr int kMerged  = HDL_MAX_CANDIDATES + 1;     // a biased token may join a full list

struct MergeArgs {
    hdl_slots      slots;
    hdl_rows       rows;
    hdl_candidates out;
    int32_t        R, V, round;
    LogitWork      work;
};

// A row over all of V.
struct RowSum {
    bool   bad, empty;
    float  greatest;
    double log_sum;
};

struct MergeSpace {
    double  *sum;                                    // [kWarps]
    float   *greatest;                               // [kWarps]
    float   *value;                                  // [kWarps, HDL_MAX_CANDIDATES]
    int32_t *id;
    float   *merged;                                 // [kMerged]
    int32_t *merged_id;
    DrawSpace draw;
};

constexpr size_t merge_shared_bytes()
{
    return smem_bytes<double>(kWarps) + smem_bytes<float>(kWarps)
           + smem_bytes<float>(static_cast<size_t>(kWarps) * HDL_MAX_CANDIDATES)
           + smem_bytes<int32_t>(static_cast<size_t>(kWarps) * HDL_MAX_CANDIDATES) + smem_bytes<float>(kMerged)
           + smem_bytes<int32_t>(kMerged) + draw_shared_bytes();
}

__device__ __forceinline__ double warp_sum_double(double x)
{
    for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
    return x;
}

// The same in every thread.
__device__ __forceinline__ RowSum sum_row(const MergeArgs &a, const MergeSpace &space, int row)
{
    const float2 *parts = a.work.parts + static_cast<int64_t>(row) * a.work.n_panels;
    const int     warp  = threadIdx.x / kWarp;
    RowSum found = {false, false, -INFINITY, 0.0};
    bool   bad   = false;
    float  own   = -INFINITY;
    for (int i = threadIdx.x; i < a.work.n_panels; i += kThreads) {
        own = fmaxf(own, parts[i].x);
        bad = bad || isnan(parts[i].y);
    }
    own = warp_greatest(own);
    if (threadIdx.x % kWarp == 0) space.greatest[warp] = own;
    found.bad = __syncthreads_or(bad) != 0;
    for (int w = 0; w < kWarps; ++w) found.greatest = fmaxf(found.greatest, space.greatest[w]);
    found.empty = found.greatest == -INFINITY;
    if (found.bad || found.empty) return found;      // the whole block
    double sum = 0.0;
    for (int i = threadIdx.x; i < a.work.n_panels; i += kThreads)
        if (parts[i].y > 0.0f)
            sum += static_cast<double>(parts[i].y)
                   * exp(static_cast<double>(parts[i].x) - static_cast<double>(found.greatest));
    sum = warp_sum_double(sum);
    if (threadIdx.x % kWarp == 0) space.sum[warp] = sum;
    __syncthreads();
    sum = 0.0;
    for (int w = 0; w < kWarps; ++w) sum += space.sum[w];
    found.log_sum = static_cast<double>(found.greatest) + log(sum);
    return found;
}

__device__ __forceinline__ float logprob_of(float z, double log_sum)
{
    return static_cast<float>(static_cast<double>(z) - log_sum);
}

// Entries [first, end) of lists of `capacity` entries that lie `stride` apart, ascending, into `best`.
__device__ __forceinline__ void merge_lists(BestList &best, const float *value, const int32_t *id, int stride,
                                            int first, int end)
{
    for (int base = first; base < end; base += kWarp) {
        const int     entry = base + static_cast<int>(threadIdx.x % kWarp);
        const bool    live  = entry < end;
        const int64_t at    = static_cast<int64_t>(entry / best.capacity) * stride + entry % best.capacity;
        const float   offered[1] = {live ? value[at] : -INFINITY};
        const int32_t token[1]   = {live ? id[at] : 0};
        best_merge(best, offered, token);
    }
}

// Log-probability first, then id: rounding may have made equal what logits told apart. One thread.
__device__ __forceinline__ void sort_candidates(float *logprob, int32_t *id, int32_t n)
{
    for (int32_t i = 1; i < n; ++i) {
        const float   value = logprob[i];
        const int32_t token = id[i];
        int32_t at = i;
        for (; at > 0 && (logprob[at - 1] < value || (logprob[at - 1] == value && id[at - 1] > token)); --at) {
            logprob[at] = logprob[at - 1];
            id[at]      = id[at - 1];
        }
        logprob[at] = value;
        id[at]      = token;
    }
}

// p' = (1 - b) p, plus b on the prefix's next token, which joins the list if it is not there. One thread.
__device__ __forceinline__ int32_t bias_candidates(float *logprob, int32_t *id, int32_t n, float bias, int32_t next,
                                                   float next_logprob)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < n; ++i) {
        if (id[i] == next) continue;
        id[kept]      = id[i];
        logprob[kept] = hdl_biased_logprob(logprob[i], bias, 0);
        if (logprob[kept] > -INFINITY) ++kept;
    }
    id[kept]      = next;
    logprob[kept] = hdl_biased_logprob(next_logprob, bias, 1);
    return kept + 1;
}

// The first warp's: the row's list into its candidates.
__device__ __forceinline__ void write_candidates(const MergeArgs &a, const LogitAsk &ask, const MergeSpace &space,
                                                 int row, int32_t n, double log_sum)
{
    const int lane = threadIdx.x % kWarp;
    __syncwarp();                                    // every lane has read the list's last value
    for (int i = lane; i < n; i += kWarp) space.merged[i] = logprob_of(space.merged[i], log_sum);
    __syncwarp();
    if (lane == 0) {
        const float bias = a.slots.options[a.rows.slot[row]].prefix_bias;
        if (ask.wanted >= 0)
            n = bias_candidates(space.merged, space.merged_id, n, bias, ask.wanted,
                                logprob_of(a.work.wanted[row], log_sum));
        sort_candidates(space.merged, space.merged_id, n);
    }
    __syncwarp();
    n = min(__shfl_sync(kAllLanes, n, 0), ask.n_best);
    const int64_t list = static_cast<int64_t>(row) * HDL_MAX_CANDIDATES;
    for (int i = lane; i < n; i += kWarp) {
        a.out.logprob[list + i] = space.merged[i];
        a.out.id[list + i]      = space.merged_id[i];
    }
    if (lane == 0) a.out.n[row] = n;
}

__device__ __forceinline__ void merge_row(const MergeArgs &a, const LogitAsk &ask, const MergeSpace &space, int row,
                                          double log_sum)
{
    const int     warp = threadIdx.x / kWarp, n_splits = a.work.n_splits;
    const int64_t row_lists = static_cast<int64_t>(row) * n_splits * HDL_MAX_CANDIDATES;
    BestList best = {space.value + warp * HDL_MAX_CANDIDATES, space.id + warp * HDL_MAX_CANDIDATES, 0, ask.n_best,
                     -INFINITY};
    merge_lists(best, a.work.best_value + row_lists, a.work.best_id + row_lists, HDL_MAX_CANDIDATES,
                n_splits * warp / kWarps * ask.n_best, n_splits * (warp + 1) / kWarps * ask.n_best);
    for (int i = best.n + static_cast<int>(threadIdx.x % kWarp); i < ask.n_best; i += kWarp) {
        best.value[i] = -INFINITY;
        best.id[i]    = 0;
    }
    __syncthreads();
    if (warp != 0) return;                           // no barrier follows
    BestList all = {space.merged, space.merged_id, 0, ask.n_best, -INFINITY};
    merge_lists(all, space.value, space.id, HDL_MAX_CANDIDATES, 0, kWarps * ask.n_best);
    write_candidates(a, ask, space, row, all.n, log_sum);
}

// One draw by the whole block; its log-probability is that before temperature and cuts.
__device__ __forceinline__ void draw_row(const MergeArgs &a, const LogitAsk &ask, const MergeSpace &space, int row,
                                         const RowSum &found)
{
    const hdl_slot_options &o = a.slots.options[a.rows.slot[row]];
    float *z = a.work.kept + static_cast<int64_t>(ask.draw % a.work.n_kept) * a.V;
    DrawRow d = {z, a.V, found.greatest, 1.0f / o.temperature, {0, 0}, {0, 0}};
    float biased = 0.0f;
    if (ask.wanted >= 0) {
        // its logit becomes the one that gives p' beside the others as they are
        biased = hdl_biased_logprob(logprob_of(a.work.wanted[row], found.log_sum), o.prefix_bias, 1);
        const double others = log1p(-static_cast<double>(o.prefix_bias));
        const float  own    = static_cast<float>(static_cast<double>(biased) - others + found.log_sum);
        if (threadIdx.x == 0) z[ask.wanted] = own;
        d.greatest = fmaxf(d.greatest, own);
        __syncthreads();
    }
    const auto key  = [&](int32_t i) { return order_key(z[i]); };
    const auto one  = [](int32_t) { return Weight{1}; };
    const auto mass = [&](int32_t i) { return d.mass(i); };
    const auto p    = [&](int32_t i) { return order_key(d.p(i)); };
    const auto left = [&](int32_t i) { return d.kept_mass(i); };
    if (o.top_k > 0 && o.top_k < a.V) d.top_k = cut_greatest(space.draw, key, one, a.V, static_cast<double>(o.top_k));
    if (o.top_p > 0.0f && o.top_p < 1.0f) {
        const double total = static_cast<double>(weigh_all(space.draw, mass, a.V));
        d.top_p = cut_greatest(space.draw, p, mass, a.V, static_cast<double>(o.top_p) * total);
    }
    const double total = static_cast<double>(weigh_all(space.draw, left, a.V));
    const uint32_t step = static_cast<uint32_t>(a.rows.pos[row]);
    const double   mark = static_cast<double>(hdl_uniform(o.seed, static_cast<uint32_t>(o.draw), step)) * total;
    const int32_t token = find_passing(space.draw, left, a.V, static_cast<Weight>(mark));
    if (threadIdx.x != 0) return;
    float logprob = logprob_of(z[token], found.log_sum);
    if (ask.wanted >= 0) logprob = token == ask.wanted ? biased : hdl_biased_logprob(logprob, o.prefix_bias, 0);
    a.out.id[static_cast<int64_t>(row) * HDL_MAX_CANDIDATES]      = token;
    a.out.logprob[static_cast<int64_t>(row) * HDL_MAX_CANDIDATES] = logprob;
    a.out.n[row] = 1;
}

// No distribution: a logit that is not finite, or nothing left but the first end token. One thread.
__device__ __forceinline__ void write_special(const MergeArgs &a, int row, bool bad)
{
    const hdl_slot_options &o = a.slots.options[a.rows.slot[row]];
    const int64_t list = static_cast<int64_t>(row) * HDL_MAX_CANDIDATES;
    a.out.n[row] = bad ? -1 : o.n_end > 0 ? 1 : 0;
    if (bad) return;
    a.out.id[list]      = a.slots.side[o.end_off];
    a.out.logprob[list] = 0.0f;
}

__global__ void __launch_bounds__(kThreads)
logit_merge_kernel(const MergeArgs a)
{
    const int row = blockIdx.x;
    if (row >= live_rows(a.rows.count, a.R)) return; // the whole block leaves, here and below
    const LogitAsk ask = a.work.asks[row];
    if (!in_round(ask, a.round, a.work.n_kept)) return;
    size_t offset = 0;
    MergeSpace space;
    space.sum       = smem_carve<double>(offset, kWarps);
    space.greatest  = smem_carve<float>(offset, kWarps);
    space.value     = smem_carve<float>(offset, static_cast<size_t>(kWarps) * HDL_MAX_CANDIDATES);
    space.id        = smem_carve<int32_t>(offset, static_cast<size_t>(kWarps) * HDL_MAX_CANDIDATES);
    space.merged    = smem_carve<float>(offset, kMerged);
    space.merged_id = smem_carve<int32_t>(offset, kMerged);
    space.draw      = carve_draw(offset);
    const RowSum found = sum_row(a, space, row);
    if (found.bad || found.empty) {
        if (threadIdx.x == 0) write_special(a, row, found.bad);
        return;
    }
    if (ask.draw >= 0) draw_row(a, ask, space, row, found);
    else merge_row(a, ask, space, row, found.log_sum);
}

}  // namespace

hdl_status logit_merge(hdl_backend_stream *stream, const hdl_logit_reduce_args *args, const LogitJob &job)
{
    const MergeArgs merge = {*args->slots, *args->rows, args->out, args->R, args->V, job.round, job.work};
    return launch(stream, "logit_reduce", listed<logit_merge_kernel>, dim3(static_cast<unsigned>(args->R)),
                  dim3(kThreads), merge_shared_bytes(), merge);
}

}  // namespace hdl
