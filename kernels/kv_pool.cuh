/*
 * kv_pool.cuh - the bytes inside a page of the key/value pool of the CUDA backend.
 *
 * page T [n_layers][Hkv][2][16 * D], T as the pool's dtype: of every layer and head 16 keys, then
 * 16 values, so that a reader of one head streams one piece. Keys are rows [16, D]. So are values,
 * but for source pages of 16-bit types with D = 32, 64, 96 or 128: those are read whole, by tensor
 * cores, and lie as mma.m16n8k16 wants its B operand (value_fragment_at), so that no reader turns
 * them. Page 0 is nobody's: padding rows point at it.
 */
#pragma once
#include "cuda_backend.cuh"

struct hdl_kv_pool {
    hdl_backend_device *device;
    hdl_kv_pool_desc desc;
    void *base;
    size_t bytes;
};

namespace hdl {

constexpr int kPageRows     = HDL_PAGE_ROWS;
constexpr int kFragmentDims = 32;  // four lanes of a group hold 8 elements each
constexpr int kFragmentMost = 128; // past it a warp's registers cannot hold queries and output

// One layer of a pool, as kernels see it. Rows are counted in D elements from `base`.
struct LayerPages {
    void *base;         // T, keys of head 0 of page 0 of the layer
    uint32_t page_rows; // rows from one page to the next
    int D;
    bool value_fragments; // of source pages
};

// Whether values of source pages lie as fragments.
inline bool has_value_fragments(hdl_dtype dtype, int D)
{
    return (dtype == HDL_BF16 || dtype == HDL_F16) && D % kFragmentDims == 0 && D <= kFragmentMost;
}

// Rows of one head of one layer of a page: its keys, its values.
constexpr uint32_t kHeadRows = 2 * kPageRows;

inline LayerPages layer_pages(const hdl_kv_pool *pool, int layer)
{
    const hdl_kv_pool_desc &desc = pool->desc;
    const uint32_t layer_rows    = static_cast<uint32_t>(desc.Hkv) * kHeadRows;
    const size_t element         = desc.dtype == HDL_F32 ? sizeof(float) : sizeof(uint16_t);
    LayerPages pages             = {};
    pages.base                   = static_cast<unsigned char *>(pool->base) +
                 static_cast<size_t>(layer) * layer_rows * static_cast<size_t>(desc.D) * element;
    pages.page_rows       = static_cast<uint32_t>(desc.n_layers) * layer_rows;
    pages.D               = desc.D;
    pages.value_fragments = has_value_fragments(desc.dtype, desc.D);
    return pages;
}

// Row of the key at `place` of a page, head 0; the value's row is kPageRows further, the next head's kHeadRows.
__device__ __forceinline__ uint32_t key_row_at(const LayerPages &pages, int page, int place)
{
    return static_cast<uint32_t>(page) * pages.page_rows + static_cast<uint32_t>(place);
}

// Element of a fragment-ordered 16 x D value tile that holds column `d` of key `place`. Lane (g, t) of a warp finds the
// values of column 8n + g and keys 2t, 2t + 1, 2t + 8, 2t + 9 side by side, and those of n + 1 behind them: 16 bytes.
__host__ __device__ constexpr int value_fragment_at(int place, int d)
{
    const int n = d / 8, g = d % 8, t = place % 8 / 2;
    return ((n / 2 * 8 + g) * 4 + t) * 8 + n % 2 * 4 + place / 8 * 2 + place % 2;
}

}  // namespace hdl
