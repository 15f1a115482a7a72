/*
 * logit_reduce.cu - from hidden rows to candidates: what is asked of each row, then the walk and the merge.
 *
 * Contract   include/heddle/search.h, hdl_logit_reduce(); docs/numerics.md.
 * Reference  host/cpu/logit_reduce_cpu.c; tests/test_logits.c, tests/test_sampling.c.
 * Source     docs/numerics.md names those of the rules.
 *
 * Mapping    Plan: a thread for a row. Then a walk (logit_walk.cuh) and a merge (logit_merge.cu), and
 *            more rounds of both where a step has more rows than may keep logits; a round in which
 *            no row draws ends at once.
 * Numerics   None here.
 * Bound      Latency: three reads one after the other.
 */
#include "launch.cuh"
#include "logit_work.cuh"
#include "ops.cuh"
#include "reduce.cuh"

#include <heddle/detail/beam_step.h>

namespace hdl {
namespace {

constexpr int kThreads = 256;

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

__device__ __forceinline__ LogitAsk ask_row(const PlanArgs &a, int32_t row)
{
    LogitAsk ask = {};
    const int32_t slot = a.rows.slot[row];
    const hdl_slot_options &o = a.slots.options[slot];
    ask.draw = -1;
    if (a.slots.state[slot].done != 0 || hdl_in_hard_prefix(&o, a.rows.pos[row])) return ask;
    ask.active    = 1;
    ask.draw      = draws(o) ? row : -1;
    ask.edits     = a.edits.entries + static_cast<int64_t>(row) * a.edits.stride;
    ask.n_edits   = a.edits.n[row];
    ask.penalty   = o.repetition_penalty;
    ask.allowed   = a.slots.side + o.allow_off;
    ask.n_allowed = o.n_allow;
    ask.n_best    = ask.draw >= 0 ? 0 : (o.flags & HDL_SLOT_SAMPLE) != 0 ? 1 : 2 * o.K;
    ask.wanted    = biased_token(a, row, o);
    return ask;
}

__global__ void __launch_bounds__(kThreads)
logit_plan_kernel(const PlanArgs a, LogitAsk *asks)
{
    const int row = blockIdx.x * kThreads + threadIdx.x;
    if (row < live_rows(a.rows.count, a.R)) asks[row] = ask_row(a, row);
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
    hdl_status status = prepare_input(stream, op, args->w, args->x, args->E, nullptr, nullptr, job.count, args->R,
                                      args->act_dtype, &job.in, &used);
    if (status == HDL_OK) status = logit_work(stream, op, args->w, args->R, true, used, &job.work);
    if (status != HDL_OK) return status;
    const PlanArgs plan = {*args->slots, *args->rows, args->edits, args->R};
    const unsigned blocks = (static_cast<unsigned>(args->R) + kThreads - 1) / kThreads;
    status = launch(stream, op, listed<logit_plan_kernel>, dim3(blocks), dim3(kThreads), 0, plan, job.work.asks);
    for (; status == HDL_OK && job.round * job.work.n_kept < args->R; ++job.round) {
        status = logit_walk(stream, op, args->w, job);
        if (status == HDL_OK) status = logit_merge(stream, args, job);
    }
    return status;
}

}  // namespace hdl
