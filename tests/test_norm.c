/* test_norm.c - residual add and both norms against double on every backend: widths, offsets, aliases, live rows. */
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(norm, .timeout = OP_TEST_SECONDS);

enum { M = 5, LIVE = 3, SCHEDULES = 8 };

static const float MARK = 55.0f;    /* what a row that is left alone keeps; exact in bf16 and f16 */

typedef struct norm_row {
    int32_t       E;
    hdl_norm_kind kind;
    bool          residual, beta, sum;
    float         offset;       /* added to every value: a variance taken as E[x^2] - E[x]^2 would lose it */
    float         spread;
} norm_row;

static const norm_row table[] = {
    {1, HDL_NORM_LAYER, false, true, false, 0.0f, 1.0f},   {3, HDL_NORM_LAYER, true, true, true, 0.0f, 1.0f},
    {8, HDL_NORM_RMS, true, false, false, 0.0f, 1.0f},     {17, HDL_NORM_LAYER, true, false, true, 2.0f, 1.0f},
    {64, HDL_NORM_LAYER, false, true, true, 0.0f, 1.0f},   {100, HDL_NORM_RMS, false, true, true, 1.0f, 1.0f},
    {256, HDL_NORM_LAYER, true, true, true, 0.0f, 1.0f},   {256, HDL_NORM_LAYER, true, true, false, 200.0f, 1.0f},
    {512, HDL_NORM_RMS, true, false, true, 0.0f, 1e-4f},   {701, HDL_NORM_RMS, true, true, true, 0.0f, 1.0f},
    {768, HDL_NORM_LAYER, true, true, false, 0.0f, 1.0f},  {1024, HDL_NORM_LAYER, true, true, true, -50.0f, 3.0f},
    {4096, HDL_NORM_LAYER, true, true, true, 0.0f, 1e3f},  {16384, HDL_NORM_LAYER, true, true, false, 0.5f, 1.0f},
};

typedef struct norm_data { float *x, *residual, *gamma, *beta; } norm_data;

/* One row in type `real`: double is the reference, float the naive computation that bounds the error. */
static void norm_double(const norm_row *row, const norm_data *data, int32_t i, double *y)
{
    const int32_t E = row->E;
    double mean = 0.0, variance = 0.0;
    for (int32_t e = 0; e < E; e++) {
        y[e] = (double)data->x[i * E + e] + (row->residual ? (double)data->residual[i * E + e] : 0.0);
        mean += y[e] / E;
    }
    if (row->kind == HDL_NORM_RMS) mean = 0.0;
    for (int32_t e = 0; e < E; e++) variance += (y[e] - mean) * (y[e] - mean) / E;
    for (int32_t e = 0; e < E; e++)
        y[e] = (y[e] - mean) / sqrt(variance + (double)1e-6f) * (double)data->gamma[e] + (row->beta ? (double)data->beta[e] : 0.0);
}

static void norm_float(const norm_row *row, const norm_data *data, int32_t i, float *y)
{
    const int32_t E = row->E;
    float mean = 0.0f, variance = 0.0f;
    for (int32_t e = 0; e < E; e++) {
        y[e] = data->x[i * E + e] + (row->residual ? data->residual[i * E + e] : 0.0f);
        mean += y[e];
    }
    mean = row->kind == HDL_NORM_RMS ? 0.0f : mean / (float)E;
    for (int32_t e = 0; e < E; e++) variance += (y[e] - mean) * (y[e] - mean);
    for (int32_t e = 0; e < E; e++)
        y[e] = (y[e] - mean) / sqrtf(variance / (float)E + 1e-6f) * data->gamma[e] + (row->beta ? data->beta[e] : 0.0f);
}

