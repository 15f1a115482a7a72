/* test_norm.c - residual add, LayerNorm and RMSNorm against double: widths, offsets, aliases, live rows. */
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { M = 5, LIVE = 3 };

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
    {512, HDL_NORM_RMS, true, false, true, 0.0f, 1e-4f},   {1024, HDL_NORM_LAYER, true, true, true, -50.0f, 3.0f},
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

/* The call as `alias` says: 0 nothing shared, 1 y is x, 2 y is the residual and the sum is x. */
static void run_norm(op_world *w, const norm_row *row, const norm_data *data, int alias, float *y, float *sum)
{
    const size_t bytes = (size_t)(M * row->E) * sizeof(float), row_bytes = (size_t)row->E * sizeof(float);
    const int32_t live = LIVE;
    float *marks = op_copies(w, (size_t)(M * row->E), 55.0f);
    float *x = op_device(w, data->x, bytes), *residual = op_device(w, data->residual, bytes);
    hdl_norm_args a = {
        .struct_bytes = sizeof a, .x = x, .residual = row->residual ? residual : NULL,
        .gamma = op_device(w, data->gamma, row_bytes), .beta = row->beta ? op_device(w, data->beta, row_bytes) : NULL,
        .y = op_device(w, marks, bytes), .sum = row->sum ? op_device(w, marks, bytes) : NULL,
        .count = op_device(w, &live, sizeof live), .M = M, .E = row->E, .eps = 1e-6f, .kind = row->kind,
    };
    if (alias == 1) a.y = x;
    if (alias == 2) a.y = residual;
    if (alias == 2 && row->sum) a.sum = x;
    cr_assert_eq(w->backend->norm(w->stream, &a), HDL_OK);
    op_fetch(w, y, a.y, bytes);
    if (row->sum) op_fetch(w, sum, a.sum, bytes);
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
    double *expected = op_host(w, (size_t)row->E * sizeof *expected);
    float *naive = op_host(w, (size_t)row->E * sizeof *naive);
    run_norm(w, row, &data, 0, y, sum);
    for (int32_t i = 0; i < LIVE; i++) {
        norm_double(row, &data, i, expected);
        norm_float(row, &data, i, naive);
        const double found = op_worst(y + i * row->E, expected, (size_t)row->E);
        const double bound = 2.0 * op_worst(naive, expected, (size_t)row->E) + op_noise(expected, (size_t)row->E);
        cr_assert_leq(found, bound, "E %d: %g off, allowed %g", row->E, found, bound);
        for (int32_t e = i * row->E; row->sum && e < (i + 1) * row->E; e++)
            cr_assert_eq(sum[e], row->residual ? data.x[e] + data.residual[e] : data.x[e]);
    }
    for (size_t i = live / sizeof(float); i < n; i++) cr_assert_eq(y[i], 55.0f, "a row past the count was written");
    for (int alias = 1; alias < 3; alias++) {
        run_norm(w, row, &data, alias, other, sum);
        cr_assert_eq(memcmp(other, y, live), 0, "E %d: alias %d changes bits", row->E, alias);
    }
}

static void check_table(hdl_isa isa)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        op_world w;
        if (!op_open(&w, isa, 400 + i)) return;
        check_row(&w, &table[i]);
        op_close(&w);
    }
}

Test(norm, plain) { check_table(HDL_ISA_PLAIN); }
Test(norm, avx2) { check_table(HDL_ISA_AVX2); }
Test(norm, avx512) { check_table(HDL_ISA_AVX512); }

/* By hand: 1 2 3 4 has mean 2.5 and variance 1.25; squares of mean 7.5. */
Test(norm, by_hand)
{
    static const float x[4] = {1.0f, 2.0f, 3.0f, 4.0f}, gamma[4] = {1.0f, 2.0f, 1.0f, 1.0f}, beta[4] = {0.0f, 0.0f, 1.0f, 0.0f};
    static const double layer[4] = {-1.3416407865, -0.894427191, 1.4472135955, 1.3416407865};
    static const double rms[4] = {0.3651483717, 1.4605934867, 1.0954451150, 1.4605934867};
    for (int i = 0; i < 2 * OP_N_ISA; i++) {
        op_world w;
        if (!op_open(&w, op_isas[i / 2], 1)) continue;
        float y[4];
        hdl_norm_args a = {.struct_bytes = sizeof a, .x = op_device(&w, x, sizeof x), .gamma = op_device(&w, gamma, sizeof gamma),
                           .y = op_device(&w, NULL, sizeof y), .M = 1, .E = 4, .eps = 1e-12f};
        a.kind = i % 2 == 0 ? HDL_NORM_LAYER : HDL_NORM_RMS;
        a.beta = i % 2 == 0 ? op_device(&w, beta, sizeof beta) : NULL;
        cr_assert_eq(w.backend->norm(w.stream, &a), HDL_OK);
        op_fetch(&w, y, a.y, sizeof y);
        cr_assert_lt(op_worst(y, i % 2 == 0 ? layer : rms, 4), 5e-7);
        op_close(&w);
    }
}
