/*
 * test_attention_pages.c - decode attention over self and source pages against double: ancestors, mixed beams, done
 * slots, poisoned pages, probabilities, alignment rows; the same bits alone, in any bucket, under any schedule.
 */
#include "op_attention.h"
#include "op_maxima.h"

#include "base/half.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(attention, .timeout = OP_TEST_SECONDS);

enum { LAYERS = 2, LAYER = 1, T = 140, MAX_ROWS = 256, LDP = 200, PAD = 8, SEEDS = 8 };
enum { MANY_ROWS = 4096, FEW_ROWS = 132 };      /* buckets that share out the keys otherwise; FEW on the stand-in */

typedef struct page_row {
    int32_t D, H, Hkv, n;
    int32_t K[OP_MAX_SLOTS], pos[OP_MAX_SLOTS], S[OP_MAX_SLOTS];
    int32_t probs_first, probs_heads;
} page_row;

static const page_row table[] = {
    {64, 4, 4, 1, {1}, {0}, {1}, 0, 4},
    {64, 4, 4, 4, {1, 4, 2, 8}, {12, 5, 20, 3}, {12, 16, 17, 40}, 0, 4},
    {64, 8, 2, 3, {3, 64, 5}, {7, 11, 0}, {33, 65, 5}, 2, 1},
    {32, 8, 8, 3, {1, 4, 1}, {70, 66, 139}, {100, 64, 128}, 0, 8},
    {4, 2, 2, 4, {2, 2, 1, 4}, {4, 9, 31, 16}, {3, 9, 16, 30}, 0, 1},
    {40, 2, 1, 2, {2, 6}, {13, 2}, {21, 7}, 1, 1},
    {128, 2, 2, 2, {4, 1}, {15, 16}, {15, 160}, 0, 2},
    {256, 1, 1, 2, {2, 3}, {8, 9}, {5, 31}, 0, 1},
    {96, 2, 2, 1, {2}, {5}, {47}, 1, 1},
    {32, 20, 1, 1, {2}, {40}, {33}, 19, 1},                 /* more heads of a group than rows of a tile */
};

/* All keys and values ever written, by slot; and what reads them. */
typedef struct page_case {
    const page_row *row;
    op_slots        slots;
    hdl_kv_pool    *pool;
    hdl_dtype       pages;          /* what the pool holds */
    int32_t         E, Ekv, ld;     /* row stride of q and out: aligned to 16 bytes, or not */
    float          *self_k[OP_MAX_SLOTS], *self_v[OP_MAX_SLOTS];        /* f32 [T * K, Ekv] */
    float          *source_k[OP_MAX_SLOTS], *source_v[OP_MAX_SLOTS];    /* f32 [S, Ekv] */
} page_case;

/* Appends rows (slot, beam, pos) with the keys that belong there, or NaN. */
static void append(op_world *w, page_case *c, hdl_key_source keys, op_rows *rows, bool poison)
{
    const size_t Ekv = (size_t)c->Ekv, n = (size_t)rows->n * Ekv;
    float *k = op_copies(w, (size_t)rows->n * Ekv, NAN), *v = op_copies(w, (size_t)rows->n * Ekv, NAN);
    for (int32_t i = 0; i < rows->n && !poison; i++) {
        const int32_t s = rows->slot[i];
        const bool self = keys == HDL_KEYS_SELF_PAGES;
        const size_t from = (size_t)(self ? rows->pos[i] * c->slots.options[s].K + rows->beam[i] : rows->pos[i]) * Ekv;
        memcpy(k + (size_t)i * Ekv, (self ? c->self_k[s] : c->source_k[s]) + from, Ekv * sizeof(float));
        memcpy(v + (size_t)i * Ekv, (self ? c->self_v[s] : c->source_v[s]) + from, Ekv * sizeof(float));
    }
    op_rows_send(w, rows);
    const hdl_cache_append_args a = {
        sizeof a, keys, op_act(w, k, n), op_act(w, v, n), c->Ekv, c->pool, LAYER, &c->slots.at, &rows->at,
        rows->n, c->row->Hkv, c->row->D, w->act
    };
    cr_assert_eq(w->backend->cache_append(w->stream, &a), HDL_OK);
}

static uint8_t *ancestor_row(page_case *c, int32_t s, int32_t beam)
{
    const hdl_slot_options *o = &c->slots.options[s];
    const hdl_history_layout at = hdl_history_layout_of(o);
    return (uint8_t *)hdl_ancestor_row(c->slots.history + c->slots.history_off[s], &at, o, c->row->pos[s], beam);
}

