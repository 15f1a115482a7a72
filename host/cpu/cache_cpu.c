/* cache_cpu.c - writes key and value rows into pages: self pages as rows, source pages with keys transposed. */
#include "cpu/kv_pool.h"

#include <assert.h>
#include <string.h>

static void append_self(const hdl_cache_append_args *args, float *page, int32_t place, const float *k, const float *v)
{
    const size_t D = (size_t)args->D;
    for (int32_t h = 0; h < args->Hkv; h++) {
        float *key = page + hdl__page_head(args->pool, h) + (size_t)place * D;
        memcpy(key, k + (size_t)h * D, D * sizeof *k);
        memcpy(key + hdl__page_values(args->pool), v + (size_t)h * D, D * sizeof *v);
    }
}

static void append_source(const hdl_cache_append_args *args, float *page, int32_t place, const float *k, const float *v)
{
    const size_t D = (size_t)args->D;
    for (int32_t h = 0; h < args->Hkv; h++) {
        float *keys = page + hdl__page_head(args->pool, h);
        for (size_t d = 0; d < D; d++) keys[d * HDL_PAGE_ROWS + (size_t)place] = k[(size_t)h * D + d];
        memcpy(keys + hdl__page_values(args->pool) + (size_t)place * D, v + (size_t)h * D, D * sizeof *v);
    }
}

static hdl_status replay_cache_append(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_cache_append(stream, args);
}

hdl_status hdl__cpu_cache_append(hdl_backend_stream *stream, const hdl_cache_append_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_cache_append, args, sizeof *args, &status)) return status;
    assert(args->keys != HDL_KEYS_PACKED && args->Hkv == args->pool->desc.Hkv && args->D == args->pool->desc.D);
    const hdl_slots *slots = args->slots;
    const hdl_rows *rows = args->rows;
    const float *k = args->k, *v = args->v;
    for (int32_t i = 0; i < rows->count[0]; i++) {
        if (!hdl__row_is_live(slots, rows, i)) continue;
        const int32_t slot = rows->slot[i], pos = rows->pos[i];
        const int64_t from = i * args->ldkv;
        const bool self = args->keys == HDL_KEYS_SELF_PAGES;
        const int32_t key_row = self ? pos * slots->options[slot].K + rows->beam[i] : pos;
        const int32_t *pages = self ? slots->self_pages + (int64_t)slot * slots->self_stride
                                    : slots->source_pages + (int64_t)slot * slots->source_stride;
        float *page = hdl__page_keys(args->pool, pages[key_row / HDL_PAGE_ROWS], args->layer);
        const int32_t place = key_row % HDL_PAGE_ROWS;
        if (self) append_self(args, page, place, k + from, v + from);
        else append_source(args, page, place, k + from, v + from);
    }
    return status;
}
