/*
 * bench_gemm.c - how fast are the CPU's products: ours and oneDNN's, one thread, beside the measured peak of the
 * processor.
 *
 * Usage: bench_gemm [f32|bf16|int8] [halves] [plain|avx2|avx512]; halves: weights of 16 bits, which AMX multiplies in
 * f32 too; with --device on a GPU, see gemm_device.c. Every figure is GFLOP/s (2 M N K a product) of the fastest of many
 * runs; weights are in the cache when they fit. Time is the monotonic clock's: the thread's own clock reads too little
 * once in some ten thousand samples on virtual machines, and the fastest of many would pick just those. The floor is the
 * longer of two times: arithmetic at the measured peak, and one reading of the weights at the measured speed of the
 * cache (or memory) that holds them; the share is the floor over our time. The answer is checked against a sum in double
 * after timing, and a figure above the peak is marked, as the measurement is then wrong.
 */
#include "fma_peak.h"
#include "gemm_device.h"

#include <heddle/device.h>
#include <heddle/gemm.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shape { int32_t K, N; } shape;

static const shape shapes[] = {{256, 256}, {256, 768}, {256, 1024}, {1024, 256}, {256, 8001},
                               {512, 512}, {512, 2048}, {2048, 512}, {512, 32000}};
static const int32_t rows[] = {1, 4, 16, 64, 256};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0], N_ROWS = sizeof rows / sizeof rows[0], MAX_ROWS = 256 };

#define SECONDS_PER_CELL 0.04
#define SECONDS_PER_PROBE 0.1
#define MIN_RUNS 20            /* long products meet other programs; some run must be left alone */
#define PEAK_SLACK 1.05        /* the peak is itself a measurement */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *random_floats(size_t n)
{
    uint32_t state = 12345;
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; v != NULL && i < n; ++i) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
    }
    return v;
}

static hdl_device *open_device(hdl_isa isa, hdl_products products)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = isa;
    options.products = products;
    hdl_device *device = NULL;
    if (hdl_device_open("cpu", &options, &device) != HDL_OK) fprintf(stderr, "%s\n", hdl_error_detail());
    return device;
}

/* The device says in words which set it took, and which instructions for narrow products it has. */
static double measure_peak(const char *description, hdl_compute compute, bool halves)
{
    if ((compute != HDL_COMPUTE_F32 || halves) && strstr(description, " AMX") != NULL) return measure_tile_peak(compute);
    const hdl_isa isa = strstr(description, "AVX-512") ? HDL_ISA_AVX512
                      : strstr(description, "AVX2")    ? HDL_ISA_AVX2 : HDL_ISA_PLAIN;
    return measure_fma_peak(isa, compute, strstr(description, compute == HDL_COMPUTE_BF16 ? " BF16" : " VNNI") != NULL);
}

/* Reading a block of this size again and again, one load a line, as GB/s: of the cache that holds it, or of memory. */
static double measure_bandwidth(const void *block, size_t bytes)
{
    enum { LINE = 64 };
    double best = 1e9;
    uint64_t sum = 0;
    volatile uint64_t sink;
    const double start = seconds_now();
    while (seconds_now() - start < SECONDS_PER_PROBE || best > 1e8) {
        const double t = seconds_now();
        for (size_t at = 0; at + LINE <= bytes; at += LINE) {
            uint64_t word;
            memcpy(&word, (const uint8_t *)block + at, sizeof word);
            sum += word;
        }
        best = fmin(best, seconds_now() - t);
    }
    sink = sum;
    (void)sink;
    return 1e-9 * (double)bytes / best;
}

static double time_product(hdl_stream *stream, const hdl_gemm_args *args)
{
    double best = 1e9;
    const double start = seconds_now();
    for (int run = 0; run < MIN_RUNS || seconds_now() - start < SECONDS_PER_CELL; ++run) {
        const double t = seconds_now();
        (void)hdl_gemm(stream, args);
        best = fmin(best, seconds_now() - t);
    }
    return best;
}

static void check_answer(const float *x, const float *w, const float *y, shape s, int32_t M, hdl_compute compute)
{
    const int32_t m = M - 1, n = s.N - 1;
    double sum = 0.0;
    for (int32_t k = 0; k < s.K; ++k) sum += (double)x[m * s.K + k] * (double)w[(int64_t)n * s.K + k];
    const double allowed = (compute == HDL_COMPUTE_F32 ? 1e-6 : 0.02) * s.K;
    if (fabs(sum - (double)y[(int64_t)m * s.N + n]) > allowed) fprintf(stderr, "WRONG: K %d N %d M %d\n", s.K, s.N, M);
}

typedef struct path { const char *name; hdl_device *device; hdl_stream *stream; } path;

