/* op_fixture.c - worlds for tests of ops: a backend, memory that is freed at the end, repeatable numbers. */
#include "op_fixture.h"

#include "cpu/cpu_table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const hdl_isa op_isas[OP_N_ISA] = {HDL_ISA_PLAIN, HDL_ISA_AVX2, HDL_ISA_AVX512};

const char *op_isa_name(hdl_isa isa)
{
    return isa == HDL_ISA_PLAIN ? "plain" : isa == HDL_ISA_AVX2 ? "avx2" : isa == HDL_ISA_AVX512 ? "avx512" : "auto";
}

bool op_open(op_world *w, hdl_isa isa, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->backend = hdl__cpu_backend();
    w->isa = isa;
    w->random = seed;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = isa;
    options.products = HDL_PRODUCTS_OWN;
    if (w->backend->open(0, &options, NULL, &w->device) != HDL_OK) {
        printf("skipped: no %s here\n", op_isa_name(isa));
        return false;
    }
    if (w->backend->stream_create(w->device, &w->stream) != HDL_OK) abort();
    printf("%s, seed %llu\n", op_isa_name(isa), (unsigned long long)seed);
    return true;
}

void op_reserve(op_world *w, const hdl_stream_limits *limits)
{
    if (w->backend->stream_reserve(w->stream, limits) != HDL_OK) abort();
}

void op_close(op_world *w)
{
    w->backend->stream_close(w->stream);
    for (int i = 0; i < w->n_blocks; i++) {
        if (w->blocks[i].host) free(w->blocks[i].block);
        else w->backend->free(w->device, w->blocks[i].block, w->blocks[i].bytes);
    }
    w->backend->close(w->device);
}

static void *keep_block(op_world *w, void *block, size_t bytes, bool host)
{
    if (block == NULL || w->n_blocks == OP_MAX_BLOCKS) abort();
    w->blocks[w->n_blocks].block = block;
    w->blocks[w->n_blocks].bytes = bytes;
    w->blocks[w->n_blocks++].host = host;
    return block;
}

void *op_host(op_world *w, size_t bytes) { return keep_block(w, calloc(1, bytes + 1), bytes, true); }

void *op_device(op_world *w, const void *host, size_t bytes)
{
    void *block = NULL;
    if (w->backend->alloc(w->device, bytes, &block) != HDL_OK) abort();
    if (host != NULL) op_send(w, block, host, bytes);
    return keep_block(w, block, bytes, false);
}

void op_send(op_world *w, void *device, const void *host, size_t bytes)
{
    if (w->backend->upload(w->stream, device, host, bytes) != HDL_OK) abort();
    w->backend->stream_wait(w->stream);
}

void op_fetch(op_world *w, void *host, const void *device, size_t bytes)
{
    if (w->backend->download(w->stream, host, device, bytes) != HDL_OK) abort();
    w->backend->stream_wait(w->stream);
}

/* splitmix64 (Steele, Lea and Flood 2014) */
static uint64_t next_bits(op_world *w)
{
    uint64_t z = w->random += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double op_uniform(op_world *w) { return (double)(next_bits(w) >> 11) * 0x1p-53; }

float op_normal(op_world *w)
{
    const double u = 1.0 - op_uniform(w), v = op_uniform(w);
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

int32_t op_below(op_world *w, int32_t n) { return (int32_t)(next_bits(w) % (uint64_t)n); }

float *op_normals(op_world *w, size_t n)
{
    float *values = op_host(w, n * sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = op_normal(w);
    return values;
}

float *op_copies(op_world *w, size_t n, float value)
{
    float *values = op_host(w, n * sizeof *values);
    for (size_t i = 0; i < n; i++) values[i] = value;
    return values;
}

double op_worst(const float *found, const double *expected, size_t n)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double error = fabs((double)found[i] - expected[i]);
        if (!isfinite(error)) return INFINITY;
        if (error > worst) worst = error;
    }
    return worst;
}

double op_noise(const double *expected, size_t n)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        const volatile float raised = (float)expected[i] + 0.3f, back = raised - 0.3f;
        const double error = fabs((double)back - expected[i]);
        if (error > worst) worst = error;
    }
    return 2.0 * worst;
}

hdl_weight *op_pack(op_world *w, const float *data, int32_t N, int32_t K, hdl_compute compute)
{
    const hdl_pack_part part = {data, HDL_F32, N, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    hdl_weight *weight = NULL;
    args.parts = &part;
    args.n_parts = 1;
    args.N = N;
    args.K = K;
    args.compute = compute;
    if (w->backend->pack(w->device, &args, &weight) != HDL_OK) abort();
    return weight;
}
