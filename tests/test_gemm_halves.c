/*
 * test_gemm_halves.c - f32 products of weights of at most 16 significant bits, which tiles multiply in halves: against
 * double, bits of a row wherever it stands, which weights have halves, and rows with infinities.
 */
#include "cpu_fixture.h"

#include "base/half.h"
#include "cpu/gemm_halves.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#define SEED 20261121u

typedef struct shape { int32_t M, K, N; } shape;

static const shape shapes[] = {
    {1, 32, 1}, {1, 64, 64}, {2, 96, 17}, {5, 256, 33}, {15, 128, 48}, {16, 512, 81}, {17, 256, 16}, {31, 64, 100},
    {32, 256, 64}, {33, 1024, 129}, {47, 32, 16}, {48, 288, 40}, {63, 256, 191}, {64, 2048, 64}, {65, 64, 7}, {130, 256, 113},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], BITS = 16 };

/* Uniform in [-1, 1), `bits` of the significand kept. */
static float *rounded_floats(size_t n, uint64_t seed, int bits)
{
    float *v = cpu_random_floats(n, seed);
    for (size_t i = 0; i < n; ++i) {
        int exponent;
        const float part = frexpf(v[i], &exponent);
        v[i] = ldexpf(rintf(ldexpf(part, bits)), exponent - bits);
    }
    return v;
}

static const cpu_variant *tiles_variant(void)
{
    for (int v = 0; v < N_CPU_VARIANTS; ++v)
        if (strcmp(cpu_variants[v].name, "avx512 tiles") == 0) return &cpu_variants[v];
    return NULL;
}

/* NULL where the processor has no tiles of bf16. */
static hdl_backend_device *open_tiles(void)
{
    hdl_backend_device *device = cpu_open(tiles_variant());
    if (device == NULL || device->features.amx_bf16) return device;
    hdl__cpu_backend()->close(device);
    return NULL;
}

/* Twice the error of the naive f32 sum and the rounding noise of the values: docs/numerics.md. */
static double compute_reference(const float *x, const float *w, shape s, double *y)
{
    double naive_error = 0.0, noise = 0.0;
    for (int32_t m = 0; m < s.M; ++m)
        for (int32_t n = 0; n < s.N; ++n) {
            double sum = 0.0;
            float naive = 0.0f;
            for (int32_t k = 0; k < s.K; ++k) {
                sum += (double)x[m * s.K + k] * (double)w[n * s.K + k];
                naive += x[m * s.K + k] * w[n * s.K + k];
            }
            const float rounded = (float)sum;
            const volatile float shifted = rounded + 0.3f;
            naive_error = fmax(naive_error, fabs((double)naive - sum));
            noise = fmax(noise, fabs((double)(shifted - 0.3f) - (double)rounded));
            y[m * s.N + n] = sum;
        }
    return 2.0 * naive_error + 2.0 * noise;
}

/* Products of M rows, and of some of them alone: the same bits. */
static void check_shape(hdl_backend_device *device, shape s, const float *x, const float *w, const double *expected,
                        double bound)
{
    hdl_weight *packed = cpu_pack_f32(device, w, s.N, s.K, HDL_COMPUTE_F32);
    cr_assert(packed != NULL, "%s", hdl_error_detail());
    cr_expect(packed->method->halves, "K %d N %d: not packed in halves", s.K, s.N);
    hdl_backend_stream *stream = cpu_stream(device, s.M, s.K, s.N);
    float *y = malloc((size_t)s.M * (size_t)s.N * sizeof *y), *row = malloc((size_t)s.M * (size_t)s.N * sizeof *row);
    hdl_gemm_args args = cpu_gemm_args(x, packed, y, s.M, s.K, s.N);
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    double worst = 0.0;
    for (int32_t i = 0; i < s.M * s.N; ++i) {
        const double error = fabs((double)y[i] - expected[i]);
        worst = error > worst || !(error == error) ? error : worst;
    }
    cr_expect(worst <= bound, "M %d K %d N %d: error %g, bound %g", s.M, s.K, s.N, worst, bound);
    args.y = row;
    for (int32_t M = 1; M <= s.M; M += M < 18 ? 1 : 15) {
        const int32_t first = s.M - M;
        args.M = M;
        args.x = x + (int64_t)first * s.K;
        cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
        cr_expect(memcmp(row, y + (int64_t)first * s.N, (size_t)M * (size_t)s.N * sizeof *y) == 0,
                  "M %d K %d N %d: the last %d rows differ", s.M, s.K, s.N, M);
    }
    free(y), free(row);
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
}

Test(gemm_halves, agree_with_double_and_do_not_depend_on_the_other_rows, .timeout = 60)
{
    hdl_backend_device *device = open_tiles();
    if (device == NULL) cr_skip_test("no tiles of bf16 here");
    for (int i = 0; i < N_SHAPES; ++i) {
        const shape s = shapes[i];
        float *x = cpu_random_floats((size_t)s.M * (size_t)s.K, SEED + (unsigned)i);
        float *w = rounded_floats((size_t)s.N * (size_t)s.K, SEED + 100u + (unsigned)i, i % 2 == 0 ? BITS : 11);
        double *y = malloc((size_t)s.M * (size_t)s.N * sizeof *y);
        check_shape(device, s, x, w, y, compute_reference(x, w, s, y));
        free(x), free(w), free(y);
    }
    hdl__cpu_backend()->close(device);
}

