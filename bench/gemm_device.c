/*
 * gemm_device.c - how fast are a GPU's products: ours beside cuBLASLt's, by shape, in one run.
 *
 * bench_gemm --device cuda|simt [--products own|cublaslt] [--library-dir DIR] [--quick] [f32|bf16|f16]
 *
 * A line is one shape: microseconds of a product, all that belongs to it counted (the library's sums are finished by a
 * kernel of ours), as TFLOP/s, and our time over the library's: above 1 the library is faster. "warm": the same weights
 * again and again; "cold": weights in turn that together are three times the second-level cache, as a step of a decoder
 * finds them. Products are recorded and replayed, as steps are, so that the host's launches are not measured. "chunk" in
 * place of a time: the library gave no algorithm of one order, and our product would serve. An answer is checked against
 * a sum in double. --quick: a small shape, for a try on the stand-in, whose times mean nothing.
 */
#include "gemm_device.h"

#include <heddle/device.h>
#include <heddle/gemm.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shape { int32_t K, N; } shape;

/* Of base and big models: attention's output, its stacked input, and both sides of the feed-forward layer. */
static const shape shapes[] = {{512, 512}, {512, 1536}, {512, 2048}, {2048, 512},
                               {1024, 1024}, {1024, 3072}, {1024, 4096}, {4096, 1024}};
/* Rows of a step, then those of an encoder pass. */
static const int32_t rows[] = {1, 8, 32, 64, 128, 256, 512, 4096, 8192};
static const shape quick_shapes[] = {{40, 24}};
static const int32_t quick_rows[] = {1, 5};

#define RECORDED 16             /* products of one recording */
#define SECONDS_PER_TRY 0.004
#define TRIES 5                 /* the fastest counts */
#define COLD_BYTES 150e6        /* three times the 50 MB of an H200's second-level cache */
#define MOST_COPIES 320         /* of a weight; 512 x 512 in 16 bits needs 286 */
#define COLD_ROWS 512           /* above it arithmetic counts, not the weights */
#define ALLOWED 0.02            /* of K: what rounding to 16 bits may leave */

typedef struct setting {
    const char *device, *library_dir;
    hdl_compute compute;
    int         library, quick;
} setting;

/* Ours or the library's, with all that a shape needs. */
typedef struct side {
    hdl_device *device;
    hdl_stream *stream;
    hdl_weight *weights[MOST_COPIES];
    int         n_weights, refused;     /* refused: the library left the weights to us */
    void       *x, *y;
    size_t      x_bytes, y_bytes;
} side;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int stop(const char *what)
{
    fprintf(stderr, "bench_gemm: %s: %s\n", what, hdl_error_detail());
    return 1;
}

/* Numbers of [-1, 1) that 16 bits hold exactly, so that the check knows what is multiplied. */
static float *random_numbers(size_t n)
{
    uint32_t state = 2024;
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; v != NULL && i < n; i++) {
        state = state * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)(state >> 25) / 64.0f - 1.0f;
    }
    return v;
}

static size_t element_bytes(hdl_compute compute) { return compute == HDL_COMPUTE_F32 ? 4 : 2; }

/* The high half of an f32 is its bf16; to f16 these numbers need no rounding. */
static void narrow(const float *from, size_t n, hdl_compute compute, void *to)
{
    if (compute == HDL_COMPUTE_F32) memcpy(to, from, n * sizeof *from);
    for (size_t i = 0; compute != HDL_COMPUTE_F32 && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &from[i], sizeof bits);
        const uint32_t exponent = bits >> 23 & 0xff;
        const uint32_t half = exponent == 0 ? 0 : (exponent - 112) << 10 | (bits >> 13 & 0x3ff);
        ((uint16_t *)to)[i] = (uint16_t)(compute == HDL_COMPUTE_BF16 ? bits >> 16 : (bits >> 16 & 0x8000) | half);
    }
}

static double widen(const void *from, size_t i, hdl_compute compute)
{
    if (compute == HDL_COMPUTE_F32) return (double)((const float *)from)[i];
    const uint16_t h = ((const uint16_t *)from)[i];
    const uint32_t bits = (uint32_t)h << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    if (compute == HDL_COMPUTE_BF16) return (double)value;
    const double size = ldexp((double)((h & 0x3ff) | ((h & 0x7c00) != 0 ? 0x400 : 0)), (h >> 10 & 31) - ((h & 0x7c00) != 0) - 24);
    return (h & 0x8000) != 0 ? -size : size;
}

static int open_side(const setting *s, int library, int32_t M, side *to)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    if (library) {
        options.products = HDL_PRODUCTS_CUBLASLT;
        options.library_dir = s->library_dir;       /* the backend itself is open already */
    }
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = M, .K = 4096, .N = 4096};
    *to = (side){0};
    if (hdl_device_open(s->device, &options, &to->device) != HDL_OK) return stop("open");
    if (hdl_stream_create(to->device, &to->stream) != HDL_OK || hdl_stream_reserve(to->stream, &limits) != HDL_OK)
        return stop("stream");
    return 0;
}