/* The call as `alias` says: 0 nothing shared, 1 y is x, 2 y is the residual and the sum is x. Maxima are asked for but with 1. */
static void run_norm(op_world *w, const norm_row *row, norm_data *data, int alias, float *y, float *sum)
{
    const int32_t live = LIVE;
    const size_t n = (size_t)(M * row->E), row_bytes = (size_t)row->E * sizeof(float);
    float *marks = op_copies(w, n, MARK);
    void *x = op_act(w, data->x, n), *residual = op_act(w, data->residual, n);
    hdl_norm_args a = {
        .struct_bytes = sizeof a, .x = x, .residual = row->residual ? residual : NULL,
        .gamma = op_device(w, data->gamma, row_bytes), .beta = row->beta ? op_device(w, data->beta, row_bytes) : NULL,
        .y = op_act(w, marks, n), .sum = row->sum ? op_act(w, marks, n) : NULL,
        .count = op_device(w, &live, sizeof live), .M = M, .E = row->E, .eps = 1e-6f, .kind = row->kind,
        .act_dtype = w->act, .y_max = alias != 1 ? op_maxima(w, M) : NULL,
    };
    const bool is_live[M] = {true, true, true};
    if (alias == 1) a.y = x;
    if (alias == 2) a.y = residual;
    if (alias == 2 && row->sum) a.sum = x;
    cr_assert_eq(w->backend->norm(w->stream, &a), HDL_OK);
    op_act_fetch(w, y, a.y, n);
    op_maxima_check(w, a.y_max, y, row->E, row->E, M, is_live, false);
    if (row->sum) op_act_fetch(w, sum, a.sum, n);
}

static void check_row(op_world *w, const norm_row *row)
{
    const size_t n = (size_t)(M * row->E), live = (size_t)(LIVE * row->E) * sizeof(float);
    norm_data data = {op_normals(w, n), op_normals(w, n), op_normals(w, (size_t)row->E), op_normals(w, (size_t)row->E)};
    for (size_t i = 0; i < n; i++) {
        data.x[i] = data.x[i] * row->spread + row->offset;
        data.residual[i] *= row->spread;
    }
    float *y = op_host(w, n * sizeof *y), *other = op_host(w, n * sizeof *y), *sum = op_host(w, n * sizeof *y);
    const size_t m = (size_t)(LIVE * row->E);
    double *expected = op_host(w, m * sizeof *expected);
    float *naive = op_host(w, m * sizeof *naive);
    run_norm(w, row, &data, 0, y, sum);
    for (int32_t i = 0; i < LIVE; i++) {
        norm_double(row, &data, i, expected + i * row->E);
        norm_float(row, &data, i, naive + i * row->E);
    }
    const double found = op_worst(y, expected, m), bound = op_bound(w, naive, expected, m);
    cr_assert_leq(found, bound, "E %d: %g off, allowed %g", row->E, found, bound);
    for (size_t e = 0; row->sum && e < m; e++) {
        float whole = row->residual ? data.x[e] + data.residual[e] : data.x[e];
        op_act_round(w, &whole, 1);
        cr_assert_eq(sum[e], whole);
    }
    for (size_t i = live / sizeof(float); i < n; i++) cr_assert_eq(y[i], MARK, "a row past the count was written");
    for (int alias = 1; alias < 3; alias++) {
        run_norm(w, row, &data, alias, other, sum);
        cr_assert_eq(memcmp(other, y, live), 0, "E %d: alias %d changes bits", row->E, alias);
    }
}

static void check_table(op_place place)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open_at(&w, place, 400 + i)) return;
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) && table[i].E <= 17 ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            check_row(&w, &table[i]);
        }
        op_close(&w);
    }
}

Test(norm, plain) { check_table(OP_PLAIN); }
Test(norm, avx2) { check_table(OP_AVX2); }
Test(norm, avx512) { check_table(OP_AVX512); }
Test(norm, simt_f32) { check_table(OP_SIMT_F32); }
Test(norm, simt_bf16) { check_table(OP_SIMT_BF16); }
Test(norm, simt_f16) { check_table(OP_SIMT_F16); }
Test(norm, cuda_f32) { check_table(OP_CUDA_F32); }
Test(norm, cuda_bf16) { check_table(OP_CUDA_BF16); }
Test(norm, cuda_f16) { check_table(OP_CUDA_F16); }

