/*
 * attention_probs.cu - probabilities of a row over its keys, averaged over heads: for alignment and
 * for pictures.
 *
 * Contract   include/heddle/attention.h, hdl_attention(): probs, keep_alignment; the door has
 *            checked the heads.
 * Reference  host/cpu/attention_run.c; tests/test_attention.c, tests/test_attention_pages.c.
 * Source     Vaswani et al. 2017, eq. 1.
 * Mapping    A warp takes a row, a lane every 32nd key; heads one after another, so that a lane
 *            alone adds to its places. Scores are computed twice, for the sum and for the result:
 *            nothing is stored. Asked for in one layer only.
 * Numerics   f32 scores, in ascending order of d; probabilities are those before any rounding of
 *            the output.
 * Bound      Memory: keys of the asked heads, and 4 bytes a key written. 512 slots, 4 beams, S =
 *            30, 8 heads of 64 in bf16: 31 MB when read once, 7 us at 4.3 TB/s (H200); one layer of
 *            a step.
 */
#include "attention_paths.cuh"
#include "launch.cuh"
#include "online_softmax.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

constexpr int kRows = 4; // warps of a block

// Keys in pages.
template <class T> struct PageKeys {
    const PagedTask &a;
    const PagePath &path;

    __device__ __forceinline__ const T *key(int j, int head) const
    {
        const uint32_t row =
            find_key(a.pages, path, j) + static_cast<uint32_t>(head / a.group) * kHeadRows;
        return static_cast<const T *>(a.pages.base) + static_cast<size_t>(row) * a.pages.D;
    }
};

// Keys of a packed sequence.
template <class T> struct SequenceKeys {
    const PackedTask &a;
    int first;

    __device__ __forceinline__ const T *key(int j, int head) const
    {
        return static_cast<const T *>(a.k) + (first + j) * a.ldkv +
               static_cast<int64_t>(head / a.group) * a.D;
    }
};

constexpr int kQuad = 4; // D is a multiple of it

template <class T> __device__ __forceinline__ bool is_quad(const T *row)
{
    return reinterpret_cast<uintptr_t>(row) % (kQuad * sizeof(T)) == 0;
}

__device__ __forceinline__ void load_quad(const float *from, float (&to)[kQuad])
{
    load_vec(from, to);
}
template <class T> __device__ __forceinline__ void load_quad(const T *from, float (&to)[kQuad])
{
    const uint2 got = *reinterpret_cast<const uint2 *>(from);
    to[0] = low_half<T>(got.x), to[1] = high_half<T>(got.x);
    to[2] = low_half<T>(got.y), to[3] = high_half<T>(got.y);
}

template <class T>
__device__ __forceinline__ float score_key(const T *q, const T *key, int D, float scale)
{
    float score = 0.0f;
    if (!is_quad(q) || !is_quad(key)) {
        for (int d = 0; d < D; ++d)
            score = fmaf(widen(q[d]) * scale, widen(key[d]), score);
        return score;
    }
    for (int d = 0; d < D; d += kQuad) {
        float x[kQuad], k[kQuad];
        load_quad(q + d, x);
        load_quad(key + d, k);
#pragma unroll
        for (int i = 0; i < kQuad; ++i)
            score = fmaf(x[i] * scale, k[i], score);
    }
    return score;
}

// Greatest score and sum of exponentials of one head, the same in every lane.
template <class T, class Keys>
__device__ __forceinline__ Part<1> sum_head(const T *q, const Keys &keys, int head, int n_keys,
                                            int D, float scale)
{
    Part<1> part;
    part.clear();
    for (int j = threadIdx.x % kWarp; j < n_keys; j += kWarp) {
        const float score = score_key(q, keys.key(j, head), D, scale);
        part.raise(score);
        part.sum += exp2f(score - exponent_base(part.max));
    }
    const float max = warp_max(part.max);
    part.raise(max);
    part.sum = warp_sum(part.sum);
    return part;
}

