/*
 * test_gemm.c - products of every compute type, instruction set and path against double; bits of a row wherever it
 * stands.
 */
#include "cpu_fixture.h"

#include "base/half.h"

#include <criterion/criterion.h>
#include <math.h>

#define SEED 20240601u

typedef struct shape { int32_t M, K, N; } shape;

static const shape shapes[] = {
    {1, 1, 1}, {1, 3, 2}, {2, 4, 16}, {3, 5, 17}, {1, 16, 64}, {4, 31, 33}, {5, 64, 48}, {6, 65, 63}, {7, 127, 65},
        {8, 128, 128},
    {9, 255, 31}, {11, 256, 80}, {12, 257, 81}, {13, 300, 100}, {16, 511, 96}, {17, 512, 193}, {31, 513, 70},
        {33, 700, 129},
    {63, 256, 256}, {64, 512, 64}, {65, 768, 49}, {66, 100, 191}, {100, 333, 15}, {127, 99, 130}, {128, 64, 40},
        {129, 8, 7},
    {130, 1100, 23}, {1, 1099, 257}, {2, 1024, 100}, {64, 1, 3}, {70, 2, 600},
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static const hdl_compute computes[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_INT8};

/* The inputs that the product is defined on: rounded to bf16, or to int8 by row (then *scale is not 1). */
static void round_row(hdl_compute compute, const float *from, int32_t K, double *to, double *scale)
{
    float max = 0.0f;
    for (int32_t k = 0; k < K; ++k) max = fmaxf(max, fabsf(from[k]));
    const float s = max > 0.0f ? 127.0f / max : 1.0f;
    *scale = compute == HDL_COMPUTE_INT8 ? (double)s : 1.0;
    for (int32_t k = 0; k < K; ++k) {
        to[k] = (double)from[k];
        if (compute == HDL_COMPUTE_BF16) to[k] = (double)hdl__f32_of_bf16(hdl__bf16_of_f32(from[k]));
        if (compute == HDL_COMPUTE_INT8) to[k] = (double)rintf(from[k] * s);
    }
}

typedef struct reference { double *y; double bound; } reference;

/* y in double, and the bound of docs/numerics.md: twice the error of the naive f32 sum, and the rounding noise of the
 * values. */
static reference compute_reference(hdl_compute compute, const float *x, const float *w, shape s)
{
    const size_t MK = (size_t)s.M * (size_t)s.K, NK = (size_t)s.N * (size_t)s.K;
    double *rx = malloc(MK * sizeof *rx), *rw = malloc(NK * sizeof *rw);
    double *sx = malloc((size_t)s.M * sizeof *sx), *sw = malloc((size_t)s.N * sizeof *sw);
    reference ref = {malloc((size_t)s.M * (size_t)s.N * sizeof(double)), 0.0};
    for (int32_t m = 0; m < s.M; ++m) round_row(compute, x + m * s.K, s.K, rx + m * s.K, &sx[m]);
    for (int32_t n = 0; n < s.N; ++n) round_row(compute, w + n * s.K, s.K, rw + n * s.K, &sw[n]);
    double naive_error = 0.0, noise = 0.0, largest = 0.0;
    for (int32_t m = 0; m < s.M; ++m)
        for (int32_t n = 0; n < s.N; ++n) {
            double sum = 0.0;
            float naive = 0.0f;
            for (int32_t k = 0; k < s.K; ++k) {
                sum += rx[m * s.K + k] * rw[n * s.K + k];
                naive += (float)rx[m * s.K + k] * (float)rw[n * s.K + k];
            }
            const double scale = sx[m] * sw[n], value = sum / scale;
            const float rounded = (float)value;
            const volatile float shifted = rounded + 0.3f;
            naive_error = fmax(naive_error, fabs((double)naive - sum) / scale);
            largest = fmax(largest, fabs(value));
            noise = fmax(noise, fabs((double)(shifted - 0.3f) - (double)rounded));
            ref.y[m * s.N + n] = value;
        }
    ref.bound = 2.0 * naive_error + 2.0 * noise;
    /* five roundings: the sum to f32, two reciprocals, two products */
    if (compute == HDL_COMPUTE_INT8) ref.bound += 5.0 * 0x1p-24 * largest;
    free(rx), free(rw), free(sx), free(sw);
    return ref;
}

static void check_shape(const cpu_variant *v, hdl_backend_device *device, hdl_compute compute, shape s, const float *x,
                        const float *w, const reference *ref)
{
    hdl_weight *packed = cpu_pack_f32(device, w, s.N, s.K, compute);
    cr_assert(packed != NULL, "%s: %s", v->name, hdl_error_detail());
    hdl_backend_stream *stream = cpu_stream(device, s.M, s.K, s.N);
    float *y = malloc((size_t)s.M * (size_t)s.N * sizeof *y);
    const hdl_gemm_args args = cpu_gemm_args(x, packed, y, s.M, s.K, s.N);
    cr_assert(hdl__cpu_backend()->gemm(stream, &args) == HDL_OK, "%s: %s", v->name, hdl_error_detail());
    double worst = 0.0;
    for (int32_t i = 0; i < s.M * s.N; ++i) {
        const double error = fabs((double)y[i] - ref->y[i]);
        worst = error > worst || !(error == error) ? error : worst;
    }
    cr_expect(worst <= ref->bound, "%s compute %d M %d K %d N %d: error %g, bound %g", v->name, (int)compute, s.M,
              s.K, s.N,
              worst, ref->bound);
    free(y);
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
}

Test(gemm, agrees_with_double_for_every_shape_compute_and_variant, .timeout = 120)
{
    hdl_backend_device *devices[N_CPU_VARIANTS];
    int n_devices = 0;
    for (int v = 0; v < N_CPU_VARIANTS; ++v) n_devices += (devices[v] = cpu_open(&cpu_variants[v])) != NULL;
    cr_assert(n_devices >= 1);
    for (int i = 0; i < N_SHAPES; ++i) {
        const shape s = shapes[i];
        float *x = cpu_random_floats((size_t)s.M * (size_t)s.K, SEED + (unsigned)i);
        float *w = cpu_random_floats((size_t)s.N * (size_t)s.K, SEED + 1000u + (unsigned)i);
        for (size_t c = 0; c < sizeof computes / sizeof computes[0]; ++c) {
            const reference ref = compute_reference(computes[c], x, w, s);
            for (int v = 0; v < N_CPU_VARIANTS; ++v)
                if (devices[v] != NULL) check_shape(&cpu_variants[v], devices[v], computes[c], s, x, w, &ref);
            free(ref.y);
        }
        free(x), free(w);
    }
    for (int v = 0; v < N_CPU_VARIANTS; ++v) hdl__cpu_backend()->close(devices[v]);
}

/* A row computed alone, in any block and behind any rows list has the bits that it has among 130. */
static void check_places(const cpu_variant *v, hdl_backend_device *device, hdl_compute compute, int32_t K, int32_t N)
{
    enum { ALL = 130 };
    static const int32_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 32, 63, 64, 65, 100, 129};
    float *x = cpu_random_floats((size_t)ALL * (size_t)K, SEED),
        *w = cpu_random_floats((size_t)N * (size_t)K, SEED + 1);
    float *all = malloc((size_t)ALL * (size_t)N * sizeof *all), *some = malloc((size_t)ALL * (size_t)N * sizeof *some);
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, compute);
    hdl_backend_stream *stream = cpu_stream(device, ALL, K, N);
    const size_t row_bytes = (size_t)N * sizeof(float);
    hdl_gemm_args args = cpu_gemm_args(x, packed, all, ALL, K, N);
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    args.y = some;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; ++c) {
        const int32_t M = counts[c], first = (int32_t)(c * 17) % (ALL - M + 1);
        args.M = M;
        args.x = x + (int64_t)first * K;
        cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
        cr_expect(memcmp(some, all + (int64_t)first * N, row_bytes * (size_t)M) == 0,
                  "%s compute %d K %d N %d: %d rows from %d differ", v->name, (int)compute, K, N, M, first);
    }
    int32_t rows[ALL];
    for (int32_t i = 0; i < ALL; ++i) rows[i] = (i * 37 + 5) % ALL;
    args.M = ALL;
    args.x = x;
    args.rows = rows;
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    for (int32_t i = 0; i < ALL; ++i)
        cr_expect(memcmp(some + (int64_t)i * N, all + (int64_t)rows[i] * N, row_bytes) == 0,
                  "%s compute %d: row %d through the list differs",
                  v->name, (int)compute, i);
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    free(x), free(w), free(all), free(some);
}

