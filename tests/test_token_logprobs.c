/* test_token_logprobs.c - forced scores against double: pad removed, blocks of rows, values that are not finite, compute types. */
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(token_logprobs, .timeout = OP_TEST_SECONDS);

typedef struct score_row { int32_t M, V, E, pad; bool bias; hdl_compute compute; double allowed; } score_row;

/*
 * allowed: f32 sums of E products; bf16 keeps 8 bits of a factor; int8 7 bits. Logits spread over about 4. Where hidden rows have 16
 * bits the reference reads what the op reads, and the sums are f32 again; so too where all products are int8 (op_int8_grid).
 */
static const score_row table[] = {
    {1, 3, 8, -1, false, HDL_COMPUTE_F32, 2e-6},       {5, 100, 64, 7, true, HDL_COMPUTE_F32, 3e-6},
    {64, 385, 32, 384, true, HDL_COMPUTE_F32, 3e-6},   {65, 8001, 64, 8000, true, HDL_COMPUTE_F32, 3e-6},
    {130, 1000, 256, 0, false, HDL_COMPUTE_F32, 5e-6}, {33, 1000, 64, 3, true, HDL_COMPUTE_BF16, 0.06},
    {33, 1000, 64, 3, true, HDL_COMPUTE_INT8, 0.12},
};

enum { SMALL_V = 1000, SMALL_M = 70 };      /* the largest that the stand-in runs in a moment */

typedef struct score_case { float *x, *weights, *bias; int32_t *ids; hdl_weight *w; } score_case;

static score_case make_case(op_world *w, const score_row *row)
{
    const size_t V = (size_t)row->V, E = (size_t)row->E;
    score_case c = {op_normals(w, (size_t)row->M * E), op_normals(w, V * E), op_normals(w, V), NULL, NULL};
    for (size_t i = 0; i < V * E; i++) c.weights[i] /= sqrtf((float)E);
    op_act_round(w, c.weights, V * E);
    op_int8_grid(w, c.x, row->M, row->E);
    op_int8_grid(w, c.weights, row->V, row->E);
    c.ids = op_host(w, (size_t)row->M * sizeof *c.ids);
    for (int32_t m = 0; m < row->M; m++) c.ids[m] = op_below(w, row->V);
    c.w = op_pack(w, c.weights, row->V, row->E, w->act == HDL_F32 ? row->compute : w->compute);
    return c;
}

static void run_case(op_world *w, const score_row *row, const score_case *c, int32_t first, int32_t M, float *out)
{
    const hdl_token_logprobs_args a = {
        sizeof a, op_act(w, c->x + first * row->E, (size_t)(M * row->E)), c->w,
        row->bias ? op_device(w, c->bias, (size_t)row->V * sizeof(float)) : NULL,
        op_device(w, c->ids + first, (size_t)M * sizeof(int32_t)), op_device(w, NULL, (size_t)M * sizeof(float)),
        M, row->V, row->E, row->pad, w->act, 0
    };
    cr_assert_eq(w->backend->token_logprobs(w->stream, &a), HDL_OK, "%s", op_error(w));
    op_fetch(w, out, a.logprob, (size_t)M * sizeof(float));
}

static double expected_logprob(const score_row *row, const score_case *c, int32_t m)
{
    double sum = 0.0, own = -INFINITY;
    for (int32_t v = 0; v < row->V; v++) {
        double z = row->bias ? (double)c->bias[v] : 0.0;
        for (int32_t e = 0; e < row->E; e++) z += (double)c->x[m * row->E + e] * (double)c->weights[v * row->E + e];
        if (v == row->pad) continue;
        sum += exp(z);
        if (v == c->ids[m]) own = z;
    }
    return own - log(sum);
}

static void check_row(op_world *w, const score_row *row)
{
    const score_case c = make_case(w, row);
    float found[130], alone[130];
    run_case(w, row, &c, 0, row->M, found);
    for (int32_t m = 0; m < row->M; m++) {
        const double expected = expected_logprob(row, &c, m);
        if (c.ids[m] == row->pad) cr_assert_eq(found[m], -INFINITY);
        else cr_assert_lt(fabs((double)found[m] - expected), row->allowed, "row %d: %.9g, not %.9g", m, (double)found[m], expected);
    }
    for (int32_t m = 0; m < row->M; m += 13) {
        run_case(w, row, &c, m, 1, alone);
        cr_assert_eq(memcmp(alone, found + m, sizeof(float)), 0, "row %d has other bits alone", m);
    }
    c.x[0] = NAN;
    run_case(w, row, &c, 0, row->M, alone);
    cr_assert(isnan(alone[0]));
    cr_assert_eq(memcmp(alone + 1, found + 1, (size_t)(row->M - 1) * sizeof(float)), 0, "one row's NaN reached another");
    w->backend->weight_close(c.w);
}