static void close_side(side *s)
{
    hdl_stream_close(s->stream);
    hdl_device_close(s->device);
}

static void drop_shape(side *s)
{
    for (int i = 0; i < s->n_weights; i++) hdl_weight_close(s->device, s->weights[i]);
    s->n_weights = 0;
    hdl_device_free(s->device, s->x, s->x_bytes);
    hdl_device_free(s->device, s->y, s->y_bytes);
    s->x = s->y = NULL;
}

/* `copies` of the weights, and rows for the largest M. */
static int take_shape(side *s, const float *w, const void *x, shape at, int32_t M, int copies, hdl_compute compute)
{
    const hdl_pack_part part = {w, HDL_F32, at.N, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    args.parts = &part, args.n_parts = 1, args.N = at.N, args.K = at.K, args.compute = compute;
    args.use = HDL_PACK_FOR_GEMM;
    if (hdl_device_describe(s->device, &info) != HDL_OK) return stop("describe");
    const int32_t before = info.refused_weights;
    for (; s->n_weights < copies; s->n_weights++)
        if (hdl_weight_pack(s->device, &args, &s->weights[s->n_weights]) != HDL_OK) return stop("pack");
    if (hdl_device_describe(s->device, &info) != HDL_OK) return stop("describe");
    s->refused = info.refused_weights != before;
    s->x_bytes = (size_t)M * (size_t)at.K * element_bytes(compute);
    s->y_bytes = (size_t)M * (size_t)at.N * element_bytes(compute);
    if (hdl_device_alloc(s->device, s->x_bytes, &s->x) != HDL_OK || hdl_device_alloc(s->device, s->y_bytes, &s->y) != HDL_OK)
        return stop("memory");
    if (hdl_stream_upload(s->stream, s->x, x, s->x_bytes) != HDL_OK || hdl_stream_wait(s->stream) != HDL_OK) return stop("upload");
    return 0;
}

/* Microseconds of one product: a recording of some, replayed until it lasts long enough, the fastest of some tries. */
static int time_products(side *s, const hdl_gemm_args *args, int copies, int quick, double *us)
{
    hdl_gemm_args a = *args;
    hdl_recording *recording = NULL;
    const int recorded = quick ? 2 : copies > RECORDED ? copies : RECORDED;
    if (hdl_record_begin(s->stream) != HDL_OK) return stop("record");
    for (int i = 0; i < recorded; i++) {
        a.w = s->weights[i % copies];
        if (hdl_gemm(s->stream, &a) != HDL_OK) return stop("product");
    }
    if (hdl_record_end(s->stream, &recording) != HDL_OK) return stop("record");
    double best = INFINITY;
    int replays = 1, rc = 0;
    for (int attempt = 0; attempt < (quick ? 1 : TRIES) && rc == 0;) {
        const double start = seconds_now();
        for (int i = 0; i < replays && rc == 0; i++)
            if (hdl_record_replay(s->stream, recording) != HDL_OK) rc = stop("replay");
        if (rc == 0 && hdl_stream_wait(s->stream) != HDL_OK) rc = stop("wait");
        const double taken = seconds_now() - start;
        if (!quick && taken < SECONDS_PER_TRY) {
            replays *= 2;       /* too short to be told from the wait; also what warms up */
            continue;
        }
        best = fmin(best, taken / replays / recorded);
        attempt++;
    }
    hdl_record_close(recording);
    *us = 1e6 * best;
    return rc;
}

/* The last element of y against a sum in double. */
static int check_answer(side *s, const float *w, const float *x, shape at, int32_t M, hdl_compute compute)
{
    const size_t last = (size_t)M * (size_t)at.N - 1, bytes = element_bytes(compute);
    unsigned char found[4];
    double sum = 0.0;
    for (int32_t k = 0; k < at.K; k++)
        sum += (double)x[(size_t)(M - 1) * (size_t)at.K + (size_t)k] * (double)w[(size_t)(at.N - 1) * (size_t)at.K + (size_t)k];
    if (hdl_stream_download(s->stream, found, (unsigned char *)s->y + last * bytes, bytes) != HDL_OK ||
        hdl_stream_wait(s->stream) != HDL_OK)
        return stop("download");
    if (fabs(widen(found, 0, compute) - sum) <= ALLOWED * at.K) return 0;
    fprintf(stderr, "bench_gemm: WRONG: K %d N %d M %d: %g, the sum is %g\n", at.K, at.N, M, widen(found, 0, compute), sum);
    return 1;
}

static void print_times(const double us[2], int n_sides, int refused, double flops)
{
    printf("  %9.2f %7.1f", us[0], 1e-6 * flops / us[0]);
    if (n_sides < 2) return;
    if (refused) printf("     chunk       -      -");
    else printf("  %9.2f %7.1f %6.2f", us[1], 1e-6 * flops / us[1], us[0] / us[1]);
}

static int measure_rows(side *sides, int n_sides, const float *w, const float *x, shape at, int32_t M, int copies,
                        const setting *s)
{
    const double flops = 2.0 * M * at.N * at.K;
    printf("%5d x %-5d %5d", at.K, at.N, M);
    for (int cold = 0; cold < 2; cold++) {
        double us[2] = {0};
        if (cold && (M > COLD_ROWS || copies == 1)) continue;
        for (int i = 0; i < n_sides; i++) {
            hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
            a.x = sides[i].x, a.ldx = at.K, a.y = sides[i].y, a.ldy = at.N, a.M = M, a.N = at.N, a.K = at.K;
            a.act_dtype = s->compute == HDL_COMPUTE_F32 ? HDL_F32 : s->compute == HDL_COMPUTE_F16 ? HDL_F16 : HDL_BF16;
            if (i == 1 && sides[i].refused) continue;
            if (time_products(&sides[i], &a, cold ? copies : 1, s->quick, &us[i]) != 0) return 1;
            if (check_answer(&sides[i], w, x, at, M, s->compute) != 0) return 1;
        }
        print_times(us, n_sides, sides[n_sides - 1].refused, flops);
    }
    printf("\n");
    return 0;
}

static int measure_shape(side *sides, int n_sides, shape at, const int32_t *M, int n_M, const setting *s)
{
    const int32_t most = M[n_M - 1];
    const size_t n_w = (size_t)at.K * (size_t)at.N, n_x = (size_t)most * (size_t)at.K;
    const double bytes = (double)n_w * (double)element_bytes(s->compute);
    const int wanted = s->quick ? 2 : (int)(COLD_BYTES / bytes) + 1, copies = wanted > MOST_COPIES ? MOST_COPIES : wanted;
    float *w = random_numbers(n_w), *x = random_numbers(n_x);
    void *narrow_x = malloc(n_x * element_bytes(s->compute));
    int rc = w == NULL || x == NULL || narrow_x == NULL;
    if (rc == 0) narrow(x, n_x, s->compute, narrow_x);
    for (int i = 0; i < n_sides && rc == 0; i++) rc = take_shape(&sides[i], w, narrow_x, at, most, copies, s->compute);
    for (int m = 0; m < n_M && rc == 0; m++) rc = measure_rows(sides, n_sides, w, x, at, M[m], copies, s);
    for (int i = 0; i < n_sides; i++) drop_shape(&sides[i]);
    free(w), free(x), free(narrow_x);
    return rc;
}

static int read_options(int argc, char **argv, setting *s)
{
    *s = (setting){.compute = HDL_COMPUTE_BF16};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        int takes = 1;
        if (strcmp(word, "--device") == 0) s->device = value;
        else if (strcmp(word, "--library-dir") == 0) s->library_dir = value;
        else if (strcmp(word, "--products") == 0 && strcmp(value, "cublaslt") == 0) s->library = 1;
        else if (strcmp(word, "--products") == 0 && strcmp(value, "own") == 0) s->library = 0;
        else takes = 0;
        i += takes;
        if (takes) continue;
        if (strcmp(word, "--quick") == 0) s->quick = 1;
        else if (strcmp(word, "f32") == 0) s->compute = HDL_COMPUTE_F32;
        else if (strcmp(word, "bf16") == 0) s->compute = HDL_COMPUTE_BF16;
        else if (strcmp(word, "f16") == 0) s->compute = HDL_COMPUTE_F16;
        else {
            fprintf(stderr, "bench_gemm: unknown argument '%s'\n", word);
            return 2;
        }
    }
    return 0;
}