Test(gemm, a_row_has_the_same_bits_wherever_it_stands, .timeout = 120)
{
    /* K and N: odd ones, those of small models and those of usual ones; a library may choose its loops by either */
    static const int32_t matrices[][2] = {{256, 256}, {1023, 77}, {512, 192}, {32, 32}, {32, 96}, {32, 128}, {128, 32},
                                          {64, 192}, {48, 48}, {96, 40}, {256, 1024}, {512, 512}, {1024, 256}};
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        if (device == NULL) continue;
        for (size_t c = 0; c < sizeof computes / sizeof computes[0]; ++c) {
            for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; ++i)
                check_places(&cpu_variants[v], device, computes[c], matrices[i][0], matrices[i][1]);
        }
        hdl__cpu_backend()->close(device);
    }
}

/* Panels hold the values that the plain product has, strips cut anywhere included, and touch nothing beside them. */
static void check_panels(const cpu_variant *v, hdl_backend_device *device, hdl_compute compute)
{
    enum { M = 67, K = 300, N = 1000, LD = 2 * HDL__PANEL_COLUMNS + 3 };
    float *x = cpu_random_floats((size_t)M * K, SEED), *w = cpu_random_floats((size_t)N * K, SEED + 1);
    float *all = malloc((size_t)M * N * sizeof *all), *panel = malloc((size_t)M * LD * sizeof *panel);
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, compute);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    const hdl_gemm_args args = cpu_gemm_args(x, packed, all, M, K, N);
    cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
    const bool same_family = packed->library == NULL || compute == HDL_COMPUTE_INT8;
    for (int32_t n0 = 0; n0 < N; n0 += 2 * HDL__PANEL_COLUMNS) {
        const int32_t n1 = n0 + 2 * HDL__PANEL_COLUMNS < N ? n0 + 2 * HDL__PANEL_COLUMNS : N;
        size_t used = 0;
        for (int32_t i = 0; i < M * LD; ++i) panel[i] = -77.0f;
        const hdl__prepared ready = hdl__cpu_prepare(stream, &used, packed, x, K, NULL, M);
        hdl__cpu_panel(stream, &ready, n0, n1, panel, LD);
        for (int32_t m = 0; m < M; ++m)
            for (int32_t n = n0; n < n0 + LD; ++n) {
                const float got = panel[m * LD + n - n0];
                if (n >= n1) cr_assert(got == -77.0f, "%s compute %d: column %d past the panel was written", v->name,
                                       (int)compute, n);
                else if (same_family) cr_assert(got == all[m * N + n], "%s compute %d: row %d column %d", v->name,
                                                (int)compute, m, n);
                else cr_assert(fabsf(got - all[m * N + n]) < 1e-3f, "%s compute %d: row %d column %d", v->name,
                               (int)compute, m, n);
            }
    }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    free(x), free(w), free(all), free(panel);
}

