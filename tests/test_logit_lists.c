/*
 * test_logit_lists.c - the best values of a row: exact order (value, then id) where ties, removals and short rows press on the list.
 *
 * Rows are patterns of small whole numbers, exact in every type, laid so that the best values fall together: all equal,
 * all in one lane's columns, all in the last panel, in reverse order. A slot of every beam width asks for each of them.
 */
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(logit_lists, .timeout = OP_TEST_SECONDS);

enum { PATTERNS = 12, E = 16, ROWS = OP_MAX_SLOTS * PATTERNS, STRIDE = 32, MAX_V = 700, WARP = 32, PANEL = 128, LEVELS = 200 };

static const int32_t widths[3][OP_MAX_SLOTS] = {
    {1, 2, 3, 4, 5, 7, 8, 9}, {15, 16, 17, 31, 32, 33, 63, 64}, {1, 4, 8, 15, 16, 17, 32, 64}};

/* Logit of token v in a row of the pattern; whole and at most 200, so that 8 bits of mantissa hold it. */
static float pattern_value(int32_t pattern, int32_t v, int32_t V)
{
    switch (pattern) {
    case 0: return 3.0f;                                                /* all equal */
    case 1: return (float)(v % LEVELS);                                 /* ascending */
    case 2: return (float)((V - v) % LEVELS);                           /* descending */
    case 3: return v == V / 2 ? 9.0f : 1.0f;                            /* one above equal ones */
    case 4: return v % WARP == 0 ? (float)(100 + v / WARP) : (float)(v % 64);       /* best ones in one lane */
    case 5: return (float)(v / WARP % 4);                               /* equal across a warp, best in its last columns */
    case 6: return (float)(v % 2);                                      /* two values */
    case 7: return v % 3 == 0 ? -0.0f : 0.0f;                           /* equal, though bits differ */
    case 8: return v >= V / PANEL * PANEL ? 50.0f : (float)(v % 16);    /* best ones in the last panel */
    case 9: return (float)(v * 37 % 97) - 90.0f;                        /* scattered, mostly negative */
    case 10: return v % 5 == 4 ? 100.0f : (float)-(v % 128);            /* a fifth of all equal and best */
    default: return (float)(v * 7919 % 23);                             /* scattered, many ties */
    }
}

typedef struct list_case {
    int32_t     V, n_removed;       /* the first n_removed tokens have the bias -infinity */
    op_slots    slots;
    op_rows     rows;
    float      *x, *weights, *bias;
    hdl_weight *w;
} list_case;

static void make_case(op_world *w, list_case *c, int32_t V, const int32_t *K, int32_t n_removed)
{
    memset(c, 0, sizeof *c);
    c->V = V;
    c->n_removed = n_removed;
    c->slots.n = OP_MAX_SLOTS;
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) c->slots.options[i] = op_options(K[i], 4, 4);
    op_slots_make(w, &c->slots, V);
    c->rows = op_rows_make(w, ROWS);
    c->x = op_host(w, ROWS * E * sizeof(float));
    c->weights = op_host(w, (size_t)V * E * sizeof(float));
    c->bias = op_host(w, (size_t)V * sizeof(float));
    for (int32_t i = 0; i < ROWS; i++) {
        op_row_add(&c->rows, i / PATTERNS, 0, 0);
        c->x[i * E + i % PATTERNS] = 1.0f;
    }
    for (int32_t v = 0; v < V; v++) {
        for (int32_t p = 0; p < PATTERNS; p++) c->weights[v * E + p] = pattern_value(p, v, V);
        c->bias[v] = v < n_removed ? -INFINITY : 0.0f;
    }
    op_rows_send(w, &c->rows);
    op_slots_send(w, &c->slots);
    c->w = op_pack(w, c->weights, V, E, w->compute);
}

typedef struct list_found {
    int32_t id[ROWS * HDL_MAX_CANDIDATES], n[ROWS];
    float   logprob[ROWS * HDL_MAX_CANDIDATES];
} list_found;

static void run_case(op_world *w, const list_case *c, list_found *out)
{
    memset(out, 0x55, sizeof *out);
    const hdl_edits edits = {op_device(w, NULL, ROWS * STRIDE * sizeof(int32_t)), op_device(w, NULL, ROWS * sizeof(int32_t)), STRIDE};
    const hdl_candidates candidates = {op_device(w, out->id, sizeof out->id), op_device(w, out->logprob, sizeof out->logprob),
                                       op_device(w, out->n, sizeof out->n)};
    const hdl_logit_reduce_args r = {sizeof r, op_act(w, c->x, ROWS * E), c->w, op_device(w, c->bias, (size_t)c->V * sizeof(float)),
                                     &c->slots.at, &c->rows.at, edits, candidates, ROWS, c->V, E, w->act};
    cr_assert_eq(w->backend->logit_reduce(w->stream, &r), HDL_OK, "%s", op_error(w));
    op_fetch(w, out->id, candidates.id, sizeof out->id);
    op_fetch(w, out->logprob, candidates.logprob, sizeof out->logprob);
    op_fetch(w, out->n, candidates.n, sizeof out->n);
}

