/*
 * attention_paths.cuh - where the keys of a row lie: on its beam's path through self pages, in
 * source pages, in a packed sequence.
 */
#pragma once
#include "attention.cuh"
#include "reduce.cuh"
#include <heddle/detail/history.h>

namespace hdl {

// The keys of one row of a step.
struct PagePath {
    const int32_t *pages;
    const uint8_t *ancestor; // self pages: who wrote each position; else NULL
    int n_keys, K, beam;
};

__device__ __forceinline__ PagePath find_path(const PagedTask &a, int row, int slot)
{
    const hdl_slot_options *o = &a.slots.options[slot];
    PagePath path             = {};
    if (a.source) {
        path.pages  = a.slots.source_pages + static_cast<int64_t>(slot) * a.slots.source_stride;
        path.n_keys = o->S;
        return path;
    }
    const int pos = a.rows.pos[row];
    path.pages    = a.slots.self_pages + static_cast<int64_t>(slot) * a.slots.self_stride;
    path.n_keys   = pos + 1;
    path.K        = o->K;
    path.beam     = a.rows.beam[row];
    const hdl_history_layout at = hdl_history_layout_of(o);
    path.ancestor =
        hdl_ancestor_row(a.slots.history + a.slots.history_off[slot], &at, o, pos, path.beam);
    return path;
}

// Row of key `j` < n_keys in the layer's pages, head 0.
__device__ __forceinline__ uint32_t find_key(const LayerPages &pages, const PagePath &path, int j)
{
    int key_row = j;
    if (path.ancestor != nullptr) {
        const int writer = path.K == 1 ? 0 : j < path.n_keys - 1 ? path.ancestor[j] : path.beam;
        key_row          = j * path.K + writer;
    }
    return key_row_at(pages, path.pages[key_row / kPageRows], key_row % kPageRows);
}

// Greatest s in [0, n) with first(s) <= target, for a first that ascends and first(0) <= target.
// All lanes of a warp ask together: 32 places a round.
template <class First> __device__ __forceinline__ int find_last(int n, int target, First first)
{
    int low = 0;
    while (n > 1) {
        const int step   = (n + kWarp - 1) / kWarp,
                  offset = static_cast<int>(threadIdx.x % kWarp) * step;
        const bool fits  = offset < n && first(low + offset) <= target;
        const int top    = kWarp - 1 - __clz(static_cast<int>(__ballot_sync(kAllLanes, fits)));
        low += top * step;
        n = min(step, n - top * step);
    }
    return low;
}

}  // namespace hdl
