/*
 * logit_edits.cu - which logits of a row are penalised or removed: repetition, n-grams, sequences, ends, unknown, pad.
 *
 * Contract   include/heddle/search.h, hdl_logit_edits(). edits.stride holds T + suppressed sequences + end ids + 2.
 * Reference  host/cpu/logit_edits_cpu.c; tests/test_logit_edits.c.
 * Source     Keskar et al. 2019, arXiv 1909.05858, section 4.1; Paulus et al. 2017, arXiv 1705.04304, section 2.5.
 *
 * Mapping    One warp a row. Entries are appended as they are found, at most one for each token of the path, then
 *            sorted where they lie (bitonic, ascending), and of equal tokens the strongest is kept.
 * Numerics   Integers.
 * Bound      n reads of the path, n ngram comparisons, n log^2 n / 32 steps of sorting; nothing but pad in the
 *            usual case.
 */
#include "launch.cuh"
#include "ops.cuh"
#include "reduce.cuh"

#include <heddle/detail/beam_step.h>

namespace hdl {
namespace {

constexpr int kRowsPerBlock = 4;
constexpr int kBlocksPerSm  = 8;                     // 64 registers a thread: fewer spill
constexpr int kKindBits     = 2;                     // an entry is token * 4 + kind

// The tokens of a row's hypothesis, found where the history keeps them.
struct Produced {
    const int32_t *tok;                              // i32 [T, K]
    const uint8_t *ancestor;                         // of this row's path
    int32_t        K, beam, n;

    // Token i: the key row of position i + 1 was made from it, by the beam that the ancestor table names.
    __device__ int32_t token(int32_t i) const
    {
        const int32_t from = i + 1 < n ? ancestor[i + 1] : beam;
        return tok[static_cast<int64_t>(i) * K + from];
    }
};

// The list of one row while it grows; every lane holds the same n.
struct EditList {
    int32_t *entries;
    int32_t  n;
    int      lane;