/* Key row of position p on the path of a beam. */
static int32_t self_key_row(page_case *c, int32_t s, int32_t beam, int32_t p)
{
    return p * c->row->K[s] + (p < c->row->pos[s] ? ancestor_row(c, s, beam)[p] : beam);
}

/* Every key row is NaN, except those that some path or source uses; on the stand-in, for time, of source pages only. */
static void fill_pages(op_world *w, page_case *c)
{
    const page_row *row = c->row;
    op_rows nan_self = op_rows_make(w, OP_MAX_SLOTS * HDL_MAX_BEAM * T);
    op_rows nan_source = op_rows_make(w, OP_MAX_SLOTS * 256);
    op_rows self = op_rows_make(w, OP_MAX_SLOTS * HDL_MAX_BEAM * T), source = op_rows_make(w, OP_MAX_SLOTS * 256);
    for (int32_t s = 0; s < row->n; s++) {
        const int32_t K = row->K[s];
        for (int32_t p = 0; p < T; p++)
            for (int32_t b = 0; b < K; b++) op_row_add(&nan_self, s, b, p);
        for (int32_t p = 0; p < (row->S[s] + 15) / 16 * 16; p++) op_row_add(&nan_source, s, 0, p);
        for (int32_t p = 0; p < row->S[s]; p++) op_row_add(&source, s, 0, p);
        for (int32_t p = 0; p <= row->pos[s]; p++)
            for (int32_t key = p * K; key < (p + 1) * K; key++) {
                bool used = false;
                for (int32_t b = 0; b < K; b++) used = used || self_key_row(c, s, b, p) == key;
                if (used) op_row_add(&self, s, key - p * K, p);
            }
    }
    if (!op_on_simt(w)) append(w, c, HDL_KEYS_SELF_PAGES, &nan_self, true);
    append(w, c, HDL_KEYS_SELF_PAGES, &self, false);
    append(w, c, HDL_KEYS_SOURCE_PAGES, &nan_source, true);
    append(w, c, HDL_KEYS_SOURCE_PAGES, &source, false);
}

/* As pages hold them, so that a reference computes from what attention reads. */
static float *page_normals(op_world *w, const page_case *c, int32_t n)
{
    float *values = op_normals(w, (size_t)n);
    op_act_round(w, values, (size_t)n);
    for (int32_t i = 0; c->pages != w->act && i < n; i++) values[i] = hdl__f32_of_bf16(hdl__bf16_of_f32(values[i]));
    return values;
}

static void make_case(op_world *w, page_case *c, const page_row *row, hdl_dtype pages)
{
    memset(c, 0, sizeof *c);
    c->row = row;
    c->pages = pages;
    c->E = row->H * row->D;
    c->Ekv = row->Hkv * row->D;
    c->ld = c->E + (row->n == 2 ? 3 : PAD);
    c->slots.n = row->n;
    for (int32_t s = 0; s < row->n; s++) {
        c->slots.options[s] = op_options(row->K[s], T, row->S[s]);
        if (s % 2 == 1) c->slots.options[s].flags = HDL_SLOT_ALIGN;
        c->self_k[s] = page_normals(w, c, T * row->K[s] * c->Ekv);
        c->self_v[s] = page_normals(w, c, T * row->K[s] * c->Ekv);
        c->source_k[s] = page_normals(w, c, row->S[s] * c->Ekv);
        c->source_v[s] = page_normals(w, c, row->S[s] * c->Ekv);
    }
    const hdl_kv_pool_desc desc = {sizeof desc, op_slots_make(w, &c->slots, 100), LAYERS, row->Hkv, row->D, pages, 0};
    cr_assert_eq(w->backend->kv_pool_open(w->device, &desc, &c->pool), HDL_OK);
    for (int32_t s = 0; s < row->n; s++)
        for (int32_t b = 0; b < row->K[s]; b++)
            for (int32_t p = 0; p < row->pos[s]; p++) ancestor_row(c, s, b)[p] = (uint8_t)op_below(w, row->K[s]);
    op_slots_send(w, &c->slots);
    fill_pages(w, c);
}