/* By hand: 1 2 3 4 has mean 2.5 and variance 1.25; squares of mean 7.5. */
Test(norm, by_hand)
{
    static const float x[4] = {1.0f, 2.0f, 3.0f, 4.0f}, gamma[4] = {1.0f, 2.0f, 1.0f, 1.0f}, beta[4] = {0.0f, 0.0f, 1.0f, 0.0f};
    static const double layer[4] = {-1.3416407865, -0.894427191, 1.4472135955, 1.3416407865};
    static const double rms[4] = {0.3651483717, 1.4605934867, 1.0954451150, 1.4605934867};
    for (int i = 0; i < 2 * OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)(i / 2), 1)) continue;
        float own[4], y[4];
        memcpy(own, x, sizeof own);
        hdl_norm_args a = {.struct_bytes = sizeof a, .x = op_act(&w, own, 4), .y = op_act(&w, NULL, 4),
                           .gamma = op_device(&w, gamma, sizeof gamma), .M = 1, .E = 4, .eps = 1e-12f,
                           .act_dtype = w.act};
        a.kind = i % 2 == 0 ? HDL_NORM_LAYER : HDL_NORM_RMS;
        a.beta = i % 2 == 0 ? op_device(&w, beta, sizeof beta) : NULL;
        cr_assert_eq(w.backend->norm(w.stream, &a), HDL_OK);
        op_act_fetch(&w, y, a.y, 4);
        cr_assert_lt(op_worst(y, i % 2 == 0 ? layer : rms, 4), w.act == HDL_F32 ? 5e-7 : op_act_step(&w) + 5e-7);
        op_close(&w);
    }
}

/* Rows that are not finite, or become so in f16, have maxima that are not; elements past the row's end do not count. */
Test(norm, maxima_that_are_not_finite)
{
    enum { E = 67, ROWS = 4 };
    for (op_place place = OP_SIMT_F32; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, place, 460)) continue;
        float *x = op_normals(&w, ROWS * E), *gamma = op_copies(&w, E, 1e8f), y[ROWS * E];
        x[1 * E + 66] = NAN;
        x[2 * E + 5] = -INFINITY;
        hdl_norm_args a = {.struct_bytes = sizeof a, .x = op_act(&w, x, ROWS * E), .gamma = op_device(&w, gamma, E * sizeof *gamma),
                           .y = op_act(&w, NULL, ROWS * E), .M = ROWS, .E = E, .eps = 1e-6f, .act_dtype = w.act};
        for (int kind = HDL_NORM_LAYER; kind <= HDL_NORM_RMS; kind++) {
            a.kind = (hdl_norm_kind)kind;
            a.y_max = op_maxima(&w, ROWS);
            cr_assert_eq(w.backend->norm(w.stream, &a), HDL_OK);
            op_act_fetch(&w, y, a.y, ROWS * E);
            cr_assert(isnan(y[1 * E]) && isnan(y[2 * E + 5]) && (w.act == HDL_F16) == !!isinf(y[0]));
            op_maxima_check(&w, a.y_max, y, E, E, ROWS, NULL, false);
        }
        op_close(&w);
    }
}

/* Rows at an odd address, which no wide access may touch, have the bits of rows at an even one. */
Test(norm, bits_do_not_depend_on_the_address)
{
    enum { E = 1032, ROWS = 2 };
    for (int i = 0; i < 2 * OP_N_PLACES; i++) {
        const int32_t width = i % 2 == 0 ? 264 : E;
        op_world w;
        if (!op_open_at(&w, (op_place)(i / 2), 450)) continue;
        const size_t n = (size_t)(ROWS * width);
        float *x = op_normals(&w, n + 1), *gamma = op_normals(&w, (size_t)width), y[2][ROWS * E];
        const size_t shift = op_act_bytes(&w, 1);
        for (size_t odd = 0; odd < 2; odd++) {
            memmove(x + odd, x, n * sizeof *x);
            hdl_norm_args a = {.struct_bytes = sizeof a, .gamma = op_device(&w, gamma, (size_t)width * sizeof *gamma),
                               .M = ROWS, .E = width, .eps = 1e-6f, .act_dtype = w.act};
            a.x = (const char *)op_act(&w, x, n + 1) + odd * shift;
            a.y = (char *)op_act(&w, NULL, n + 1) + odd * shift;
            cr_assert_eq(w.backend->norm(w.stream, &a), HDL_OK);
            op_act_fetch(&w, y[odd], a.y, n);
        }
        cr_assert_eq(memcmp(y[0], y[1], n * sizeof *x), 0, "%s, E %d", op_place_name(w.place), width);
        op_close(&w);
    }
}