/* Sums of small integers are exact in any order and in any split. */
Test(gemm_halves, small_integers_are_exact)
{
    enum { M = 70, K = 320, N = 83, MOST = 100 };
    hdl_backend_device *device = open_tiles();
    if (device == NULL) cr_skip_test("no tiles of bf16 here");
    float *x = cpu_random_floats((size_t)M * K, SEED), *w = cpu_random_floats((size_t)N * K, SEED + 1);
    float *y = malloc((size_t)M * N * sizeof *y);
    for (int i = 0; i < M * K; ++i) x[i] = rintf(MOST * x[i]);
    for (int i = 0; i < N * K; ++i) w[i] = rintf(MOST * w[i]);
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    const hdl_gemm_args args = cpu_gemm_args(x, packed, y, M, K, N);
    cr_assert(packed->method->halves && hdl__cpu_gemm(stream, &args) == HDL_OK);
    for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) {
            float sum = 0.0f;
            for (int k = 0; k < K; ++k) sum += x[m * K + k] * w[n * K + k];
            cr_assert(y[m * N + n] == sum, "row %d column %d: %g, expected %g", m, n, y[m * N + n], sum);
        }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
    free(x), free(w), free(y);
}

/* One weight whose rest has 9 bits, or K that is not whole steps: multiply-adds. */
Test(gemm_halves, only_of_weights_that_lose_nothing)
{
    enum { K = 64, N = 80 };
    hdl_backend_device *device = open_tiles();
    if (device == NULL) cr_skip_test("no tiles of bf16 here");
    float *w = rounded_floats((size_t)N * K, SEED, BITS);
    const float last = w[N * K - 1];
    for (int round = 0; round < 3; ++round) {
        w[N * K - 1] = round == 1 ? 1.0f + 0x1p-8f + 0x1p-16f : last;
        hdl_weight *packed = cpu_pack_f32(device, w, round == 2 ? 2 * N : N, round == 2 ? K / 2 : K, HDL_COMPUTE_F32);
        cr_assert(packed != NULL);
        cr_expect(packed->method->halves == (round != 1), "round %d", round);
        hdl__cpu_weight_close(packed);
    }
    hdl_weight *packed = cpu_pack_f32(device, w, N, K - 1, HDL_COMPUTE_F32);
    cr_expect(packed != NULL && !packed->method->halves);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
    free(w);
}

/* The values come back as they were, as an embedding tied to the matrix reads them. */
Test(gemm_halves, an_embedding_reads_what_was_packed)
{
    enum { E = 288, V = 83 };
    hdl_backend_device *device = open_tiles();
    if (device == NULL) cr_skip_test("no tiles of bf16 here");
    float *w = rounded_floats((size_t)V * E, SEED, BITS), y[3 * E];
    w[5 * E] = 0.0f;
    w[5 * E + 1] = -0x1p-100f;
    hdl_weight *packed = cpu_pack_f32(device, w, V, E, HDL_COMPUTE_F32);
    cr_assert(packed != NULL && packed->method->halves);
    hdl_embedding *table = NULL;
    cr_assert(hdl__cpu_embedding_of(device, packed, E, &table) == HDL_OK, "%s", hdl_error_detail());
    hdl_backend_stream *stream = cpu_stream(device, 3, E, V);
    const int32_t ids[] = {5, V - 1, 64};
    hdl_embed_args args = HDL_EMBED_ARGS_INIT;
    args.table = table;
    args.ids = ids;
    args.M = 3;
    args.E = E;
    args.scale = 1.0f;
    args.y = y;
    cr_assert(hdl__cpu_embed(stream, &args) == HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < 3; ++i)
        for (int e = 0; e < E; ++e)
            cr_assert(y[i * E + e] == w[ids[i] * E + e], "id %d, element %d: %g, expected %g", ids[i], e, y[i * E + e],
                      w[ids[i] * E + e]);
    hdl__cpu_embedding_close(table);
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
    free(w);
}

/* The greatest numbers stay finite, as long as the sum is; what is not finite fails its own row and no other. */
Test(gemm_halves, rows_that_are_not_finite_stay_so_and_the_greatest_numbers_finite)
{
    enum { M = 20, K = 64, N = 48, ODD = 4 };
    hdl_backend_device *device = open_tiles();
    if (device == NULL) cr_skip_test("no tiles of bf16 here");
    const float odd[ODD] = {FLT_MAX, INFINITY, -INFINITY, NAN};
    float *x = cpu_random_floats((size_t)M * K, SEED), *w = rounded_floats((size_t)N * K, SEED + 1, 11);
    float *y = malloc((size_t)M * N * sizeof *y);
    for (int i = 0; i < ODD; ++i) x[(3 + 5 * i) * K + 7] = odd[i];
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, HDL_COMPUTE_F32);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    const hdl_gemm_args args = cpu_gemm_args(x, packed, y, M, K, N);
    cr_assert(packed->method->halves && hdl__cpu_gemm(stream, &args) == HDL_OK);
    for (int m = 0; m < M; ++m)
        for (int n = 0; n < N; ++n) {
            const bool finite = m % 5 != 3 || m == 3;
            cr_expect(isfinite(y[m * N + n]) == finite, "row %d column %d: %g", m, n, y[m * N + n]);
            if (m == 3) cr_expect(fabsf(y[m * N + n] / (FLT_MAX * w[n * K + 7]) - 1.0f) < 1e-6f, "column %d", n);
        }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
    free(x), free(w), free(y);
}
