/*
 * beam_step.cu - one step of search for every slot of the step.
 *
 * Contract   include/heddle/search.h, hdl_beam_step(). Slots that are done are left alone.
 * Reference  include/heddle/detail/beam_step.h, whose phase 2 runs here as it stands; host/cpu/beam_step_cpu.c;
 *            tests/test_beam_op.c, test_beam_step.c.
 * Source     docs/numerics.md, "Beam search".
 *
 * Mapping    One block of 128 threads a slot. Phase 1: one thread a candidate counts how many come before it; those
 *            with fewer than 2K write themselves to their rank. Phase 2: thread 0 decides. Phase 3: the history,
 *            thread b for beam b's tokens, all threads for the paths.
 * Numerics   f32 sums, added as on the CPU. The order (sum, beam, token) is total, so counting gives the list that
 *            inserting one by one gives, bit for bit.
 * Bound      Latency of about ten dependent reads; K (2K) candidates of 8 bytes and t bytes of path a beam.
 */
#include "launch.cuh"
#include "ops.cuh"
#include "smem.cuh"

#include <heddle/detail/beam_step.h>

namespace hdl {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocksPerSm = 4;                      // 128 registers a thread: fewer spill

// What the block works on; in shared memory.
struct StepWork {
    hdl_slot_options options;
    hdl_slot_state   state;
    hdl_beam_plan    plan;
    hdl_candidate    best[HDL_MAX_CANDIDATES];
    float            sum[HDL_MAX_BEAM];
    int32_t          n[HDL_MAX_BEAM];       // candidates of each live row
    int32_t          found, write;          // `write`: phase 3 has work to do
};

// Candidates of row b, ordered by falling log-probability, whose sum is above `sum` (or equal to it).
__device__ int count_before(const float *logprob, int n, float base, float sum, bool or_equal)
{
    int low = 0, high = n;
    while (low < high) {
        const int middle = (low + high) / 2;
        const float at   = base + logprob[middle];
        if (at > sum || (or_equal && at == sum)) low = middle + 1;
        else high = middle;
    }
    return low;
}

// How many candidates of the slot come before number i of row b; stops counting at `enough`.
__device__ int find_rank(const StepWork &work, const int32_t *id, const float *logprob, int n_rows, int b, int i,
                         int enough)
{
    const float *own  = logprob + b * HDL_MAX_CANDIDATES;
    const float sum   = work.sum[b] + own[i];
    const int first   = count_before(own, work.n[b], work.sum[b], sum, false);
    const int token   = id[b * HDL_MAX_CANDIDATES + i];
    int rank          = first;
    for (int j = first; j < work.n[b] && work.sum[b] + own[j] == sum; ++j) { // equal sums of one row: by token
        const int other = id[b * HDL_MAX_CANDIDATES + j];
        rank += other < token || (other == token && j < i);
    }
    for (int row = 0; row < n_rows && rank < enough; ++row)
        if (row != b)
            rank += count_before(logprob + row * HDL_MAX_CANDIDATES, work.n[row], work.sum[row], sum, row < b);
    return rank;
}

// Phase 1: the best 2K of all live rows, in order. `found` is -1 when a row's logits were not finite.
__device__ void gather(StepWork &work, const int32_t *id, const float *logprob, int n_rows)
{
    const int capacity = 2 * work.options.K;
    int total = 0;
    bool whole = true;
    for (int b = 0; b < n_rows; ++b) {
        whole = whole && work.n[b] >= 0;
        total += work.n[b];
    }
    if (threadIdx.x == 0) work.found = !whole ? -1 : total < capacity ? total : capacity;
    if (whole)
        for (int c = threadIdx.x; c < n_rows * capacity; c += kThreads) {
            const int b = c / capacity, i = c % capacity;
            if (i >= work.n[b]) continue;
            const int rank = find_rank(work, id, logprob, n_rows, b, i, capacity);
            if (rank >= capacity) continue;
            hdl_candidate &to = work.best[rank];
            to.logprob        = logprob[b * HDL_MAX_CANDIDATES + i];
            to.sum            = work.sum[b] + to.logprob;
            to.beam           = b;
            to.token          = id[b * HDL_MAX_CANDIDATES + i];
        }
    __syncthreads();
}

// Phase 2, by one thread, as hdl_beam_step_slot orders it. Returns whether there is a plan to write.
__device__ bool decide(StepWork &work, const hdl_slots &slots, hdl_finished *pool)
{
    const hdl_slot_options *o = &work.options;
    hdl_slot_state *s         = &work.state;
    if (hdl_in_hard_prefix(o, s->t)) {
        hdl_beam_force(o, s, slots.side, work.sum[0], pool, &work.plan);
    } else if (work.found < 0) {
        s->failed = 1;
        s->done   = 1;
        return false;
    } else if ((o->flags & HDL_SLOT_ALTERNATIVES) != 0) {
        hdl_beam_alternatives(o, s, slots.side, work.best, work.found, pool);
        s->done = 1;
        return false;
    } else {
        hdl_beam_decide(o, s, slots.side, work.best, work.found, pool, &work.plan);
    }
    return true;
}

// Phase 3 but for the state: tokens, parents, sums, and the paths of the beams that live on.
__device__ void write_history(const StepWork &work, const hdl_slots &slots, int slot, const hdl_history_layout &at)
{
    const hdl_slot_options *o = &work.options;
    uint8_t *history          = slots.history + slots.history_off[slot];
    const int t = work.state.t, n_live = work.plan.n_live;
    for (int b = threadIdx.x; b < n_live; b += kThreads) {
        const hdl_candidate &c = work.plan.live[b];
        const int64_t place    = static_cast<int64_t>(t) * o->K + b;
        reinterpret_cast<int32_t *>(history + at.tok)[place]   = c.token;
        reinterpret_cast<float *>(history + at.logprob)[place] = c.logprob;
        (history + at.parent)[place]                           = static_cast<uint8_t>(c.beam);
        slots.token[static_cast<int64_t>(slot) * HDL_MAX_BEAM + b] = c.token;
        slots.sum[static_cast<int64_t>(slot) * HDL_MAX_BEAM + b]   = c.sum;
    }
    const int length = t + 1;
    for (int i = threadIdx.x; i < n_live * length; i += kThreads) {
        const int b = i / length, q = i % length, parent = work.plan.live[b].beam;
        uint8_t *to = history + at.ancestor + (static_cast<int64_t>((t + 1) & 1) * o->K + b) * o->T;
        to[q]       = q < t ? hdl_ancestor_row(history, &at, o, t, parent)[q] : static_cast<uint8_t>(parent);
    }
}

template <class Record> __device__ void copy_words(Record *to, const Record *from)
{
    static_assert(sizeof(Record) % sizeof(int32_t) == 0, "records are copied word by word");
    for (size_t i = threadIdx.x; i < sizeof(Record) / sizeof(int32_t); i += kThreads)
        reinterpret_cast<int32_t *>(to)[i] = reinterpret_cast<const int32_t *>(from)[i];
}

__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
beam_step_kernel(const hdl_slots slots, const hdl_rows rows, const hdl_candidates in)
{
    size_t offset  = 0;
    StepWork &work = *smem_carve<StepWork>(offset, 1);
    const int g    = blockIdx.x;
    if (g >= *rows.n_groups) return;                 // whole blocks leave
    const int first = rows.group[g], slot = rows.slot[first];
    copy_words(&work.options, &slots.options[slot]);
    copy_words(&work.state, &slots.state[slot]);
    __syncthreads();
    if (work.state.done != 0) return;

    const int of_step = rows.group[g + 1] - first;
    const int n_rows  = work.state.n_live < of_step ? work.state.n_live : of_step;
    const size_t list = static_cast<size_t>(first) * HDL_MAX_CANDIDATES;
    for (int b = threadIdx.x; b < HDL_MAX_BEAM; b += kThreads) {
        work.sum[b] = slots.sum[static_cast<int64_t>(slot) * HDL_MAX_BEAM + b];
        work.n[b]   = b < n_rows ? in.n[first + b] : 0;
    }
    __syncthreads();
    if (!hdl_in_hard_prefix(&work.options, work.state.t)) gather(work, in.id + list, in.logprob + list, n_rows);

    const hdl_history_layout at = hdl_history_layout_of(&work.options);
    if (threadIdx.x == 0) {
        auto *pool = reinterpret_cast<hdl_finished *>(slots.history + slots.history_off[slot] + at.finished);
        work.write = decide(work, slots, pool);
    }
    __syncthreads();
    if (work.write && !work.plan.done) write_history(work, slots, slot, at);
    __syncthreads();                                 // the state's t is read above, moved on below
    if (threadIdx.x == 0) {
        hdl_slot_state *s = &work.state;
        if (work.write) {
            s->following = hdl_beam_following(&work.options, s, slots.side, &work.plan);
            s->n_live    = work.plan.n_live;
            s->t++;
            s->done = work.plan.done;
        }
        slots.state[slot] = *s;
    }
}

}  // namespace

hdl_status op_beam_step(hdl_backend_stream *stream, const hdl_beam_step_args *args)
{
    return launch(stream, "beam_step", listed<beam_step_kernel>, dim3(args->R), dim3(kThreads), smem_bytes<StepWork>(1),
                  *args->slots, *args->rows, args->in);
}

}  // namespace hdl
