/* test_gemm_epilogue.c - bias, every activation, residual, count and the rows list of a product; recording it. */
#include "activation_reference.h"
#include "cpu_fixture.h"

#include "base/half.h"

#include <criterion/criterion.h>
#include <math.h>

#define SEED 77u

/* What an activation may be off by at x: some ulp of its value; GELU's 1 + f(x) cancels on the left, in any f32
 * form. */
static double allowed_error(hdl_activation act, double x, double value)
{
    /* 0 where sigmoid is below the smallest normal number */
    const double ulp = 0x1p-23, flushed = (1.0 + fabs(x)) * 0x1p-126;
    if (act == HDL_ACT_GELU_TANH || act == HDL_ACT_GELU_ERF) return 4.0 * ulp * (fabs(value) + fabs(x)) + flushed;
    /* an exponent's own rounding, |c x| / 2 ulp, is part of exp(-c x) */
    return (act == HDL_ACT_GELU_SIGMOID ? 4.0 + fabs(x) : 4.0) * ulp * fabs(value) + flushed;
}

/* The whole range in small steps, through a product with one weight of 1: y = act(x). */
static void check_activation(const cpu_variant *v, hdl_backend_device *device, hdl_activation act)
{
    enum { M = 16000 };
    const float one = 1.0f;
    float *x = malloc(M * sizeof *x), *y = malloc(M * sizeof *y);
    for (int i = 0; i < M; ++i) x[i] = (float)(i - M / 2) * (i % 2 ? 0.01f : 0.0007f);
    hdl_weight *w = cpu_pack_f32(device, &one, 1, 1, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, M, 1, 1);
    hdl_gemm_args args = cpu_gemm_args(x, w, y, M, 1, 1);
    args.act = act;
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    int bad = 0;
    for (int i = 0; i < M; ++i) {
        const double want = reference_activation(act, (double)x[i]), error = fabs((double)y[i] - want);
        if (!(error <= allowed_error(act, (double)x[i], want)) && bad++ < 3)
            cr_expect(false, "%s activation %d at %g: %.9g, double says %.9g", v->name, (int)act, (double)x[i],
                      (double)y[i], want);
    }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(w);
    free(x), free(y);
}

static void check_extremes(const cpu_variant *v, hdl_backend_device *device, hdl_activation act)
{
    enum { M = 5 };
    const float one = 1.0f, x[M] = {INFINITY, -INFINITY, NAN, 1e30f, -1e30f};
    float y[M];
    hdl_weight *w = cpu_pack_f32(device, &one, 1, 1, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, M, 1, 1);
    hdl_gemm_args args = cpu_gemm_args(x, w, y, M, 1, 1);
    args.act = act;
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    cr_expect(isnan(y[2]), "%s activation %d hides a NaN", v->name, (int)act);
    cr_expect(!isnan(y[3]) && !isnan(y[4]), "%s activation %d makes NaN of 1e30 or -1e30", v->name, (int)act);
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(w);
}

Test(gemm_epilogue, activations_follow_double_over_the_whole_range, .timeout = 60)
{
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        for (int act = 0; device != NULL && act < HDL_N_ACTIVATIONS; ++act) {
            check_activation(&cpu_variants[v], device, (hdl_activation)act);
            check_extremes(&cpu_variants[v], device, (hdl_activation)act);
        }
        hdl__cpu_backend()->close(device);
    }
}

enum { M = 70, K = 40, N = 83, LDX = 45, LDY = 90 };
#define UNTOUCHED -1234.5f

/* Values that a product of this type takes as they are, so that one reference serves all: bf16, or 127ths whose
 * greatest in each row is 1. */
static void make_exact(hdl_compute compute, float *values, int32_t rows, int64_t ld)
{
    for (int32_t r = 0; r < rows; ++r, values += ld)
        for (int32_t k = 0; k < K; ++k) {
            if (compute == HDL_COMPUTE_BF16) values[k] = hdl__f32_of_bf16(hdl__bf16_of_f32(values[k]));
            if (compute == HDL_COMPUTE_INT8) values[k] = k == 0 ? 127.0f / 128.0f : rintf(values[k] * 127.0f) / 128.0f;
        }
}

