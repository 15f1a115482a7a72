/*
 * kv_pool.h - the bytes inside a page of the key/value pool of the CPU backend.
 *
 * page f32 or bf16 [n_layers][2][Hkv][16 * D]: of every layer the keys of all heads, then the values of all heads.
 * Values, and keys of self pages, are rows [16, D]: through the ancestor table a row reads single keys. Keys of
 * source pages are [D, 16]: all beams read whole pages, and a page's 16 scores are one register.
 */
#ifndef HEDDLE_HOST_KV_POOL_H
#define HEDDLE_HOST_KV_POOL_H

#include "cpu/cpu_backend.h"

struct hdl_kv_pool {
    hdl_backend_device *device;     /* whose hooks gave `base`, if it has hooks */
    hdl_kv_pool_desc    desc;
    uint8_t            *base;
    size_t              bytes;
    size_t              layer_bytes, page_bytes;
};

/* The keys of page `page`, layer `layer`, head 0; the values begin hdl__page_values elements later. */
static inline void *hdl__page_keys(const hdl_kv_pool *pool, int32_t page, int32_t layer)
{
    return pool->base + (size_t)page * pool->page_bytes + (size_t)layer * pool->layer_bytes;
}

static inline int64_t hdl__page_head(const hdl_kv_pool *pool, int32_t head)
{
    return (int64_t)head * HDL_PAGE_ROWS * pool->desc.D;
}

static inline int64_t hdl__page_values(const hdl_kv_pool *pool)
{
    return hdl__page_head(pool, pool->desc.Hkv);
}

#endif
