/* attention_cpu.c - attention of decode rows over self pages, through the ancestor table, and over source pages. */
#include "cpu/attention_run.h"
#include "cpu/kv_pool.h"

#include <heddle/detail/history.h>

#include <assert.h>
#include <string.h>

/* Where the keys of positions 0 .. pos of a row's path lie, head 0. */
static void find_self_keys(const hdl__attention_run *run, int32_t row)
{
    const hdl_attention_args *args = run->args;
    const hdl_slots *slots = args->slots;
    const int32_t slot = args->rows->slot[row], beam = args->rows->beam[row], pos = args->rows->pos[row];
    const hdl_slot_options *o = &slots->options[slot];
    const int32_t *pages = slots->self_pages + (int64_t)slot * slots->self_stride;
    const hdl_history_layout at = hdl_history_layout_of(o);
    const size_t row_bytes = (size_t)args->D * hdl_dtype_bytes(args->pool->desc.dtype);
    const uint8_t *ancestor = hdl_ancestor_row(slots->history + slots->history_off[slot], &at, o, pos, beam);
    for (int32_t p = 0; p <= pos; p++) {
        const int32_t writer = o->K == 1 ? 0 : p < pos ? ancestor[p] : beam;
        const int32_t key_row = p * o->K + writer;
        const uint8_t *page = hdl__page_keys(args->pool, pages[key_row / HDL_PAGE_ROWS], args->layer);
        run->keys[p] = page + (size_t)(key_row % HDL_PAGE_ROWS) * row_bytes;
    }
}

static hdl__query_block page_queries(const hdl__attention_run *run, bool blocks)
{
    const hdl_attention_args *args = run->args;
    hdl__query_block block = {.run = run, .blocks = blocks};
    block.attend = (hdl__attend){.D = args->D, .scale = args->scale, .k = run->keys, .v = run->keys, .ldv = args->D,
                                 .bf16 = args->pool->desc.dtype == HDL_BF16};
    return block;
}

/* The head whose keys the next query reads; all queries of a block that are not apart read the first one's. */
static void set_head(const hdl__attention_run *run, hdl__query_block *block, int32_t kv_head)
{
    block->attend.k_off[block->n] = hdl__page_head(run->args->pool, kv_head);
    block->attend.v_off[block->n] = block->attend.k_off[block->n] + hdl__page_values(run->args->pool);
}

/* The row's line of `probs`, zeroed, or NULL. */
static float *clear_probs(const hdl_attention_args *args, int32_t row)
{
    if (args->probs == NULL) return NULL;
    float *probs = args->probs + row * args->ldp;
    memset(probs, 0, (size_t)args->ldp * sizeof *probs);
    return probs;
}

static void attend_self(const hdl__attention_run *run, int32_t row)
{
    const hdl_attention_args *args = run->args;
    const int32_t group = args->H / args->Hkv, seen = args->rows->pos[row] + 1;
    float *probs = clear_probs(args, row);
    find_self_keys(run, row);
    hdl__query_block block = page_queries(run, false);
    block.attend.apart = group == 1;
    for (int32_t h = 0; h < args->Hkv; h++) {
        for (int32_t g = 0; g < group; g++) {
            set_head(run, &block, h);
            hdl__query_add(&block, &(hdl__query){row, h * group + g, seen, probs, NULL});
        }
        if (group > 1) hdl__query_flush(&block);
    }
    hdl__query_flush(&block);
}

/* The row's line of the history's alignment, or NULL when it keeps none. */
static float *alignment_row(const hdl_attention_args *args, int32_t row)
{
    const hdl_slots *slots = args->slots;
    const int32_t slot = args->rows->slot[row];
    const hdl_slot_options *o = &slots->options[slot];
    if (!args->keep_alignment || (o->flags & HDL_SLOT_ALIGN) == 0) return NULL;
    const hdl_history_layout at = hdl_history_layout_of(o);
    float *align = (float *)(void *)(slots->history + slots->history_off[slot] + at.align);
    return align + ((int64_t)args->rows->pos[row] * o->K + args->rows->beam[row]) * o->S;
}