/* Sums times the row's scale, then the column's, are the panel's bits, for few rows and for whole tiles. */
static void check_sums(const cpu_variant *v, hdl_backend_device *device, int32_t M)
{
    enum { K = 300, N = 200, WIDTH = HDL__PANEL_COLUMNS, MOST = 64 };
    float *x = cpu_random_floats((size_t)M * K, SEED + 2), *w = cpu_random_floats((size_t)N * K, SEED + 3);
    static float panel[MOST * WIDTH];
    static _Alignas(HDL__CACHE_LINE) int32_t sums[MOST * WIDTH];
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, HDL_COMPUTE_INT8);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    const float *scales = hdl__cpu_sum_scales(packed);
    for (int32_t n0 = 0; scales != NULL && n0 < N; n0 += WIDTH) {
        size_t used = 0;
        const int32_t n1 = n0 + WIDTH < N ? n0 + WIDTH : N;
        const hdl__prepared ready = hdl__cpu_prepare(stream, &used, packed, x, K, NULL, M);
        hdl__cpu_panel(stream, &ready, n0, n1, panel, WIDTH);
        hdl__cpu_panel_sums(&ready, n0, sums);
        for (int32_t m = 0; m < M; ++m)
            for (int32_t n = n0; n < n1; ++n) {
                const float real = (float)sums[m * WIDTH + n - n0] * ready.unscale[m] * scales[n];
                cr_assert(real == panel[m * WIDTH + n - n0], "%s, %d rows: row %d column %d: %.9g, the panel has %.9g", v->name,
                          M, m, n, (double)real, (double)panel[m * WIDTH + n - n0]);
            }
    }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    free(x), free(w);
}