/* The step's rows of slots first .. first + n, in a bucket of M rows, of which two past the count are looked at. */
static void run_step(op_world *w, page_case *c, hdl_key_source keys, float *q, int32_t first, int32_t n, int32_t M,
                     float *out, float *probs)
{
    const page_row *row = c->row;
    op_rows rows = op_rows_make(w, MAX_ROWS);
    int32_t skip = 0;
    for (int32_t s = 0; s < first; s++) skip += row->K[s];
    for (int32_t s = first; s < first + n; s++)
        for (int32_t b = 0; b < row->K[s]; b++) op_row_add(&rows, s, b, row->pos[s]);
    op_rows_send(w, &rows);
    const size_t shown = (size_t)rows.n + 2, ld = (size_t)c->ld;
    float *marks = op_copies(w, shown * (ld + LDP), 77.0f);
    hdl_attention_args a = {
        .struct_bytes = sizeof a, .keys = keys, .q = op_act(w, q + (size_t)skip * ld, (size_t)rows.n * ld),
        .ldq = c->ld, .out = op_act(w, marks, shown * ld), .ldo = c->ld, .M = M > 0 ? M : (int32_t)shown, .H = row->H,
        .Hkv = row->Hkv, .D = row->D, .scale = 1.0f / sqrtf((float)row->D), .pool = c->pool, .layer = LAYER,
        .slots = &c->slots.at, .rows = &rows.at, .probs = op_device(w, marks, shown * LDP * sizeof(float)), .ldp = LDP,
        .probs_first = row->probs_first, .probs_heads = row->probs_heads,
        .keep_alignment = keys == HDL_KEYS_SOURCE_PAGES,
        .act_dtype = w->act,
    };
    bool live[MAX_ROWS] = {false};
    for (int32_t i = 0; i < rows.n; i++) live[i] = c->slots.state[rows.slot[i]].done == 0;
    if (n > 1 || row->n == 1) a.out_max = op_maxima(w, (int32_t)shown);     /* a slot alone goes without */
    cr_assert_eq(w->backend->attention(w->stream, &a), HDL_OK);
    op_act_fetch(w, out, a.out, shown * ld);
    op_maxima_check(w, a.out_max, out, c->ld, c->E, (int32_t)shown, live, true);
    op_fetch(w, probs, a.probs, shown * LDP * sizeof(float));
}

static void set_query(page_case *c, op_query *query, hdl_key_source keys, const float *q, int32_t s, int32_t b,
                      int32_t h)
{
    const page_row *row = c->row;
    const int32_t kv = h / (row->H / row->Hkv) * row->D;
    const bool self = keys == HDL_KEYS_SELF_PAGES;
    query->q = q + h * row->D;
    query->D = row->D;
    query->scale = 1.0f / sqrtf((float)row->D);
    query->n_keys = self ? row->pos[s] + 1 : row->S[s];
    for (int32_t j = 0; j < query->n_keys; j++) {
        const int64_t at = (int64_t)(self ? self_key_row(c, s, b, j) : j) * c->Ekv + kv;
        query->k[j] = (self ? c->self_k[s] : c->source_k[s]) + at;
        query->v[j] = (self ? c->self_v[s] : c->source_v[s]) + at;
    }
}

/* The row's probabilities, and its alignment in the history. */
static void check_probs(page_case *c, hdl_key_source keys, const float *q, int32_t s, int32_t b, const float *probs)
{
    static op_query query;
    double mean[OP_MAX_KEYS] = {0}, one[OP_MAX_KEYS], unused[OP_MAX_D];
    for (int32_t h = 0; h < c->row->probs_heads; h++) {
        set_query(c, &query, keys, q, s, b, c->row->probs_first + h);
        op_attend_double(&query, unused, one);
        for (int32_t j = 0; j < query.n_keys; j++) mean[j] += one[j] / c->row->probs_heads;
    }
    cr_assert_lt(op_worst(probs, mean, LDP), 1e-6, "probabilities of slot %d beam %d", s, b);
    const hdl_slot_options *o = &c->slots.options[s];
    if (keys == HDL_KEYS_SELF_PAGES || (o->flags & HDL_SLOT_ALIGN) == 0) return;
    const hdl_history_layout at = hdl_history_layout_of(o);
    const float *align = (const float *)(const void *)(c->slots.history + c->slots.history_off[s] + at.align);
    align += ((int64_t)c->row->pos[s] * o->K + b) * o->S;
    cr_assert_lt(op_worst(align, mean, (size_t)o->S), 1e-6, "alignment of slot %d beam %d", s, b);
}

/* What a step gave, and other runs of it. */
typedef struct step_result { float *q, *out, *again, *probs, *others; size_t n; } step_result;

