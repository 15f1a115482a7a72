/* test_sampling.c - draws: the inverse of the cumulative distribution after top-k, temperature and top-p; frequencies; greedy. */
#include "op_fixture.h"

#include <heddle/detail/philox.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(sampling, .timeout = OP_TEST_SECONDS);

enum { E = 8, STRIDE = 32, DRAWS = 400 };

typedef struct draw_row { int32_t V, top_k; float top_p, temperature, bias; bool pad, ties; } draw_row;

static const draw_row table[] = {
    {5, 0, 1.0f, 1.0f, 0.0f, false, false},    {100, 0, 1.0f, 0.7f, 0.0f, true, false},    {100, 10, 1.0f, 1.0f, 0.0f, true, false},
    {385, 0, 0.8f, 1.0f, 0.0f, false, false},  {1000, 50, 0.9f, 1.5f, 0.0f, true, false},  {1000, 2000, 0.5f, 2.0f, 0.0f, true, false},
    {100, 1, 1.0f, 1.0f, 0.0f, true, false},   {100, 0, 1.0f, 0.0f, 0.0f, true, false},    {100, 20, 0.9f, 1.0f, 0.5f, true, false},
    {1000, 3, 1.0f, 1.0f, 0.125f, false, false},
    {100, 10, 1.0f, 1.0f, 0.0f, true, true}, {1000, 37, 0.9f, 1.0f, 0.0f, false, true}, {385, 0, 0.5f, 1.3f, 0.0f, true, true},
};