Test(gemm, sums_times_scales_are_the_panel)
{
    static const int32_t rows[] = {1, 4, 5, 16, 33, 48, 64};
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        for (size_t i = 0; device != NULL && i < sizeof rows / sizeof *rows; ++i) check_sums(&cpu_variants[v], device, rows[i]);
        hdl__cpu_backend()->close(device);
    }
}

Test(gemm, panels_are_the_product)
{
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        for (size_t c = 0; device != NULL && c < sizeof computes / sizeof computes[0]; ++c)
            check_panels(&cpu_variants[v], device, computes[c]);
        hdl__cpu_backend()->close(device);
    }
}

/* Sums of int8 are exact and scaled alike, so that every path gives the same bits. */
Test(gemm, int8_has_the_same_bits_on_every_path)
{
    enum { M = 70, K = 300, N = 83 };
    float *x = cpu_random_floats((size_t)M * K, SEED), *w = cpu_random_floats((size_t)N * K, SEED + 1);
    float *first = malloc((size_t)M * N * sizeof *first), *y = malloc((size_t)M * N * sizeof *y);
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        if (device == NULL) continue;
        hdl_weight *packed = cpu_pack_f32(device, w, N, K, HDL_COMPUTE_INT8);
        hdl_backend_stream *stream = cpu_stream(device, M, K, N);
        const hdl_gemm_args args = cpu_gemm_args(x, packed, v == 0 ? first : y, M, K, N);
        cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
        cr_expect(v == 0 || memcmp(first, y, (size_t)M * N * sizeof *y) == 0, "%s differs from %s",
                  cpu_variants[v].name, cpu_variants[0].name);
        hdl__cpu_stream_close(stream);
        hdl__cpu_weight_close(packed);
        hdl__cpu_backend()->close(device);
    }
    free(x), free(w), free(first), free(y);
}

#if defined(__x86_64__)
#include <immintrin.h>

/* What another library of the application may leave behind on this thread: tiles of another shape, or of none. */
__attribute__((target("amx-tile"))) static void reshape_tiles(bool none)
{
    static const uint8_t small_tiles[64] = {[0] = 1, [16] = 32, [18] = 32, [48] = 4, [49] = 4};
    if (none) _tile_release();
    else _tile_loadconfig(small_tiles);
}

Test(gemm, tiles_may_be_reshaped_by_others)
{
    enum { M = 40, K = 128, N = 64 };
    const cpu_variant *tiles = NULL;
    for (int v = 0; v < N_CPU_VARIANTS; ++v)
        if (strcmp(cpu_variants[v].name, "avx512 tiles") == 0) tiles = &cpu_variants[v];
    cr_assert(tiles != NULL);
    hdl_backend_device *device = cpu_open(tiles);
    if (device == NULL) return;
    float *x = cpu_random_floats((size_t)M * K, SEED), *w = cpu_random_floats((size_t)N * K, SEED + 1);
    float *first = malloc((size_t)M * N * sizeof *first), *y = malloc((size_t)M * N * sizeof *y);
    hdl_weight *packed = cpu_pack_f32(device, w, N, K, HDL_COMPUTE_BF16);
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    for (int round = 0; round < 3; ++round) {
        const hdl_gemm_args args = cpu_gemm_args(x, packed, round == 0 ? first : y, M, K, N);
        cr_assert(hdl__cpu_gemm(stream, &args) == HDL_OK);
        cr_expect(round == 0 || memcmp(first, y, (size_t)M * N * sizeof *y) == 0, "round %d", round);
        reshape_tiles(round == 0);
    }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(packed);
    hdl__cpu_backend()->close(device);
    free(x), free(w), free(first), free(y);
}
#endif