static step_result first_step(op_world *w, page_case *c, hdl_key_source keys)
{
    const size_t rows = MAX_ROWS * (size_t)c->ld, probs = MAX_ROWS * LDP * sizeof(float);
    step_result r = {.q = op_normals(w, rows), .out = op_host(w, rows * sizeof(float)), .probs = op_host(w, probs),
                     .again = op_host(w, rows * sizeof(float)), .others = op_host(w, probs)};
    run_step(w, c, keys, r.q, 0, c->row->n, 0, r.out, r.probs);
    for (int32_t s = 0; s < c->row->n; s++) r.n += (size_t)c->row->K[s] * (size_t)c->ld;
    return r;
}

/* The rows of a done slot are left alone, the others have the same bits. */
static void check_done_slot(op_world *w, page_case *c, hdl_key_source keys, const step_result *r)
{
    c->slots.state[0].done = 1;
    op_slots_send(w, &c->slots);
    run_step(w, c, keys, r->q, 0, c->row->n, 0, r->again, r->others);
    const size_t dead = (size_t)(c->row->K[0] * c->ld);
    for (size_t e = 0; e < dead; e++) cr_assert_eq(r->again[e], 77.0f, "a row of a done slot was written");
    cr_assert_eq(memcmp(r->again + dead, r->out + dead, (r->n - dead) * sizeof(float)), 0);
    c->slots.state[0].done = 0;
    op_slots_send(w, &c->slots);
}

static void check_keys(op_world *w, page_case *c, hdl_key_source keys)
{
    static op_query query;
    const page_row *row = c->row;
    const size_t ld = (size_t)c->ld;
    const int32_t bucket = op_on_simt(w) ? FEW_ROWS : MANY_ROWS;
    const step_result r = first_step(w, c, keys);
    op_attend_error error = {0.0, 0.0, 0.0};
    op_slots_fetch(w, &c->slots);
    size_t i = 0;
    for (int32_t s = 0; s < row->n; s++) {
        run_step(w, c, keys, r.q, s, 1, s % 2 == 0 ? bucket : 0, r.again, r.others);
        const size_t bytes = (size_t)row->K[s] * ld * sizeof(float);
        cr_assert_eq(memcmp(r.again, r.out + i * ld, bytes), 0, "slot %d has other bits alone", s);
        for (int32_t b = 0; b < row->K[s]; b++, i++) {
            for (int32_t h = 0; h < row->H; h++) {
                set_query(c, &query, keys, r.q + i * ld, s, b, h);
                op_attend_compare(w, &query, r.out + i * ld + h * row->D, &error);
            }
            check_probs(c, keys, r.q + i * ld, s, b, r.probs + i * LDP);
        }
    }
    cr_assert(op_attend_is_small(&error), "D %d: error %g, naive %g, noise %g", row->D, error.found, error.naive,
              error.noise);
    for (size_t e = 0; e < 2 * ld; e++) cr_assert_eq(r.out[i * ld + e], 77.0f, "a row past the count was written");
    check_done_slot(w, c, keys, &r);
}

static const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = MAX_ROWS, .Tk = 256, .H = 8, .D = 256};

/* pages: HDL_F32 stands for what the place's ops take; HDL_BF16 for pages of it under rows of f32. */
static void check_table(op_place place, hdl_dtype pages)
{
    static page_case c;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 200 + i)) return;
        op_reserve(&w, &limits);
        make_case(&w, &c, &table[i], pages == HDL_F32 ? w.act : pages);
        check_keys(&w, &c, HDL_KEYS_SELF_PAGES);
        check_keys(&w, &c, HDL_KEYS_SOURCE_PAGES);
        w.backend->kv_pool_close(c.pool);
        op_close(&w);
    }
}

Test(attention, pages_plain) { check_table(OP_PLAIN, HDL_F32); }
Test(attention, pages_avx2) { check_table(OP_AVX2, HDL_F32); }
Test(attention, pages_avx512) { check_table(OP_AVX512, HDL_F32); }
Test(attention, bf16_pages_plain) { check_table(OP_PLAIN, HDL_BF16); }
Test(attention, bf16_pages_avx2) { check_table(OP_AVX2, HDL_BF16); }
Test(attention, bf16_pages_avx512) { check_table(OP_AVX512, HDL_BF16); }
Test(attention, pages_simt_f32) { check_table(OP_SIMT_F32, HDL_F32); }
Test(attention, pages_simt_bf16) { check_table(OP_SIMT_BF16, HDL_F32); }
Test(attention, pages_simt_f16) { check_table(OP_SIMT_F16, HDL_F32); }
Test(attention, pages_cuda_f32) { check_table(OP_CUDA_F32, HDL_F32); }
Test(attention, pages_cuda_bf16) { check_table(OP_CUDA_BF16, HDL_F32); }
Test(attention, pages_cuda_f16) { check_table(OP_CUDA_F16, HDL_F32); }

