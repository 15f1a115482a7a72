/* cache_cpu.c - writes key and value rows into pages: self pages as rows, source pages with keys transposed; bf16 pages round. */
#include "cpu/kernel_table.h"
#include "cpu/kv_pool.h"

#include <assert.h>
#include <string.h>

typedef void (*narrow_fn)(const float *from, int32_t n, uint16_t *to);

static void append_f32(const hdl_cache_append_args *args, float *page, int32_t place, const float *k, const float *v)
{
    const int64_t values = hdl__page_values(args->pool), D = args->D;
    for (int32_t h = 0; h < args->Hkv; h++, k += D, v += D) {
        float *head = page + hdl__page_head(args->pool, h);
        if (args->keys == HDL_KEYS_SELF_PAGES) memcpy(head + place * D, k, (size_t)D * sizeof *k);
        else for (int64_t d = 0; d < D; d++) head[d * HDL_PAGE_ROWS + place] = k[d];
        memcpy(head + values + place * D, v, (size_t)D * sizeof *v);
    }
}

static void append_bf16(const hdl_cache_append_args *args, narrow_fn narrow, uint16_t *page, int32_t place, const float *k,
                        const float *v)
{
    const int64_t values = hdl__page_values(args->pool), D = args->D;
    uint16_t key[HDL__MAX_D];
    for (int32_t h = 0; h < args->Hkv; h++, k += D, v += D) {
        uint16_t *head = page + hdl__page_head(args->pool, h);
        narrow(v, args->D, head + values + place * D);
        if (args->keys == HDL_KEYS_SELF_PAGES) {
            narrow(k, args->D, head + place * D);
            continue;
        }
        narrow(k, args->D, key);
        for (int64_t d = 0; d < D; d++) head[d * HDL_PAGE_ROWS + place] = key[d];
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
    const narrow_fn narrow = stream->device->kernels->ops.narrow;
    const bool bf16 = args->pool->desc.dtype == HDL_BF16;
    for (int32_t i = 0; i < rows->count[0]; i++) {
        if (!hdl__row_is_live(slots, rows, i)) continue;
        const int32_t slot = rows->slot[i], pos = rows->pos[i];
        const int64_t from = i * args->ldkv;
        const bool self = args->keys == HDL_KEYS_SELF_PAGES;
        const int32_t key_row = self ? pos * slots->options[slot].K + rows->beam[i] : pos;
        const int32_t *pages = self ? slots->self_pages + (int64_t)slot * slots->self_stride
                                    : slots->source_pages + (int64_t)slot * slots->source_stride;
        void *page = hdl__page_keys(args->pool, pages[key_row / HDL_PAGE_ROWS], args->layer);
        if (bf16) append_bf16(args, narrow, page, key_row % HDL_PAGE_ROWS, k + from, v + from);
        else append_f32(args, page, key_row % HDL_PAGE_ROWS, k + from, v + from);
    }
    return status;
}