static const double *sort_by;
static int compare_tokens(const void *a, const void *b)
{
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (sort_by[i] != sort_by[j]) return sort_by[i] > sort_by[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* NAN as the row's input: no candidates at all, for that row alone. */
static void check_row(const list_case *c, const list_found *found, int32_t row)
{
    static double z[MAX_V];
    static int32_t order[MAX_V];
    const int32_t pattern = row % PATTERNS, K = c->slots.options[row / PATTERNS].K, left = c->V - c->n_removed;
    double sum = 0.0;
    if (isnan(c->x[row * E + pattern])) {
        cr_assert_eq(found->n[row], -1, "row %d: a logit is not a number, %d candidates", row, found->n[row]);
        return;
    }
    for (int32_t v = 0; v < c->V; v++) {
        z[v] = (double)pattern_value(pattern, v, c->V) + (double)c->bias[v];
        if (v >= c->n_removed) order[v - c->n_removed] = v;
        sum += exp(z[v] - LEVELS);
    }
    sort_by = z;
    qsort(order, (size_t)left, sizeof *order, compare_tokens);
    const int32_t n = left < 2 * K ? left : 2 * K;
    cr_assert_eq(found->n[row], n, "V %d, K %d, pattern %d: %d candidates, not %d", c->V, K, pattern, found->n[row], n);
    for (int32_t i = 0; i < n; i++) {
        const int32_t token = found->id[row * HDL_MAX_CANDIDATES + i];
        const double expected = z[order[i]] - LEVELS - log(sum), own = (double)found->logprob[row * HDL_MAX_CANDIDATES + i];
        cr_assert_eq(token, order[i], "V %d, K %d, pattern %d, rank %d: token %d, not %d", c->V, K, pattern, i, token, order[i]);
        cr_assert_lt(fabs(own - expected), 1e-6 * (1.0 + fabs(expected)), "V %d, K %d, pattern %d, rank %d: %.9g, not %.9g", c->V, K,
                     pattern, i, own, expected);
    }
}

static void check_place(op_place place)
{
    static const struct { int32_t V, widths, n_removed; } table[] = {
        {2, 2, 0}, {100, 2, 0}, {129, 0, 0}, {300, 1, 0}, {300, 2, 128}, {MAX_V, 0, 130}, {MAX_V, 1, 690}};
    static list_case c;
    static list_found found;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 1700 + i)) return;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = ROWS, .K = E, .N = E, .V = MAX_V};
        op_reserve(&w, &limits);
        make_case(&w, &c, table[i].V, widths[table[i].widths], table[i].n_removed);
        if (i % 2 == 1) c.x[PATTERNS * E + 1 * E + 1] = NAN;    /* the second slot's ascending row */
        run_case(&w, &c, &found);
        for (int32_t row = 0; row < ROWS; row++) check_row(&c, &found, row);
        w.backend->weight_close(c.w);
        op_close(&w);
    }
}

Test(logit_lists, plain) { check_place(OP_PLAIN); }
Test(logit_lists, avx2) { check_place(OP_AVX2); }
Test(logit_lists, avx512) { check_place(OP_AVX512); }
Test(logit_lists, simt_f32, .timeout = 120) { check_place(OP_SIMT_F32); }
Test(logit_lists, simt_bf16, .timeout = 120) { check_place(OP_SIMT_BF16); }
Test(logit_lists, simt_f16, .timeout = 120) { check_place(OP_SIMT_F16); }
Test(logit_lists, cuda_f32) { check_place(OP_CUDA_F32); }
Test(logit_lists, cuda_bf16) { check_place(OP_CUDA_BF16); }
Test(logit_lists, cuda_f16) { check_place(OP_CUDA_F16); }

/* Eight orders of threads and blocks over one panel: the same bits. */
Test(logit_lists, every_schedule_gives_the_same_bits, .timeout = 120)
{
    static list_case c;
    static list_found first, again;
    for (int place = OP_SIMT_F32; place <= OP_SIMT_F16; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, 1750)) continue;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = ROWS, .K = E, .N = E, .V = 100};
        op_reserve(&w, &limits);
        make_case(&w, &c, 100, widths[2], 0);
        for (uint64_t seed = 1; seed <= 8; seed++) {
            op_schedule(&w, seed);
            run_case(&w, &c, seed == 1 ? &first : &again);
            cr_assert(seed == 1 || memcmp(&first, &again, sizeof first) == 0, "%s: schedule %d", op_place_name(w.place), (int)seed);
        }
        for (int32_t row = 0; row < ROWS; row++) check_row(&c, &first, row);
        w.backend->weight_close(c.w);
        op_close(&w);
    }
}
