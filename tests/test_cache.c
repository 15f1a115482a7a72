/*
 * test_cache.c - the pool of pages: its size, that unused pages cost nothing, and where rows are written.
 *
 * The layout is looked at on the CPU; on every backend rows come back through attention that sees one key.
 */
#include "op_fixture.h"

#include "base/half.h"
#include "cpu/kv_pool.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(cache, .timeout = OP_TEST_SECONDS);

static size_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    fclose(file);
    return (size_t)resident * 4096;
}

Test(cache, untouched_pages_cost_nothing)
{
    op_world w;
    cr_assert(op_open(&w, HDL_ISA_PLAIN, 1));
    const hdl_kv_pool_desc desc = {sizeof desc, 4096, 6, 8, 64, HDL_F32, 0};
    hdl_kv_pool *pool = NULL;
    cr_assert_eq(w.backend->kv_pool_bytes(&desc), (size_t)4096 * 6 * 8 * 64 * 2 * 16 * 4);
    const size_t before = resident_bytes();
    cr_assert_eq(w.backend->kv_pool_open(w.device, &desc, &pool), HDL_OK);
    cr_assert_lt(resident_bytes(), before + (1 << 20));
    w.backend->kv_pool_close(pool);
    w.backend->kv_pool_close(NULL);
    op_close(&w);
}

Test(cache, a_pool_that_cannot_be_is_refused)
{
    for (op_place place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 1)) continue;
        const hdl_kv_pool_desc desc = {sizeof desc, INT32_MAX, INT32_MAX, INT32_MAX, 256, w.act, 0};
        hdl_kv_pool *pool = NULL;
        cr_assert_eq(w.backend->kv_pool_bytes(&desc), SIZE_MAX);
        cr_assert_eq(w.backend->kv_pool_open(w.device, &desc, &pool), HDL_ENOMEM);
        cr_assert_null(pool);
        /* a terabyte: pages on the CPU cost nothing until they are written */
        const hdl_kv_pool_desc large = {sizeof large, (1 << 26) - 1, 1, 1, 256, w.act, 0};
        if (!op_on_cpu(&w)) cr_assert_eq(w.backend->kv_pool_open(w.device, &large, &pool), HDL_ENOMEM);
        cr_assert_null(pool);
        op_close(&w);
    }
}

Test(cache, a_pool_is_as_large_as_it_says)
{
    for (op_place place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 1)) continue;
        const hdl_kv_pool_desc desc = {sizeof desc, 7, 6, 8, 64, w.act, 0};
        hdl_kv_pool *pool = NULL;
        cr_assert_eq(w.backend->kv_pool_bytes(&desc), op_act_bytes(&w, (size_t)7 * 6 * 8 * 64 * 2 * 16));
        cr_assert_eq(w.backend->kv_pool_open(w.device, &desc, &pool), HDL_OK);
        w.backend->kv_pool_close(pool);
        w.backend->kv_pool_close(NULL);
        op_close(&w);
    }
}

static int hook_calls;
static void *hook_alloc(size_t bytes, int kind, void *user)
{
    hook_calls += kind == 0 && user == &hook_calls;
    return malloc(bytes);
}
static void hook_free(void *block, size_t bytes, int kind, void *user)
{
    (void)bytes;
    hook_calls -= kind == 0 && user == &hook_calls;
    free(block);
}

Test(cache, hooks_serve_the_pool)
{
    op_world w;
    cr_assert(op_open(&w, HDL_ISA_PLAIN, 1));
    const hdl_memory_hooks hooks = {hook_alloc, hook_free, &hook_calls};
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.hooks = &hooks;
    hdl_backend_device *device = NULL;
    cr_assert_eq(w.backend->open(0, &options, NULL, &device), HDL_OK);
    const hdl_kv_pool_desc desc = {sizeof desc, 3, 1, 1, 4, HDL_F32, 0};
    hdl_kv_pool *pool = NULL;
    const int before = hook_calls;
    cr_assert_eq(w.backend->kv_pool_open(device, &desc, &pool), HDL_OK);
    cr_assert_eq(hook_calls, before + 1);
    cr_assert_eq(pool->base[0], 0);
    w.backend->kv_pool_close(pool);
    cr_assert_eq(hook_calls, before);
    w.backend->close(device);
    op_close(&w);
}

typedef struct cache_row { hdl_key_source keys; int32_t K, Hkv, D; hdl_dtype pages; } cache_row;

static const cache_row table[] = {
    {HDL_KEYS_SELF_PAGES, 1, 4, 64, HDL_F32},   {HDL_KEYS_SELF_PAGES, 4, 2, 4, HDL_F32},
    {HDL_KEYS_SELF_PAGES, 64, 1, 8, HDL_F32},   {HDL_KEYS_SOURCE_PAGES, 1, 4, 64, HDL_F32},
    {HDL_KEYS_SOURCE_PAGES, 5, 3, 4, HDL_F32},  {HDL_KEYS_SELF_PAGES, 1, 4, 64, HDL_BF16},
    {HDL_KEYS_SELF_PAGES, 4, 2, 4, HDL_BF16},   {HDL_KEYS_SELF_PAGES, 6, 1, 40, HDL_BF16},
    {HDL_KEYS_SOURCE_PAGES, 1, 4, 64, HDL_BF16}, {HDL_KEYS_SOURCE_PAGES, 5, 3, 4, HDL_BF16},
};