/* Every kernel with eight orders of threads and blocks. */
static const page_row small_table[] = {
    {64, 2, 1, 2, {2, 3}, {35, 9}, {40, 12}, 0, 1},
    {128, 1, 1, 1, {2}, {33}, {17}, 0, 1},
};

static void check_schedules(op_place place)
{
    static page_case c;
    static const hdl_key_source sources[] = {HDL_KEYS_SELF_PAGES, HDL_KEYS_SOURCE_PAGES};
    for (size_t i = 0; i < sizeof small_table / sizeof *small_table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 250 + i)) return;
        op_reserve(&w, &limits);
        make_case(&w, &c, &small_table[i], w.act);
        for (size_t k = 0; k < sizeof sources / sizeof *sources; k++) {
            const step_result r = first_step(&w, &c, sources[k]);
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                op_schedule(&w, seed);
                if (k == 0) fill_pages(&w, &c);
                run_step(&w, &c, sources[k], r.q, 0, c.row->n, seed % 2 == 0 ? 100 : 0, r.again, r.others);
                cr_assert_eq(memcmp(r.again, r.out, r.n * sizeof(float)), 0, "other bits under schedule %d", (int)seed);
            }
        }
        w.backend->kv_pool_close(c.pool);
        op_close(&w);
    }
}

Test(attention, pages_schedules_f32) { check_schedules(OP_SIMT_F32); }
Test(attention, pages_schedules_bf16) { check_schedules(OP_SIMT_BF16); }
Test(attention, pages_schedules_f16) { check_schedules(OP_SIMT_F16); }

/* Attention of positions first .. first + n of slot 0 over their own past. */
static void run_positions(op_world *w, page_case *c, float *q, int32_t first, int32_t n, float *out)
{
    const size_t E = (size_t)c->E, size = (size_t)n * E;
    op_rows rows = op_rows_make(w, n);
    for (int32_t p = first; p < first + n; p++) op_row_add(&rows, 0, 0, p);
    op_rows_send(w, &rows);
    const hdl_attention_args a = {
        .struct_bytes = sizeof a, .keys = HDL_KEYS_SELF_PAGES, .q = op_act(w, q + (size_t)first * E, size), .ldq = c->E,
        .out = op_act(w, NULL, size), .ldo = c->E, .M = n, .H = c->row->H, .Hkv = c->row->Hkv, .D = c->row->D,
        .scale = 0.125f, .pool = c->pool, .layer = LAYER, .slots = &c->slots.at, .rows = &rows.at, .act_dtype = w->act,
    };
    cr_assert_eq(w->backend->attention(w->stream, &a), HDL_OK);
    op_act_fetch(w, out, a.out, size);
}

/* Several positions of one beam in one step (forced decoding) see what single steps would, to the bit. */
Test(attention, positions_of_one_slot)
{
    enum { POSITIONS = 40 };
    static page_case c;
    static op_query query;
    static const page_row row = {64, 2, 2, 1, {1}, {POSITIONS - 1}, {4}, 0, 2};
    for (op_place place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 300)) continue;
        op_reserve(&w, &limits);
        make_case(&w, &c, &row, w.act);
        const size_t E = (size_t)c.E;
        float *q = op_normals(&w, POSITIONS * E), out[POSITIONS * 128], alone[128];
        op_attend_error error = {0.0, 0.0, 0.0};
        run_positions(&w, &c, q, 0, POSITIONS, out);
        for (int32_t p = 0; p < POSITIONS; p++) {
            for (int32_t h = 0; h < 2; h++) {
                set_query(&c, &query, HDL_KEYS_SELF_PAGES, q + (size_t)p * E, 0, 0, h);
                query.n_keys = p + 1;
                op_attend_compare(&w, &query, out + (size_t)p * E + h * 64, &error);
            }
            if (p % 13 != 0) continue;
            run_positions(&w, &c, q, p, 1, alone);
            cr_assert_eq(memcmp(alone, out + (size_t)p * E, sizeof alone), 0, "position %d has other bits alone", p);
        }
        cr_assert(op_attend_is_small(&error));
        w.backend->kv_pool_close(c.pool);
        op_close(&w);
    }
}