static hdl_weight *pack(const path *p, const float *w, shape s, hdl_compute compute)
{
    const hdl_pack_part part = {w, HDL_F32, s.N, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part;
    args.n_parts = 1;
    args.N = s.N;
    args.K = s.K;
    args.compute = compute;
    args.use = HDL_PACK_FOR_GEMM;
    hdl_weight *out = NULL;
    if (hdl_weight_pack(p->device, &args, &out) != HDL_OK) fprintf(stderr, "%s\n", hdl_error_detail());
    return out;
}

/* What is left of the weights has 16 significant bits. */
static void cut_weights(float *w, size_t n)
{
    for (size_t i = 0; w != NULL && i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        bits &= 0xffffff00u;
        memcpy(&w[i], &bits, sizeof bits);
    }
}

static void run_shape(const path *paths, int n_paths, shape s, hdl_compute compute, double peak, bool halves)
{
    float *w = random_floats((size_t)s.K * (size_t)s.N), *x = random_floats((size_t)MAX_ROWS * (size_t)s.K);
    float *y = malloc((size_t)MAX_ROWS * (size_t)s.N * sizeof *y);
    if (halves) cut_weights(w, (size_t)s.K * (size_t)s.N);
    const size_t weight_bytes = (size_t)s.K * (size_t)s.N * (compute == HDL_COMPUTE_F32 ? 4 : compute
                                                             == HDL_COMPUTE_BF16 ? 2 : 1);
    const double bandwidth = w != NULL ? measure_bandwidth(w, weight_bytes) : 1.0;
    for (int p = 0; p < n_paths && w != NULL && x != NULL && y != NULL; ++p) {
        hdl_weight *packed = pack(&paths[p], w, s, compute);
        if (packed == NULL) continue;
        printf("%5d x %-5d %-7s", s.K, s.N, paths[p].name);
        for (int r = 0; r < N_ROWS; ++r) {
            const int32_t M = rows[r];
            const hdl_gemm_args args = {.struct_bytes = sizeof args, .x = x, .ldx = s.K, .w = packed, .y = y,
                                        .ldy = s.N,
                                        .M = M, .N = s.N, .K = s.K};
            const double t = time_product(paths[p].stream, &args), flops = 2.0 * M * s.N * s.K;
            const double arithmetic = peak > 0.0 ? flops / (peak * 1e9) : 0.0;
            const double floor = peak > 0.0 ? fmax(arithmetic, (double)weight_bytes / (bandwidth * 1e9)) : 0.0;
            const bool possible = peak <= 0.0 || 1e-9 * flops / t <= PEAK_SLACK * peak;
            printf("  %7.1f%c(%3.0f%%)", 1e-9 * flops / t, possible ? ' ' : '!', 100.0 * floor / t);
            check_answer(x, w, y, s, M, compute);
        }
        printf("   weights at %.1f GB/s\n", bandwidth);
        hdl_weight_close(paths[p].device, packed);
    }
    free(w), free(x), free(y);
}

int main(int argc, char **argv)
{
    hdl_compute compute = HDL_COMPUTE_F32;
    hdl_isa isa = HDL_ISA_AUTO;
    bool halves = false;
    for (int i = 1; i < argc; ++i)
        if (strcmp(argv[i], "--device") == 0) return bench_gemm_device(argc, argv);
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "bf16") == 0) compute = HDL_COMPUTE_BF16;
        if (strcmp(argv[i], "halves") == 0) halves = true;
        if (strcmp(argv[i], "int8") == 0) compute = HDL_COMPUTE_INT8;
        if (strcmp(argv[i], "plain") == 0) isa = HDL_ISA_PLAIN;
        if (strcmp(argv[i], "avx2") == 0) isa = HDL_ISA_AVX2;
        if (strcmp(argv[i], "avx512") == 0) isa = HDL_ISA_AVX512;
    }
    path paths[2] = {{"heddle", open_device(isa, HDL_PRODUCTS_OWN), NULL},
                     {"oneDNN", open_device(isa, HDL_PRODUCTS_ONEDNN), NULL}};
    const hdl_stream_limits limits = {sizeof limits, MAX_ROWS, 2048, 32000, 0, 0, 0, 0, 0};
    int n_paths = 0;
    /* the library chooses its own instructions, so beside a forced set it would be measured against the wrong peak */
    const int n_wanted = isa == HDL_ISA_AUTO ? 2 : 1;
    for (int p = 0; p < n_wanted && paths[p].device != NULL; ++p, ++n_paths)
        if (hdl_stream_create(paths[p].device, &paths[p].stream) != HDL_OK) return 1;
    if (n_paths == 0) return 1;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    if (hdl_device_describe(paths[0].device, &info) != HDL_OK) return 1;
    const double peak = measure_peak(info.description, compute, halves);
    printf("%s\npeak of multiply-adds in registers: %.1f GFLOP/s (0: not known, and no shares then)\n",
           info.description, peak);
    printf("%-21s", "K x N");
    for (int r = 0; r < N_ROWS; ++r) printf("     M = %-7d", rows[r]);
    printf("   GFLOP/s (share of the floor)\n");
    for (int i = 0; i < N_SHAPES; ++i) {
        for (int p = 0; p < n_paths; ++p) hdl_stream_reserve(paths[p].stream, &limits);
        run_shape(paths, n_paths, shapes[i], compute, peak, halves);
    }
    for (int p = 0; p < 2; ++p) {
        hdl_stream_close(paths[p].stream);
        hdl_device_close(paths[p].device);
    }
    return 0;
}