/* Where element d of head h of a key row lies, written out again from the layout's description. */
static float find_element(const hdl_kv_pool *pool, const cache_row *row, int32_t page, int32_t layer, int32_t place,
                          int32_t h, int32_t d, bool value)
{
    const int64_t head = 16 * row->D, half = row->Hkv * head;
    int64_t at = (page * 3 + layer) * 2 * half + (value ? half : 0) + h * head;
    at += row->keys == HDL_KEYS_SOURCE_PAGES && !value ? d * 16 + place : place * row->D + d;
    if (row->pages == HDL_F32) return ((const float *)(const void *)pool->base)[at];
    return hdl__f32_of_bf16(((const uint16_t *)(const void *)pool->base)[at]);
}

/* What a page holds of a number: bf16 keeps 8 bits, to nearest, ties to even. */
static float stored(const cache_row *row, float value)
{
    if (row->pages == HDL_F32 || value == 0.0f) return value;
    int exponent;
    const double bits = ldexp(frexp((double)value, &exponent), 8);
    return (float)ldexp(rint(bits), exponent - 8);
}

static void check_row(op_world *w, const cache_row *row)
{
    enum { T = 9, LAYER = 2, PAD = 3 };
    op_slots s = {.n = 2};
    s.options[0] = op_options(row->K, T, T);
    s.options[1] = op_options(row->K, T, T);
    s.state[1].done = 1;
    const hdl_kv_pool_desc desc = {sizeof desc, op_slots_make(w, &s, 10), 3, row->Hkv, row->D, row->pages, 0};
    hdl_kv_pool *pool = NULL;
    cr_assert_eq(w->backend->kv_pool_open(w->device, &desc, &pool), HDL_OK);
    op_slots_send(w, &s);
    op_rows rows = op_rows_make(w, 2 * T * HDL_MAX_BEAM);
    const bool self = row->keys == HDL_KEYS_SELF_PAGES;
    for (int32_t slot = 0; slot < 2; slot++)
        for (int32_t p = 0; p < T; p++)
            for (int32_t b = 0; b < (self ? row->K : 1); b++) op_row_add(&rows, slot, b, p);
    rows.n -= 1;        /* the last row is past the count */
    op_rows_send(w, &rows);
    const int64_t ld = row->Hkv * row->D + PAD;
    const size_t n = (size_t)(rows.n + 1) * (size_t)ld;
    float *k = op_normals(w, n), *v = op_normals(w, n);
    const hdl_cache_append_args a = {sizeof a, row->keys, op_device(w, k, n * sizeof *k), op_device(w, v, n * sizeof *v), ld,
                                     pool, LAYER, &s.at, &rows.at, rows.n + 1, row->Hkv, row->D, HDL_F32};
    cr_assert_eq(w->backend->cache_append(w->stream, &a), HDL_OK);
    size_t written = 0, touched = 0;
    for (int32_t i = 0; i < rows.n; i++) {
        if (rows.slot[i] != 0) continue;
        const int32_t key_row = self ? rows.pos[i] * row->K + rows.beam[i] : rows.pos[i];
        const int32_t page = (self ? s.self_pages : s.source_pages)[key_row / 16];
        for (int32_t h = 0; h < row->Hkv; h++)
            for (int32_t d = 0; d < row->D; d++, written += 2) {
                const int64_t at = i * ld + h * row->D + d;
                cr_assert_eq(find_element(pool, row, page, LAYER, key_row % 16, h, d, false), stored(row, k[at]));
                cr_assert_eq(find_element(pool, row, page, LAYER, key_row % 16, h, d, true), stored(row, v[at]));
            }
    }
    const size_t bytes = hdl_dtype_bytes(row->pages);
    for (size_t i = 0; i < pool->bytes; i += bytes) touched += memcmp(pool->base + i, (const uint8_t[4]){0}, bytes) != 0;
    cr_assert_eq(touched, written, "rows of done slots and rows past the count go nowhere");
    w->backend->kv_pool_close(pool);
}

Test(cache, rows_go_where_they_belong)
{
    static const hdl_isa isas[] = {HDL_ISA_PLAIN, HDL_ISA_AVX2, HDL_ISA_AVX512};
    for (size_t i = 0; i < 3 * sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open(&w, isas[i % 3], 10 + i)) continue;
        check_row(&w, &table[i / 3]);
        op_close(&w);
    }
}

enum { ROWS = 20, LAYERS = 3, LAST = 2, SCHEDULES = 8 };

/* A pool, one slot that lives and one that is done, and what was appended: f32 [ROWS, Hkv * D + pad] of each kind. */
typedef struct cache_case {
    op_slots     slots;
    hdl_kv_pool *pool;
    int32_t      Hkv, D;
    int64_t      ld;
    float       *k, *v;
} cache_case;