/* Rows of the table that a place takes: int8 is the CPU's, bf16 weights under f32 rows everyone's, large ones not the stand-in's. */
static bool takes(const op_world *w, const score_row *row)
{
    if (op_on_cpu(w)) return true;
    if (row->compute == HDL_COMPUTE_INT8 || (w->act != HDL_F32 && row->compute == HDL_COMPUTE_BF16)) return false;
    return !op_on_simt(w) || (row->V <= SMALL_V && row->M <= SMALL_M);
}

static void check_table(op_place place)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 1000 + i)) return;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 130, .K = 256, .N = 256, .V = 8001};
        op_reserve(&w, &limits);
        for (int seed = 1; takes(&w, &table[i]) && seed <= (op_on_simt(&w) && i == 0 ? 8 : 1); seed++) {
            op_schedule(&w, (uint64_t)seed);
            check_row(&w, &table[i]);
        }
        op_close(&w);
    }
}

enum { STEEP_V = 17001, STEEP_SHAPES = 6 }; /* chunks that are folded more than once; the last register is partial */

/* Logits that a sum of exponentials finds hard: rising, falling, equal, one far above, one at the front, a few infinitely low. */
static float steep_logit(int shape, int32_t v)
{
    const float slope = 400.0f / (float)STEEP_V;
    switch (shape) {
    case 0: return -200.0f + slope * (float)v;
    case 1: return 200.0f - slope * (float)v;
    case 2: return 3.5f;
    case 3: return v == 1507 ? 300.0f : -(float)(v % 7);
    case 4: return v == 0 ? 90.0f : 0.01f * (float)(v % 1000);
    default: return v % 3 == 0 ? -INFINITY : 25.0f * (float)(v % 64 == 63) - 1e-3f * (float)v;
    }
}

/* x is zero, so that the bias is the logits. */
static void check_steep(op_world *w, int shape)
{
    enum { E = 8, M = 3 };
    score_row row = {M, STEEP_V, E, -1, true, HDL_COMPUTE_F32, 0.0};
    score_case c = make_case(w, &row);
    float found[M];
    double top = -INFINITY, sum = 0.0;
    memset(c.x, 0, sizeof *c.x * M * E);
    for (int32_t v = 0; v < STEEP_V; v++) {
        c.bias[v] = steep_logit(shape, v);
        if ((double)c.bias[v] > top) top = (double)c.bias[v];
    }
    for (int32_t v = 0; v < STEEP_V; v++) sum += exp((double)c.bias[v] - top);
    run_case(w, &row, &c, 0, M, found);
    for (int32_t m = 0; m < M; m++) {
        const double expected = (double)c.bias[c.ids[m]] - top - log(sum);
        if (isinf(expected)) cr_assert_eq(found[m], -INFINITY, "shape %d", shape);
        else cr_assert_lt(fabs((double)found[m] - expected), 1e-6 + 1e-7 * fabs(expected), "shape %d: %.9g, not %.9g", shape,
                          (double)found[m], expected);
    }
    c.bias[STEEP_V - 1] = shape % 2 == 0 ? NAN : INFINITY;
    run_case(w, &row, &c, 0, M, found);
    for (int32_t m = 0; m < M; m++) cr_assert(isnan(found[m]), "shape %d: a logit that is not a number was missed", shape);
    w->backend->weight_close(c.w);
}

static void check_shapes(op_place place)
{
    for (int shape = 0; shape < STEEP_SHAPES; shape++) {
        op_world w;
        if (!op_open_at(&w, place, (uint64_t)(2000 + shape))) return;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 3, .K = 8, .N = 8, .V = STEEP_V};
        op_reserve(&w, &limits);
        check_steep(&w, shape);
        op_close(&w);
    }
}

Test(token_logprobs, steep_plain) { check_shapes(OP_PLAIN); }
Test(token_logprobs, steep_avx2) { check_shapes(OP_AVX2); }
Test(token_logprobs, steep_avx512) { check_shapes(OP_AVX512); }
Test(token_logprobs, plain) { check_table(OP_PLAIN); }
Test(token_logprobs, avx2) { check_table(OP_AVX2); }
Test(token_logprobs, avx512) { check_table(OP_AVX512); }
Test(token_logprobs, simt_f32) { check_table(OP_SIMT_F32); }
Test(token_logprobs, simt_bf16) { check_table(OP_SIMT_BF16); }
Test(token_logprobs, simt_f16) { check_table(OP_SIMT_F16); }
Test(token_logprobs, cuda_f32) { check_table(OP_CUDA_F32); }
Test(token_logprobs, cuda_bf16) { check_table(OP_CUDA_BF16); }
Test(token_logprobs, cuda_f16) { check_table(OP_CUDA_F16); }
Test(token_logprobs, simt_int8) { check_table(OP_SIMT_INT8); }
Test(token_logprobs, cpu_int8) { check_table(OP_CPU_INT8); }
Test(token_logprobs, cuda_int8) { check_table(OP_CUDA_INT8); }