/* The known answers of the generator's authors for an all-zero and an all-one input. */
Test(sampling, philox_known_answers)
{
    static const uint32_t zero[4] = {0, 0, 0, 0}, ones[4] = {~0u, ~0u, ~0u, ~0u};
    static const uint32_t of_zero[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    static const uint32_t of_ones[4] = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
    uint32_t out[4];
    hdl_philox4x32(zero, 0, out);
    cr_assert_eq(memcmp(out, of_zero, sizeof out), 0);
    hdl_philox4x32(ones, ~(uint64_t)0, out);
    cr_assert_eq(memcmp(out, of_ones, sizeof out), 0);
}

/* Distribution of a row by the book. */
typedef struct draw_case {
    const draw_row *row;
    float          *x, *weights;
    double          logprob[1000];      /* reported: before temperature and cuts */
    double          p[1000];            /* what is drawn from, 0 where cut */
} draw_case;

static const double *sort_by;
static int compare_tokens(const void *a, const void *b)
{
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (sort_by[i] != sort_by[j]) return sort_by[i] > sort_by[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static void make_distribution(draw_case *c)
{
    const draw_row *row = c->row;
    double sum = 0.0, kept = 0.0, passed = 0.0;
    int32_t order[1000], n = 0;
    for (int32_t v = 0; v < row->V; v++) {
        c->logprob[v] = 0.0;
        for (int32_t e = 0; e < E; e++) c->logprob[v] += (double)c->x[e] * (double)c->weights[v * E + e];
        if (row->pad && v == 2) c->logprob[v] = -INFINITY;
        sum += exp(c->logprob[v]);
    }
    for (int32_t v = 0; v < row->V; v++) {
        c->logprob[v] -= log(sum);
        if (row->bias > 0.0f) c->logprob[v] = log((1.0 - (double)row->bias) * exp(c->logprob[v]) + (v == 1 ? (double)row->bias : 0.0));
        order[v] = v;
        c->p[v] = 0.0;
    }
    sort_by = c->logprob;
    qsort(order, (size_t)row->V, sizeof *order, compare_tokens);
    n = row->top_k > 0 && row->top_k < row->V ? row->top_k : row->V;
    if (row->temperature == 0.0f) n = 1;
    for (int32_t i = 0; i < n; i++)
        kept += c->p[order[i]] = row->temperature == 0.0f ? 1.0 : exp(c->logprob[order[i]] / (double)row->temperature);
    for (int32_t i = 0; i < n && row->top_p < 1.0f; i++) {
        if (passed >= (double)row->top_p * kept) c->p[order[i]] = 0.0;
        passed += c->p[order[i]];
    }
}

/* The token whose share holds u; -1 when u is too near a border for f32 to say. */
static int32_t expected_token(const draw_case *c, double u)
{
    double total = 0.0, passed = 0.0;
    for (int32_t v = 0; v < c->row->V; v++) total += c->p[v];
    for (int32_t v = 0; v < c->row->V; v++) {
        if (c->p[v] == 0.0) continue;
        const double before = passed / total, after = (passed += c->p[v]) / total;
        if (u >= before && u < after) return u - before < 1e-5 || after - u < 1e-5 ? -1 : v;
    }
    return -1;
}

static void set_slot(op_slots *s, const draw_row *row, int32_t slot)
{
    static const int32_t prefix[1] = {1};
    s->options[slot] = op_options(1, 16, 4);
    s->options[slot].flags = HDL_SLOT_SAMPLE;
    s->options[slot].top_k = row->top_k;
    s->options[slot].top_p = row->top_p;
    s->options[slot].temperature = row->temperature;
    s->options[slot].pad_id = row->pad ? 2 : -1;
    s->options[slot].prefix_bias = row->bias;
    s->options[slot].prefix_off = op_side(s, prefix, 1);
    s->options[slot].n_prefix = row->bias > 0.0f ? 1 : 0;
    s->options[slot].seed = 1234567890123u;
    s->state[slot].following = 1;
}

/* The stand-in draws a thousand times slower. */
static int32_t draws_of(const op_world *w) { return op_on_simt(w) ? DRAWS / 10 : DRAWS; }

/* Eight slots draw at once, DRAWS times; all share one distribution and differ by their draw number. */
static void draw_all(op_world *w, op_slots *s, const draw_case *c, hdl_weight *weight, int32_t *token, float *logprob)
{
    op_rows rows = op_rows_make(w, OP_MAX_SLOTS);
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) op_row_add(&rows, i, 0, 0);
    op_rows_send(w, &rows);
    float x[OP_MAX_SLOTS * E];
    for (int32_t i = 0; i < OP_MAX_SLOTS * E; i++) x[i] = c->x[i % E];
    const size_t list = OP_MAX_SLOTS * HDL_MAX_CANDIDATES;
    const hdl_edits edits = {op_device(w, NULL, OP_MAX_SLOTS * STRIDE * 4), op_device(w, NULL, OP_MAX_SLOTS * 4), STRIDE};
    const hdl_candidates out = {op_device(w, NULL, list * 4), op_device(w, NULL, list * 4), op_device(w, NULL, OP_MAX_SLOTS * 4)};
    const hdl_logit_edits_args e = {sizeof e, &s->at, &rows.at, edits, OP_MAX_SLOTS, 0};
    const hdl_logit_reduce_args r = {sizeof r, op_act(w, x, sizeof x / sizeof *x), weight, NULL, &s->at, &rows.at, edits, out,
                                     OP_MAX_SLOTS, c->row->V, E, w->act};
    int32_t id[OP_MAX_SLOTS * HDL_MAX_CANDIDATES], n[OP_MAX_SLOTS];
    float lp[OP_MAX_SLOTS * HDL_MAX_CANDIDATES];
    for (int32_t d = 0; d < draws_of(w); d += OP_MAX_SLOTS) {
        for (int32_t i = 0; i < OP_MAX_SLOTS; i++) s->options[i].draw = d + i;
        op_slots_send(w, s);
        cr_assert_eq(w->backend->logit_edits(w->stream, &e), HDL_OK);
        cr_assert_eq(w->backend->logit_reduce(w->stream, &r), HDL_OK);
        op_fetch(w, id, out.id, sizeof id);
        op_fetch(w, lp, out.logprob, sizeof lp);
        op_fetch(w, n, out.n, sizeof n);
        for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
            cr_assert_eq(n[i], 1);
            token[d + i] = id[i * HDL_MAX_CANDIDATES];
            logprob[d + i] = lp[i * HDL_MAX_CANDIDATES];
        }
    }
}

/* Slots of even number draw as one row says, the others as another of the same vocabulary. */
static void check_rows(op_world *w, const draw_row *even, const draw_row *odd)
{
    static draw_case c[2];
    op_slots s = {.n = OP_MAX_SLOTS};
    const int32_t V = even->V;
    float *x = op_normals(w, E), *weights = op_normals(w, (size_t)V * E);
    for (int32_t i = 0; even->ties && i < E; i++) x[i] = i == 0 ? 1.0f : 0.0f;
    for (int32_t i = 0; even->ties && i < V * E; i++) weights[i] = (float)op_below(w, 5) * 0.5f;
    op_act_round(w, x, E);
    op_act_round(w, weights, (size_t)(V * E));
    for (int32_t i = 0; i < 2; i++) {
        c[i].row = i == 0 ? even : odd;
        c[i].x = x;
        c[i].weights = weights;
        make_distribution(&c[i]);
    }
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) set_slot(&s, c[i % 2].row, i);
    op_slots_make(w, &s, V);
    hdl_weight *weight = op_pack(w, weights, V, E, w->compute);
    int32_t token[DRAWS], sure = 0;
    float logprob[DRAWS];
    draw_all(w, &s, &c[0], weight, token, logprob);
    for (int32_t d = 0; d < draws_of(w); d++) {
        const draw_case *own = &c[d % 2];
        const int32_t expected = expected_token(own, (double)hdl_uniform(1234567890123u, (uint32_t)d, 0));
        if (expected >= 0) cr_assert_eq(token[d], expected, "V %d, draw %d: token %d, not %d", V, d, token[d], expected);
        sure += expected >= 0;
        cr_assert_gt(own->p[token[d]], 0.0, "token %d was cut", token[d]);
        cr_assert_lt(fabs((double)logprob[d] - own->logprob[token[d]]), 1e-5, "token %d", token[d]);
    }
    cr_assert_gt(sure, draws_of(w) * 9 / 10, "only %d draws could be compared", sure);
    w->backend->weight_close(weight);
}