static void append_rows(op_world *w, cache_case *c, hdl_key_source keys, int32_t slot, float *k, float *v)
{
    const size_t n = ROWS * (size_t)c->ld;
    op_rows rows = op_rows_make(w, ROWS);
    for (int32_t p = 0; p < ROWS; p++) op_row_add(&rows, slot, 0, p);
    rows.n -= 1;        /* the last row is past the count */
    op_rows_send(w, &rows);
    const hdl_cache_append_args a = {sizeof a, keys, op_act(w, k, n), op_act(w, v, n), c->ld, c->pool, LAST,
                                     &c->slots.at, &rows.at, ROWS, c->Hkv, c->D, w->act};
    cr_assert_eq(w->backend->cache_append(w->stream, &a), HDL_OK);
}

/* What attention gives that sees one key is that key's value, to the bit. */
static void check_value(op_world *w, cache_case *c, int32_t position)
{
    const size_t E = (size_t)(c->Hkv * c->D);
    c->slots.options[0].S = position + 1;
    op_slots_send(w, &c->slots);
    op_rows rows = op_rows_make(w, 1);
    op_row_add(&rows, 0, 0, 0);
    op_rows_send(w, &rows);
    float *q = op_host(w, E * sizeof *q), *out = op_host(w, E * sizeof *out);
    for (size_t e = 0; e < E; e++) q[e] = c->k[(size_t)position * (size_t)c->ld + e];
    const hdl_attention_args a = {
        .struct_bytes = sizeof a, .keys = HDL_KEYS_SOURCE_PAGES, .q = op_act(w, q, E), .ldq = (int64_t)E,
        .out = op_act(w, NULL, E), .ldo = (int64_t)E, .M = 1, .H = c->Hkv, .Hkv = c->Hkv, .D = c->D, .scale = 100.0f,
        .pool = c->pool, .layer = LAST, .slots = &c->slots.at, .rows = &rows.at, .act_dtype = w->act,
    };
    cr_assert_eq(w->backend->attention(w->stream, &a), HDL_OK);
    op_act_fetch(w, out, a.out, E);
    for (size_t e = 0; e < E; e++)
        cr_assert_eq(out[e], c->v[(size_t)position * (size_t)c->ld + e], "element %zu of row %d", e, position);
}

/*
 * Keys are signs, so that a query that equals one of them sees, at this scale, no other. Rows of done slots and rows
 * past the count change nothing. Every `stride`-th row is looked at.
 */
static void check_pages(op_world *w, int32_t Hkv, int32_t D, int32_t pad, int32_t stride)
{
    cache_case c = {.slots = {.n = 2}, .Hkv = Hkv, .D = D, .ld = Hkv * D + pad};
    for (int32_t s = 0; s < 2; s++) c.slots.options[s] = op_options(1, ROWS, ROWS);
    const hdl_kv_pool_desc desc = {sizeof desc, op_slots_make(w, &c.slots, 10), LAYERS, Hkv, D, w->act, 0};
    cr_assert_eq(w->backend->kv_pool_open(w->device, &desc, &c.pool), HDL_OK);
    const size_t pages = (size_t)c.slots.source_stride;      /* both slots have the same */
    memcpy(c.slots.source_pages + pages, c.slots.source_pages, pages * sizeof(int32_t));
    c.slots.state[1].done = 1;
    op_slots_send(w, &c.slots);
    const size_t n = ROWS * (size_t)c.ld;
    c.k = op_host(w, n * sizeof(float));
    c.v = op_normals(w, n);
    for (size_t i = 0; i < n; i++) c.k[i] = op_below(w, 2) == 0 ? 1.0f : -1.0f;
    append_rows(w, &c, HDL_KEYS_SOURCE_PAGES, 0, c.k, c.v);
    append_rows(w, &c, HDL_KEYS_SOURCE_PAGES, 1, op_copies(w, n, NAN), op_copies(w, n, NAN));
    for (int32_t p = 0; p < ROWS - 1; p += stride) check_value(w, &c, p);
    w->backend->kv_pool_close(c.pool);
}

Test(cache, rows_come_back)
{
    for (op_place place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 40)) continue;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 64, .Tk = 64, .H = 4, .D = 64};
        op_reserve(&w, &limits);
        check_pages(&w, 2, 32, 8, 1);
        check_pages(&w, 1, 64, 3, 1);
        check_pages(&w, 1, 40, 0, 1);
        op_close(&w);
    }
}

/* With eight orders of threads and blocks, whole pieces and single elements. */
Test(cache, schedules)
{
    static const op_place places[] = {OP_SIMT_F32, OP_SIMT_BF16, OP_SIMT_F16};
    for (size_t i = 0; i < SCHEDULES * sizeof places / sizeof *places; i++) {
        op_world w;     /* a new one each time: it keeps all that was allocated */
        if (!op_open_at(&w, places[i / SCHEDULES], 41)) return;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 64, .Tk = 64, .H = 4, .D = 64};
        op_reserve(&w, &limits);
        op_schedule(&w, 1 + i % SCHEDULES);
        check_pages(&w, 1, 32, 8, ROWS - 2);
        check_pages(&w, 1, 32, 3, ROWS - 2);
        op_close(&w);
    }
}
