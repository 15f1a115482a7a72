/*
 * cpu_fixture.h - devices of the CPU backend for tests: every instruction set and product path that this machine
 * has, and numbers.
 */
#ifndef HEDDLE_TESTS_CPU_FIXTURE_H
#define HEDDLE_TESTS_CPU_FIXTURE_H

#include "cpu/cpu_device.h"
#include "cpu/cpu_table.h"
#include "cpu/gemm_onednn.h"

#include <stdlib.h>
#include <string.h>

/* Which of the processor's instructions for narrow products are used where it has them: dots are VNNI and AVX512_BF16,
 * tiles AMX. */
typedef enum cpu_narrow { CPU_NONE, CPU_DOTS, CPU_TILES } cpu_narrow;
typedef struct cpu_variant { const char *name; hdl_isa isa; hdl_products products; cpu_narrow narrow; } cpu_variant;

static const cpu_variant cpu_variants[] = {
    {"plain", HDL_ISA_PLAIN, HDL_PRODUCTS_OWN, CPU_NONE},
    {"avx2", HDL_ISA_AVX2, HDL_PRODUCTS_OWN, CPU_NONE},
    {"avx512", HDL_ISA_AVX512, HDL_PRODUCTS_OWN, CPU_NONE},
    {"avx512 dots", HDL_ISA_AVX512, HDL_PRODUCTS_OWN, CPU_DOTS},
    {"avx512 tiles", HDL_ISA_AVX512, HDL_PRODUCTS_OWN, CPU_TILES},
    {"oneDNN", HDL_ISA_AUTO, HDL_PRODUCTS_ONEDNN, CPU_TILES},
};

enum { N_CPU_VARIANTS = sizeof cpu_variants / sizeof cpu_variants[0] };

/* NULL when this machine or build lacks the variant. */
static inline hdl_backend_device *cpu_open(const cpu_variant *v)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = v->isa;
    options.products = v->products;
    hdl_backend_device *device = NULL;
    if (hdl__cpu_backend()->open(0, &options, NULL, &device) != HDL_OK) return NULL;
    hdl__cpu_features *f = &device->features;
    if (v->narrow < CPU_DOTS) f->vnni = f->avx512_bf16 = false;
    if (v->narrow < CPU_TILES) f->amx_int8 = f->amx_bf16 = false;
    if (v->products == HDL_PRODUCTS_ONEDNN || v->narrow != CPU_TILES || f->amx_int8 || f->amx_bf16) return device;
    hdl__cpu_backend()->close(device);      /* no tiles here: the same as the dots */
    return NULL;
}

static inline hdl_backend_stream *cpu_stream(hdl_backend_device *device, int32_t M, int32_t K, int32_t N)
{
    const hdl_stream_limits limits = {sizeof limits, M, K, N, 0, 0, 0, 0, 0};
    hdl_backend_stream *stream = NULL;
    if (hdl__cpu_backend()->stream_create(device, &stream) != HDL_OK) return NULL;
    if (hdl__cpu_backend()->stream_reserve(stream, &limits) == HDL_OK) return stream;
    hdl__cpu_stream_close(stream);
    return NULL;
}

/* Uniform in [-1, 1); the generator is Vigna's splitmix64 (public domain). */
static inline float cpu_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-23f - 1.0f;
}

static inline float *cpu_random_floats(size_t n, uint64_t seed)
{
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; ++i) v[i] = cpu_random(&seed);
    return v;
}

/* A plain f32 [N, K] matrix packed for `compute`; NULL on failure. */
static inline hdl_weight *cpu_pack_f32(hdl_backend_device *device, const float *w, int32_t N, int32_t K,
                                       hdl_compute compute)
{
    const hdl_pack_part part = {w, HDL_F32, N, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part;
    args.n_parts = 1;
    args.N = N;
    args.K = K;
    args.compute = compute;
    hdl_weight *out = NULL;
    return hdl__cpu_backend()->pack(device, &args, &out) == HDL_OK ? out : NULL;
}

static inline hdl_gemm_args cpu_gemm_args(const float *x, const hdl_weight *w, float *y, int32_t M, int32_t K,
                                          int32_t N)
{
    return (hdl_gemm_args){.struct_bytes = sizeof(hdl_gemm_args), .x = x, .ldx = K, .w = w, .y = y, .ldy = N,
                           .M = M, .N = N, .K = K, .act = HDL_ACT_NONE};
}

#endif