static void check_place(op_place place)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 1100 + 3 * i + (uint64_t)place % 3)) return;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = OP_MAX_SLOTS, .K = E, .N = E, .V = 1000};
        op_reserve(&w, &limits);
        check_rows(&w, &table[i], &table[i]);
        op_close(&w);
    }
}

Test(sampling, plain) { check_place(OP_PLAIN); }
Test(sampling, avx2) { check_place(OP_AVX2); }
Test(sampling, avx512) { check_place(OP_AVX512); }
Test(sampling, simt_f32, .timeout = 120) { check_place(OP_SIMT_F32); }
Test(sampling, simt_bf16, .timeout = 120) { check_place(OP_SIMT_BF16); }
Test(sampling, simt_f16, .timeout = 120) { check_place(OP_SIMT_F16); }
Test(sampling, cuda_f32) { check_place(OP_CUDA_F32); }
Test(sampling, cuda_bf16) { check_place(OP_CUDA_BF16); }
Test(sampling, cuda_f16) { check_place(OP_CUDA_F16); }

/* A device so small that four of eight rows may keep their logits: the others take a second round. */
static void check_small_device(const draw_row *even, const draw_row *odd)
{
    op_world w;
    setenv("SIMT_MEMORY", "4194304", 1);
    if (!op_open_at(&w, OP_SIMT_F32, 1200)) return;
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = OP_MAX_SLOTS, .K = E, .N = E, .V = 1000};
    op_reserve(&w, &limits);
    check_rows(&w, even, odd);
    op_close(&w);
}

static const draw_row drawing = {1000, 50, 0.9f, 1.5f, 0.0f, true, false}, greedy = {1000, 0, 1.0f, 0.0f, 0.0f, true, false};

Test(sampling, more_rows_draw_than_may_keep_their_logits, .timeout = 120) { check_small_device(&drawing, &drawing); }
Test(sampling, some_rows_draw_in_both_rounds, .timeout = 120) { check_small_device(&greedy, &drawing); }

/* Frequencies follow the probabilities: chi-squared over 5 tokens, 4 degrees of freedom, 99.99 % quantile 23.5. */
Test(sampling, frequencies)
{
    enum { N = 20000, TOKENS = 5 };
    double p[TOKENS] = {0.1, 0.2, 0.4, 0.05, 0.25}, chi = 0.0;
    int32_t seen[TOKENS] = {0};
    for (uint32_t i = 0; i < N; i++) {
        double u = (double)hdl_uniform(42, i / 100, i % 100);
        int32_t v = 0;
        while (v < TOKENS - 1 && u >= p[v]) u -= p[v++];
        seen[v]++;
    }
    for (int32_t v = 0; v < TOKENS; v++) chi += (seen[v] - N * p[v]) * (seen[v] - N * p[v]) / (N * p[v]);
    cr_assert_lt(chi, 23.5, "chi-squared %g", chi);
}
