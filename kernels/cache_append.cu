/*
 * cache_append.cu - writes key and value rows of one layer into pages.
 *
 * Contract   include/heddle/attention.h, hdl_cache_append(); the door has checked sizes and
 *            strides.
 * Reference  host/cpu/cache_cpu.c; tests/test_cache.c, tests/test_attention_pages.c.
 * Source     Kwon et al. 2023, arXiv 2309.06180 (pages).
 * Mapping    A block takes a row, its threads pieces of all heads: 16 bytes where the rows'
 *            alignment lets them, else an element. The layout is in kv_pool.cuh.
 * Numerics   Copies: bf16 and f16 are 16 bits alike.
 * Bound      Memory: 2 Hkv D elements read and written per row. M = 2048, Hkv D = 512, bf16: 8 MB,
 *            2 us at 4.3 TB/s (H200).
 */
#include "kv_pool.cuh"
#include "launch.cuh"
#include "ops.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 128; // Hkv D = 1024 in bf16 is one piece each

struct AppendTask {
    const void *k, *v; // T [M, Hkv, D], row stride ldkv
    int64_t ldkv;
    LayerPages pages;
    hdl_slots slots;
    hdl_rows rows;
    int Hkv;
    bool self;
};

// Key row of a row's slot, and the page that has it.
__device__ __forceinline__ uint32_t target_row(const AppendTask &a, int row, int slot)
{
    const int pos = a.rows.pos[row];
    const int *pages;
    int key_row = pos;
    if (a.self) {
        key_row = pos * a.slots.options[slot].K + a.rows.beam[row];
        pages   = a.slots.self_pages + static_cast<int64_t>(slot) * a.slots.self_stride;
    } else {
        pages = a.slots.source_pages + static_cast<int64_t>(slot) * a.slots.source_stride;
    }
    return key_row_at(a.pages, pages[key_row / kPageRows], key_row % kPageRows);
}

// kPiece elements.
template <class T, int kPiece> __device__ __forceinline__ void copy_piece(T *to, const T *from)
{
    if (kPiece == 1)
        *to = *from;
    else
        *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(from);
}

template <class T, int kPiece>
__global__ void __launch_bounds__(kThreads) cache_append_kernel(const AppendTask a)
{
    const int row = blockIdx.x, D = a.pages.D, per_head = D / kPiece;
    if (row >= a.rows.count[0]) return;
    const int slot = a.rows.slot[row];
    if (a.slots.state[slot].done != 0) return;
    const uint32_t target = target_row(a, row, slot);
    const int place       = static_cast<int>(target % kPageRows);
    const bool fragments  = !a.self && a.pages.value_fragments;
    const T *k            = static_cast<const T *>(a.k) + row * a.ldkv,
            *v            = static_cast<const T *>(a.v) + row * a.ldkv;
    for (int i = threadIdx.x; i < a.Hkv * per_head; i += kThreads) {
        const int h = i / per_head, d = i % per_head * kPiece, from = h * D + d;
        T *key = static_cast<T *>(a.pages.base) +
                 static_cast<size_t>(target + static_cast<uint32_t>(h) * kHeadRows) * D;
        T *value = key + kPageRows * D;
        copy_piece<T, kPiece>(key + d, k + from);
        if (!fragments) {
            copy_piece<T, kPiece>(value + d, v + from);
            continue;
        }
        T *tile = value - place * D;
#pragma unroll
        for (int e = 0; e < kPiece; ++e)
            tile[value_fragment_at(place, d + e)] = v[from + e];
    }
}

template <class T> hdl_status append(hdl_backend_stream *stream, const AppendTask &task, int M)
{
    const bool vector = is_vector<T>(task.k, task.ldkv) && is_vector<T>(task.v, task.ldkv) &&
                        task.pages.D % kVec<T> == 0;
    return launch(stream, "cache_append",
                  vector ? listed<cache_append_kernel<T, kVec<T>>> : listed<cache_append_kernel<T, 1>>,
                  dim3(static_cast<unsigned>(M)), dim3(kThreads), 0, task);
}

}  // namespace

hdl_status op_cache_append(hdl_backend_stream *stream, const hdl_cache_append_args *args)
{
    AppendTask task = {};
    task.k          = args->k;
    task.v          = args->v;
    task.ldkv       = args->ldkv;
    task.pages      = layer_pages(args->pool, args->layer);
    task.slots      = *args->slots;
    task.rows       = *args->rows;
    task.Hkv        = args->Hkv;
    task.self       = args->keys == HDL_KEYS_SELF_PAGES;
    return args->act_dtype == HDL_F32 ? append<float>(stream, task, args->M)
                                      : append<uint16_t>(stream, task, args->M);
}

}  // namespace hdl
