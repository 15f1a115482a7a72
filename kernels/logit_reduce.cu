/*
 * logit_reduce.cu - from hidden rows to candidates: what is asked of each row, then the walk and the merge.
 *
 * Contract   include/heddle/search.h, hdl_logit_reduce(); docs/numerics.md.
 * Reference  host/cpu/logit_reduce_cpu.c; tests/test_logits.c, tests/test_sampling.c.
 * Source     docs/numerics.md names those of the rules.
 *
 * Mapping    Plan: one block, a thread for a row at a time; it numbers the rows that draw, which
 *            keep their logits in that order. Then a walk (logit_walk.cuh) and a merge
 *            (logit_merge.cu), and more rounds of both where more rows draw than may keep logits;
 *            a round that nobody needs ends at once.
 * Numerics   None here.
 * Bound      Latency: one block reads an options record for each row.
 */
#include "launch.cuh"
#include "logit_work.cuh"
#include "ops.cuh"
#include "reduce.cuh"

#include <heddle/detail/beam_step.h>

namespace hdl {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps   = kThreads / kWarp;

// The tables that the plan reads, by value: all pointers into device memory.
struct PlanArgs {
    hdl_slots slots;
    hdl_rows  rows;
    hdl_edits edits;
    int32_t   R;
};

__device__ __forceinline__ bool draws(const hdl_slot_options &o)
{
    return (o.flags & HDL_SLOT_SAMPLE) != 0 && o.temperature > 0.0f && o.top_k != 1;
}

// The prefix's token that a following beam is drawn to, or -1.
__device__ __forceinline__ int32_t biased_token(const PlanArgs &a, int32_t row, const hdl_slot_options &o)
{
    const int32_t pos = a.rows.pos[row];
    if (o.prefix_bias <= 0.0f || pos >= o.n_prefix) return -1;
    if ((a.slots.state[a.rows.slot[row]].following >> a.rows.beam[row] & 1u) == 0) return -1;
    return a.slots.side[o.prefix_off + pos];
}

// Everything but the number of the draw.
__device__ __forceinline__ LogitAsk ask_row(const PlanArgs &a, int32_t row)
{
    LogitAsk ask = {};
    const int32_t slot = a.rows.slot[row];
    const hdl_slot_options &o = a.slots.options[slot];
    ask.draw = -1;
    if (a.slots.state[slot].done != 0 || hdl_in_hard_prefix(&o, a.rows.pos[row])) return ask;
    ask.active    = 1;
    ask.edits     = a.edits.entries + static_cast<int64_t>(row) * a.edits.stride;
    ask.n_edits   = a.edits.n[row];
    ask.penalty   = o.repetition_penalty;
    ask.allowed   = a.slots.side + o.allow_off;
    ask.n_allowed = o.n_allow;
    ask.n_best    = draws(o) ? 0 : (o.flags & HDL_SLOT_SAMPLE) != 0 ? 1 : 2 * o.K;
    ask.wanted    = biased_token(a, row, o);
    return ask;
}

__global__ void __launch_bounds__(kThreads)
logit_plan_kernel(const PlanArgs a, LogitAsk *asks)
{
    size_t offset = 0;
    int *warp_draws = smem_carve<int>(offset, kWarps);
    const int live = live_rows(a.rows.count, a.R), warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    int drawn = 0;                                   // rows before this pass that draw
    for (int first = 0; first < live; first += kThreads) {
        const int row = first + static_cast<int>(threadIdx.x);
        LogitAsk  ask = {};
        bool      draw = false;
        if (row < live) {
            ask  = ask_row(a, row);
            draw = ask.active != 0 && draws(a.slots.options[a.rows.slot[row]]);
        }
        const unsigned who = __ballot_sync(kAllLanes, draw);
        if (lane == 0) warp_draws[warp] = __popc(who);
        __syncthreads();
        int before = drawn;
        for (int w = 0; w < warp; ++w) before += warp_draws[w];
        for (int w = 0; w < kWarps; ++w) drawn += warp_draws[w];
        if (draw) ask.draw = before + __popc(who & ((1u << lane) - 1u));
        if (row < live) asks[row] = ask;
        __syncthreads();                             // warp_draws is used again
    }
}

}  // namespace

hdl_status op_logit_reduce(hdl_backend_stream *stream, const hdl_logit_reduce_args *args)
{
    if (args->R == 0) return HDL_OK;
    const char *op = "logit_reduce";
    LogitJob job = {};
    size_t used = 0;
    job.bias  = args->bias;
    job.count = args->rows->count;
    job.R     = args->R;
    hdl_status status = prepare_input(stream, op, args->w, args->x, args->E, nullptr, job.count, args->R,
                                      args->act_dtype, &job.in, &used);
    if (status == HDL_OK) status = logit_work(stream, op, args->w, args->R, true, used, &job.work);
    if (status != HDL_OK) return status;
    const PlanArgs plan = {*args->slots, *args->rows, args->edits, args->R};
    status = launch(stream, op, logit_plan_kernel, dim3(1), dim3(kThreads), smem_bytes<int>(kWarps), plan,
                    job.work.asks);
    for (; status == HDL_OK && job.round * job.work.n_kept < args->R; ++job.round) {
        status = logit_walk(stream, op, args->w, job);
        if (status == HDL_OK) status = logit_merge(stream, args, job);
    }
    return status;
}

}  // namespace hdl