/* All rows of a slot together: its keys are read once. */
static void attend_source(const hdl__attention_run *run, int32_t first, int32_t end)
{
    const hdl_attention_args *args = run->args;
    const hdl_slots *slots = args->slots;
    const int32_t slot = args->rows->slot[first], S = slots->options[slot].S, group = args->H / args->Hkv;
    const int32_t *pages = slots->source_pages + (int64_t)slot * slots->source_stride;
    for (int32_t i = 0; i * HDL_PAGE_ROWS < S; i++)
        run->keys[i] = hdl__page_keys(args->pool, pages[i], args->layer);
    for (int32_t row = first; row < end; row++) {
        float *align = alignment_row(args, row);
        if (align != NULL) memset(align, 0, (size_t)S * sizeof *align);
        clear_probs(args, row);
    }
    hdl__query_block block = page_queries(run, true);
    block.attend.apart = group == 1 && end - first == 1;
    for (int32_t h = 0; h < args->Hkv; h++) {
        for (int32_t row = first; row < end; row++) {
            float *probs = args->probs != NULL ? args->probs + row * args->ldp : NULL;
            float *align = alignment_row(args, row);
            for (int32_t g = 0; g < group; g++) {
                set_head(run, &block, h);
                hdl__query_add(&block, &(hdl__query){row, h * group + g, S, probs, align});
            }
        }
        if (!block.attend.apart) hdl__query_flush(&block);
    }
    hdl__query_flush(&block);
}

/* Keys of the longest row of the step. */
static int32_t longest_row(const hdl_attention_args *args)
{
    int32_t longest = 1;
    for (int32_t i = 0; i < args->rows->count[0]; i++) {
        const int32_t n = args->keys == HDL_KEYS_SELF_PAGES ? args->rows->pos[i] + 1
                                                            : args->slots->options[args->rows->slot[i]].S;
        if (n > longest) longest = n;
    }
    return longest;
}

static void attend_pages(hdl_backend_stream *stream, hdl__attention_run *run, size_t *used)
{
    const hdl_attention_args *args = run->args;
    const hdl_rows *rows = args->rows;
    assert(args->pool->desc.Hkv == args->Hkv && args->pool->desc.D == args->D);
    const size_t n_keys = hdl__round_keys(longest_row(args));
    run->keys = hdl__cpu_carve(stream, used, n_keys * sizeof *run->keys);
    if (args->probs != NULL || args->keep_alignment) {
        run->ld_scores = (int64_t)n_keys;
        run->scores = hdl__cpu_carve(stream, used, HDL__QUERY_BLOCK * n_keys * sizeof(float));
    }
    for (int32_t g = 0; g < rows->n_groups[0]; g++) {
        const int32_t first = rows->group[g], end = rows->group[g + 1];
        if (first == end || !hdl__row_is_live(args->slots, rows, first)) continue;
        if (args->keys == HDL_KEYS_SOURCE_PAGES) {
            attend_source(run, first, end);
            continue;
        }
        for (int32_t row = first; row < end; row++) attend_self(run, row);
    }
}

static hdl_status replay_attention(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_attention(stream, args);
}

hdl_status hdl__cpu_attention(hdl_backend_stream *stream, const hdl_attention_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_attention, args, sizeof *args, &status)) return status;
    assert(args->D % 4 == 0 && args->D <= HDL__MAX_D && args->H % args->Hkv == 0);
    hdl__attention_run run = {.args = args, .kernels = &stream->device->kernels->ops};
    size_t used = 0;
    if (args->keys == HDL_KEYS_PACKED) hdl__attend_packed(stream, &run, &used);
    else attend_pages(stream, &run, &used);
    return status;
}