// Row of `heads` queries at q, heads `task.first` on. `probs`, `align`: where the mean goes, or NULL.
template <class T, class Keys>
__device__ __forceinline__ void write_probs(const ProbsTask &task, const T *q, const Keys &keys,
                                            int n_keys, int D, float scale, float *probs,
                                            float *align)
{
    const int lane = threadIdx.x % kWarp;
    for (int64_t j = lane; probs != nullptr && j < task.ldp; j += kWarp)
        probs[j] = 0.0f;
    for (int j = lane; align != nullptr && j < n_keys; j += kWarp)
        align[j] = 0.0f;
    for (int head = task.first; head < task.first + task.heads; ++head) {
        const T *query     = q + static_cast<int64_t>(head) * D;
        const Part<1> part = sum_head(query, keys, head, n_keys, D, scale);
        const float factor = 1.0f / (part.sum * static_cast<float>(task.heads));
        for (int j = lane; j < n_keys; j += kWarp) {
            const float score = score_key(query, keys.key(j, head), D, scale);
            const float p     = exp2f(score - exponent_base(part.max)) * factor;
            if (probs != nullptr && j < task.ldp) probs[j] += p;
            if (align != nullptr) align[j] += p;
        }
    }
}

// The row's line of the history's alignment, or NULL when it keeps none.
__device__ __forceinline__ float *alignment_row(const PagedTask &a, int row, int slot)
{
    const hdl_slot_options *o = &a.slots.options[slot];
    if ((o->flags & HDL_SLOT_ALIGN) == 0) return nullptr;
    const hdl_history_layout at = hdl_history_layout_of(o);
    float *align =
        reinterpret_cast<float *>(a.slots.history + a.slots.history_off[slot] + at.align);
    return align + (static_cast<int64_t>(a.rows.pos[row]) * o->K + a.rows.beam[row]) * o->S;
}

template <class T>
__global__ void __launch_bounds__(kWarp * kRows)
    attention_probs_paged_kernel(const PagedTask a, const ProbsTask task)
{
    const int row = blockIdx.x * kRows + threadIdx.x / kWarp;
    if (row >= a.rows.count[0]) return;
    const int slot = a.rows.slot[row];
    if (a.slots.state[slot].done != 0) return;
    float *align = task.keep_alignment ? alignment_row(a, row, slot) : nullptr;
    float *probs = task.probs != nullptr ? task.probs + row * task.ldp : nullptr;
    if (align == nullptr && probs == nullptr) return;
    const PagePath path    = find_path(a, row, slot);
    const PageKeys<T> keys = {a, path};
    write_probs(task, static_cast<const T *>(a.q) + row * a.ldq, keys, path.n_keys, a.pages.D,
                a.scale, probs, align);
}

template <class T>
__global__ void __launch_bounds__(kWarp * kRows)
    attention_probs_packed_kernel(const PackedTask a, const ProbsTask task)
{
    const int row = blockIdx.x * kRows + threadIdx.x / kWarp;
    if (row < a.cu_q[0] || row >= a.cu_q[a.n_seq]) return;
    const int32_t *cu_q = a.cu_q;
    const int s         = find_last(a.n_seq, row, [cu_q](int i) { return cu_q[i]; });
    const int Tq = cu_q[s + 1] - cu_q[s], first_k = a.cu_k[s], Tk = a.cu_k[s + 1] - first_k;
    const int n_keys           = a.causal ? max(0, row - cu_q[s] + Tk - Tq + 1) : Tk;
    const SequenceKeys<T> keys = {a, first_k};
    write_probs(task, static_cast<const T *>(a.q) + row * a.ldq, keys, n_keys, a.D, a.scale,
                task.probs + row * task.ldp, nullptr);
}

dim3 row_blocks(int M) { return dim3(static_cast<unsigned>((M + kRows - 1) / kRows)); }

}  // namespace

hdl_status attention_probs_paged(hdl_backend_stream *stream, const PagedTask &task,
                                 const ProbsTask &probs, hdl_dtype dtype, int M)
{
    return launch(stream, "attention",
                  dtype == HDL_BF16  ? listed<attention_probs_paged_kernel<__nv_bfloat16>>
                  : dtype == HDL_F16 ? listed<attention_probs_paged_kernel<__half>>
                                     : listed<attention_probs_paged_kernel<float>>,
                  row_blocks(M), dim3(kWarp * kRows), 0, task, probs);
}

hdl_status attention_probs_packed(hdl_backend_stream *stream, const PackedTask &task,
                                  const ProbsTask &probs, hdl_dtype dtype, int M)
{
    return launch(stream, "attention",
                  dtype == HDL_BF16  ? listed<attention_probs_packed_kernel<__nv_bfloat16>>
                  : dtype == HDL_F16 ? listed<attention_probs_packed_kernel<__half>>
                                     : listed<attention_probs_packed_kernel<float>>,
                  row_blocks(M), dim3(kWarp * kRows), 0, task, probs);
}

}  // namespace hdl
