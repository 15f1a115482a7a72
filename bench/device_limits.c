/*
 * device_limits.c - the limits beside which bench_translate puts a device: gather_rows of f32 rows in order, and a
 * square product under the compute type, each the fastest of several batches of runs, queued one behind the other.
 */
#include "device_limits.h"

#include <heddle/embed.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COPIED_ROWS (1 << 16)   /* of COPIED_WIDTH f32: 256 MB, far more than a cache holds */
#define COPIED_WIDTH 1024
#define SIDE 4096               /* of the product */
#define SMALL_ROWS 64
#define SMALL_SIDE 64
#define BATCH 10                /* runs queued one behind the other, so that launches are hidden */
#define BATCHES 5

#define PATTERN 0x3c00u         /* as f16, bf16 or f32: a small number, whatever the sign and the last byte */
#define PATTERN_BITS 0x80ffu
#define SEED 5u

typedef struct place {
    hdl_device *device;
    hdl_stream *stream;
    int         batch, batches;
} place;

typedef hdl_status queue_op(hdl_stream *stream, const void *args);

static hdl_status queue_copy(hdl_stream *stream, const void *args) { return hdl_gather_rows(stream, args); }
static hdl_status queue_product(hdl_stream *stream, const void *args) { return hdl_gemm(stream, args); }

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Device memory that holds small numbers in any type: zeros would be copied and multiplied for less power. */
static hdl_status alloc_filled(const place *p, size_t bytes, void **block)
{
    uint16_t *words = malloc(bytes);
    uint32_t state = SEED;
    if (words == NULL) return HDL_ENOMEM;
    for (size_t i = 0; i < bytes / sizeof *words; i++) {
        state = state * 1664525u + 1013904223u;
        words[i] = (uint16_t)(PATTERN | (state >> 8 & PATTERN_BITS));
    }
    hdl_status status = hdl_device_alloc(p->device, bytes, block);
    if (status == HDL_OK) status = hdl_stream_upload(p->stream, *block, words, bytes);
    if (status == HDL_OK) status = hdl_stream_wait(p->stream);
    free(words);
    return status;
}

/* Seconds of one run. The first batch warms up. */
static hdl_status time_op(const place *p, queue_op *queue, const void *args, double *best)
{
    *best = 0;
    for (int b = 0; b <= p->batches; b++) {
        const double began = seconds_now();
        hdl_status status = HDL_OK;
        for (int i = 0; i < p->batch && status == HDL_OK; i++) status = queue(p->stream, args);
        if (status == HDL_OK) status = hdl_stream_wait(p->stream);
        if (status != HDL_OK) return status;
        const double took = (seconds_now() - began) / p->batch;
        if (b > 0 && (*best == 0 || took < *best)) *best = took;
    }
    return HDL_OK;
}

static hdl_status measure_copy(const place *p, int32_t M, int32_t E, double *bandwidth)
{
    hdl_gather_rows_args a = HDL_GATHER_ROWS_ARGS_INIT;
    const size_t bytes = (size_t)M * (size_t)E * sizeof(float), list = (size_t)M * sizeof(int32_t);
    void *x = NULL, *y = NULL, *index = NULL;
    int32_t *in_order = malloc(list);
    double took = 0;
    hdl_status status = in_order == NULL ? HDL_ENOMEM : alloc_filled(p, bytes, &x);
    if (status == HDL_OK) status = hdl_device_alloc(p->device, bytes, &y);
    if (status == HDL_OK) status = hdl_device_alloc(p->device, list, &index);
    for (int32_t i = 0; status == HDL_OK && i < M; i++) in_order[i] = i;
    if (status == HDL_OK) status = hdl_stream_upload(p->stream, index, in_order, list);
    a.x = x;
    a.y = y;
    a.index = index;
    a.M = M;
    a.E = E;
    if (status == HDL_OK) status = time_op(p, queue_copy, &a, &took);
    if (status == HDL_OK) *bandwidth = 2.0 * (double)bytes / took;
    if (x != NULL) hdl_device_free(p->device, x, bytes);
    if (y != NULL) hdl_device_free(p->device, y, bytes);
    if (index != NULL) hdl_device_free(p->device, index, list);
    free(in_order);
    return status;
}

static hdl_status pack_square(const place *p, int32_t side, hdl_compute compute, hdl_weight **w)
{
    hdl_pack_args pack = HDL_PACK_ARGS_INIT;
    const size_t n = (size_t)side * (size_t)side;
    float *values = malloc(n * sizeof *values);
    if (values == NULL) return HDL_ENOMEM;
    for (size_t i = 0; i < n; i++) values[i] = (float)(i % 255) * 0x1p-8f - 0.5f;
    const hdl_pack_part part = {values, HDL_F32, side, 0, NULL, 0};
    pack.parts = &part;
    pack.n_parts = 1;
    pack.N = pack.K = side;
    pack.compute = compute;
    pack.use = HDL_PACK_FOR_GEMM;
    const hdl_status status = hdl_weight_pack(p->device, &pack, w);
    free(values);
    return status;
}

static hdl_status measure_product(const place *p, int32_t side, hdl_compute compute, double *peak)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    const hdl_stream_limits limits = {sizeof limits, side, side, side, 0, 0, 0, 0, 0};
    const size_t bytes = (size_t)side * (size_t)side * sizeof(float);
    void *x = NULL, *y = NULL;
    hdl_weight *w = NULL;
    double took = 0;
    hdl_status status = hdl_stream_reserve(p->stream, &limits);
    if (status == HDL_OK) status = pack_square(p, side, compute, &w);
    if (status == HDL_OK) status = alloc_filled(p, bytes, &x);
    if (status == HDL_OK) status = hdl_device_alloc(p->device, bytes, &y);
    a.x = x;
    a.y = y;
    a.w = w;
    a.ldx = a.ldy = side;
    a.M = a.N = a.K = side;
    a.act_dtype = compute == HDL_COMPUTE_F16 ? HDL_F16 : compute == HDL_COMPUTE_F32 ? HDL_F32 : HDL_BF16;
    if (status == HDL_OK) status = time_op(p, queue_product, &a, &took);
    if (status == HDL_OK) *peak = 2.0 * side * side * (double)side / took;
    if (x != NULL) hdl_device_free(p->device, x, bytes);
    if (y != NULL) hdl_device_free(p->device, y, bytes);
    hdl_weight_close(p->device, w);
    return status;
}

int measure_device_limits(const char *device, const char *library_dir, hdl_compute compute, int small,
                          device_limits *out)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    place p = {.batch = small ? 1 : BATCH, .batches = small ? 1 : BATCHES};
    const char *what = "limits: open";
    options.library_dir = library_dir;
    hdl_status status = hdl_device_open(device, &options, &p.device);
    if (status == HDL_OK) status = hdl_stream_create(p.device, &p.stream);
    if (status == HDL_OK) {
        what = "limits: copy";
        status = measure_copy(&p, small ? SMALL_ROWS : COPIED_ROWS, COPIED_WIDTH, &out->bandwidth);
    }
    if (status == HDL_OK) {
        what = "limits: product";
        status = measure_product(&p, small ? SMALL_SIDE : SIDE, compute, &out->peak);
    }
    if (status != HDL_OK) fprintf(stderr, "bench_translate: %s: %s\n", what, hdl_error_detail());
    hdl_stream_close(p.stream);
    hdl_device_close(p.device);
    return status == HDL_OK;
}