    // Each lane may add one entry; the lanes keep their order.
    __device__ void add(bool wanted, int32_t token, int32_t kind)
    {
        const unsigned all = __ballot_sync(kAllLanes, wanted), before = all & ((1u << lane) - 1u);
        const auto shifted = static_cast<int32_t>(static_cast<uint32_t>(token) << kKindBits);
        if (wanted) entries[n + __popc(before)] = shifted | kind;
        n += __popc(all);
    }
};

// Whether the ngram - 1 tokens before place i are those that the path ends with.
__device__ bool completes_ngram(const Produced &path, int32_t ngram, int32_t i)
{
    const int32_t head = ngram - 1;
    for (int32_t j = 0; j < head; ++j)
        if (path.token(i - head + j) != path.token(path.n - head + j)) return false;
    return true;
}

// One entry at most for each place of the path: removed if it would complete an n-gram, else penalised.
__device__ void edit_path(EditList &list, const Produced &path, const hdl_slot_options &o)
{
    const bool penalise = o.repetition_penalty != 1.0f && o.repetition_penalty > 0.0f;
    if (!penalise && o.ngram <= 0) return;
    for (int32_t i = list.lane; i - list.lane < path.n; i += kWarp) {
        const bool inside  = i < path.n;
        const bool removed = inside && o.ngram > 0 && i >= o.ngram - 1 && completes_ngram(path, o.ngram, i);
        list.add(inside && (removed || penalise), inside ? path.token(i) : 0,
                 removed ? HDL_EDIT_REMOVE : HDL_EDIT_PENALISE);
    }
}

// n times a length and as many tokens: the last one goes when the others have just been produced.
__device__ void edit_sequences(EditList &list, const Produced &path, const int32_t *sequences, int32_t n)
{
    for (int32_t s = 0; s < n; ++s) {
        const int32_t length = sequences[0], head = length - 1;
        const int32_t *tokens = sequences + 1;
        bool same             = head >= 0 && head <= path.n;
        for (int32_t j = 0; same && j < head; ++j) same = tokens[j] == path.token(path.n - head + j);
        list.add(same && list.lane == 0, same ? tokens[head] : 0, HDL_EDIT_REMOVE);
        sequences += 1 + length;
    }
}

__device__ void exchange(int32_t *entries, int32_t i, int32_t j, int32_t n)
{
    if (j >= n) return;                              // what lies past the end counts as greatest
    const int32_t a = entries[i], b = entries[j];
    if (a > b) entries[i] = b, entries[j] = a;
}

// Bitonic sort in place, every comparison ascending, so that a length that is no power of two needs no padding.
__device__ void sort_entries(int32_t *entries, int32_t n, int lane)
{
    for (int32_t size = 2; size / 2 < n; size *= 2) {
        const int32_t half = size / 2;
        for (int32_t i = lane; i / half * size < n; i += kWarp) {       // mirrored partners
            const int32_t low = i / half * size + i % half;
            exchange(entries, low, i / half * size + size - 1 - i % half, n);
        }
        __syncwarp();
        for (int32_t step = half / 2; step > 0; step /= 2) {
            for (int32_t i = lane; i / step * 2 * step < n; i += kWarp) {
                const int32_t low = i / step * 2 * step + i % step;
                exchange(entries, low, low + step, n);
            }
            __syncwarp();
        }
    }
}

// Of equal tokens the last, which has the strongest kind. Returns the new length.
__device__ int32_t keep_strongest(int32_t *entries, int32_t n, int lane)
{
    int32_t kept = 0;
    for (int32_t first = 0; first < n; first += kWarp) {
        const int32_t i     = first + lane;
        const int32_t entry = i < n ? entries[i] : 0;
        const bool last     = i < n && (i + 1 == n || entries[i + 1] >> kKindBits != entry >> kKindBits);
        const unsigned all  = __ballot_sync(kAllLanes, last);
        __syncwarp();                                // all have read before any writes
        if (last) entries[kept + __popc(all & ((1u << lane) - 1u))] = entry;
        kept += __popc(all);
        __syncwarp();
    }
    return kept;
}

__global__ void __launch_bounds__(kWarp *kRowsPerBlock, kBlocksPerSm)
logit_edits_kernel(const hdl_slots slots, const hdl_rows rows, const hdl_edits edits)
{
    const int row  = blockIdx.x * kRowsPerBlock + threadIdx.x / kWarp;
    const int lane = threadIdx.x % kWarp;
    if (row >= *rows.count) return;                  // whole warps leave
    const int32_t slot = rows.slot[row], pos = rows.pos[row], beam = rows.beam[row];
    if (slots.state[slot].done != 0) return;
    const hdl_slot_options &o = slots.options[slot];
    EditList list             = {edits.entries + static_cast<int64_t>(row) * edits.stride, 0, lane};
    if (!hdl_in_hard_prefix(&o, pos)) {
        const hdl_history_layout at = hdl_history_layout_of(&o);
        const uint8_t *history      = slots.history + slots.history_off[slot];
        const Produced path         = {reinterpret_cast<const int32_t *>(history + at.tok),
                                       hdl_ancestor_row(history, &at, &o, pos, beam), o.K, beam, pos};
        edit_path(list, path, o);
        if (pos < o.min_length)
            for (int32_t i = 0; i < o.n_end; ++i)
                list.add(lane == 0, slots.side[o.end_off + i], HDL_EDIT_REMOVE);
        edit_sequences(list, path, slots.side + o.suppress_off, o.n_suppress);
        list.add(lane == 0 && (o.flags & HDL_SLOT_NO_UNKNOWN) != 0 && o.unknown_id >= 0, o.unknown_id, HDL_EDIT_REMOVE);
        list.add(lane == 0 && o.pad_id >= 0, o.pad_id, HDL_EDIT_REMOVE);
        __syncwarp();
        sort_entries(list.entries, list.n, lane);
        list.n = keep_strongest(list.entries, list.n, lane);
    }
    if (lane == 0) edits.n[row] = list.n;
}

}  // namespace

hdl_status op_logit_edits(hdl_backend_stream *stream, const hdl_logit_edits_args *args)
{
    return launch(stream, "logit_edits", listed<logit_edits_kernel>, dim3((args->R + kRowsPerBlock - 1) / kRowsPerBlock),
                  dim3(kWarp * kRowsPerBlock), 0, *args->slots, *args->rows, args->edits);
}

}  // namespace hdl