int bench_gemm_device(int argc, char **argv)
{
    setting s;
    side sides[2];
    int rc = read_options(argc, argv, &s), n_sides = 0;
    const shape *list = s.quick ? quick_shapes : shapes;
    const int32_t *M = s.quick ? quick_rows : rows;
    const int n_shapes = s.quick ? sizeof quick_shapes / sizeof *list : sizeof shapes / sizeof *list;
    const int n_M = s.quick ? sizeof quick_rows / sizeof *M : sizeof rows / sizeof *M;
    for (; n_sides < 1 + s.library && rc == 0; n_sides++) rc = open_side(&s, n_sides, M[n_M - 1], &sides[n_sides]);
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    if (rc == 0 && hdl_device_describe(sides[n_sides - 1].device, &info) != HDL_OK) rc = stop("describe");
    if (rc == 0) {
        printf("%s\n%-19s  warm: %8s %7s", info.description, "K x N        M", "ours us", "TFLOP/s");
        if (s.library) printf("  %9s %7s %6s", "library", "TFLOP/s", "ratio");
        printf("  cold: the same\n");
    }
    for (int i = 0; i < n_shapes && rc == 0; i++) rc = measure_shape(sides, n_sides, list[i], M, n_M, &s);
    while (n_sides > 0) close_side(&sides[--n_sides]);
    return rc;
}