/* act(x W^T + b) + residual with wide rows, a rows list and a count; padding and dead rows stay as they were. */
static void check_everything(const cpu_variant *v, hdl_backend_device *device, hdl_compute compute,
                             hdl_activation act, bool in_place, int32_t live)
{
    float *x = cpu_random_floats((size_t)M * LDX, SEED), *w = cpu_random_floats((size_t)N * K, SEED + 1);
    float *bias = cpu_random_floats(N, SEED + 2), *residual = cpu_random_floats((size_t)M * LDY, SEED + 3);
    float *before = malloc((size_t)M * LDY * sizeof *before), *y = malloc((size_t)M * LDY * sizeof *y);
    make_exact(compute, x, M, LDX);
    make_exact(compute, w, N, K);
    const int32_t count = live;
    int32_t rows[M];
    for (int32_t i = 0; i < M; ++i) rows[i] = (i * 11 + 3) % M;
    for (int32_t i = 0; i < M * LDY; ++i) before[i] = in_place ? residual[i] : UNTOUCHED;
    memcpy(y, before, (size_t)M * LDY * sizeof *y);
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, compute);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    hdl_gemm_args args = cpu_gemm_args(x, packed, y, M, K, N);
    args.ldx = LDX, args.ldy = LDY, args.ldr = LDY, args.bias = bias, args.act = act, args.rows = rows,
        args.count = &count;
    args.residual = in_place ? y : residual;
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    for (int32_t m = 0; m < M; ++m)
        for (int32_t n = 0; n < LDY; ++n) {
            const float got = y[m * LDY + n];
            if (m >= live || n >= N) {
                cr_assert(got == before[m * LDY + n], "%s: row %d column %d was written", v->name, m, n);
                continue;
            }
            double sum = (double)bias[n];
            for (int32_t k = 0; k < K; ++k) sum += (double)x[rows[m] * LDX + k] * (double)w[n * K + k];
            const double want = reference_activation(act, sum) + (double)residual[m * LDY + n];
            cr_assert(fabs((double)got - want) < 1e-5, "%s compute %d activation %d row %d column %d: %g, want %g",
                      v->name, (int)compute, (int)act, m, n, (double)got, want);
        }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    free(x), free(w), free(bias), free(residual), free(before), free(y);
}

Test(gemm_epilogue, bias_activation_residual_rows_and_count_together)
{
    static const hdl_compute computes[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_INT8};
    static const int32_t lives[] = {66, 41, 3};     /* full blocks and a rest, odd tiles, few rows */
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        for (int i = 0; device != NULL && i < HDL_N_ACTIVATIONS * 18; ++i)
            check_everything(&cpu_variants[v], device, computes[i / 6 % 3], (hdl_activation)(i / 18), i % 2 == 1,
                             lives[i / 2 % 3]);
        hdl__cpu_backend()->close(device);
    }
}

/* A count of 0, and one beyond M, which must be taken as M. */
Test(gemm_epilogue, a_count_is_held_within_zero_and_M)
{
    hdl_backend_device *device = cpu_open(&cpu_variants[0]);
    const float w[2] = {1.0f, 2.0f}, x[2] = {3.0f, 5.0f};
    hdl_weight *packed = cpu_pack_f32(device, w, 2, 1, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, 2, 1, 2);
    for (int32_t count = -1; count <= 3; ++count) {
        float y[6] = {9.0f, 9.0f, 9.0f, 9.0f, 9.0f, 9.0f};
        hdl_gemm_args args = cpu_gemm_args(x, packed, y, 2, 1, 2);
        args.count = &count;
        cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
        const int32_t live = count < 0 ? 0 : count > 2 ? 2 : count;
        for (int32_t m = 0; m < 3; ++m)
            for (int32_t n = 0; n < 2; ++n)
                cr_expect(y[2 * m + n] == (m < live ? x[m < 2 ? m : 0] * w[n] : 9.0f), "count %d row %d", count, m);
    }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
}

/* Memory that changes between replays shows; an argument that changes does not; nothing runs while recording. */
Test(gemm_epilogue, a_replay_reads_memory_and_keeps_arguments)
{
    const hdl_backend *table = hdl__cpu_backend();
    hdl_backend_device *device = cpu_open(&cpu_variants[0]);
    const float w = 2.0f;
    float x[2] = {1.0f, 10.0f}, y[2] = {-1.0f, -1.0f}, copy[2] = {0.0f, 0.0f};
    int32_t count = 2, row[2] = {0, 1};
    hdl_weight *packed = cpu_pack_f32(device, &w, 1, 1, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, 2, 1, 1);
    hdl_gemm_args args = cpu_gemm_args(x, packed, y, 2, 1, 1);
    args.count = &count, args.rows = row;
    cr_assert(table->record_begin(stream) == HDL_OK);
    cr_expect(table->record_begin(stream) == HDL_ESTATE);
    cr_assert(table->gemm(stream, &args) == HDL_OK && table->download(stream, copy, y, sizeof copy) == HDL_OK);
    hdl_backend_graph *graph = NULL;
    cr_assert(table->record_end(stream, &graph) == HDL_OK);
    cr_expect(table->record_end(stream, &graph) == HDL_ESTATE);
    cr_expect(y[0] == -1.0f && copy[0] == 0.0f, "an op ran while it was recorded");
    args.M = 0, args.act = HDL_ACT_TANH, args.x = NULL;     /* must not matter any more */
    cr_assert(table->replay(stream, graph) == HDL_OK);
    cr_expect(y[0] == 2.0f && y[1] == 20.0f && copy[1] == 20.0f);
    x[0] = 4.0f, row[1] = 0, count = 1, y[1] = 7.0f;        /* must matter */
    cr_assert(table->replay(stream, graph) == HDL_OK);
    cr_expect(y[0] == 8.0f && y[1] == 7.0f && copy[0] == 8.0f && copy[1] == 7.0f);
    table->graph_close(graph);
    table->graph_close(NULL);
    table->weight_close(packed);
    table->stream_close(stream);
    table->close(device);
}
