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

static const struct { const char *name, *library; hdl_isa isa; hdl_compute compute; hdl_dtype act; } places[] = {
    [OP_PLAIN] = {"plain", NULL, HDL_ISA_PLAIN, HDL_COMPUTE_F32, HDL_F32},
    [OP_AVX2] = {"avx2", NULL, HDL_ISA_AVX2, HDL_COMPUTE_F32, HDL_F32},
    [OP_AVX512] = {"avx512", NULL, HDL_ISA_AVX512, HDL_COMPUTE_F32, HDL_F32},
    [OP_SIMT_F32] = {"simt f32", "simt", HDL_ISA_AUTO, HDL_COMPUTE_F32, HDL_F32},
    [OP_SIMT_BF16] = {"simt bf16", "simt", HDL_ISA_AUTO, HDL_COMPUTE_BF16, HDL_BF16},
    [OP_SIMT_F16] = {"simt f16", "simt", HDL_ISA_AUTO, HDL_COMPUTE_F16, HDL_F16},
    [OP_CUDA_F32] = {"cuda f32", "cuda", HDL_ISA_AUTO, HDL_COMPUTE_F32, HDL_F32},
    [OP_CUDA_BF16] = {"cuda bf16", "cuda", HDL_ISA_AUTO, HDL_COMPUTE_BF16, HDL_BF16},
    [OP_CUDA_F16] = {"cuda f16", "cuda", HDL_ISA_AUTO, HDL_COMPUTE_F16, HDL_F16},
    [OP_SIMT_INT8] = {"simt int8", "simt", HDL_ISA_AUTO, HDL_COMPUTE_INT8, HDL_BF16},
    [OP_CUDA_INT8] = {"cuda int8", "cuda", HDL_ISA_AUTO, HDL_COMPUTE_INT8, HDL_BF16},
    [OP_CPU_INT8] = {"auto int8", NULL, HDL_ISA_AUTO, HDL_COMPUTE_INT8, HDL_F32},
    [OP_CPU_AUTO] = {"auto", NULL, HDL_ISA_AUTO, HDL_COMPUTE_F32, HDL_F32},
};

const char *op_place_name(op_place place) { return places[place].name; }

/* A test that cannot go on: the line says why, and the process ends so that the test fails. */
static void stop_unless(const op_world *w, bool fine, const char *what)
{
    if (fine) return;
    printf("%s: %s failed: %s\n", op_place_name(w->place), what, op_error(w));
    fflush(stdout);
    abort();
}

bool op_open_at(op_world *w, op_place place, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->place = place;
    w->isa = places[place].isa;
    w->compute = places[place].compute;
    w->act = places[place].act;
    w->random = seed;
    w->backend = places[place].library != NULL ? op_library(places[place].library) : hdl__cpu_backend();
    if (w->backend == NULL) return false;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.isa = w->isa;
    options.products = HDL_PRODUCTS_OWN;
    if (w->backend->open(0, &options, &op_services, &w->device) != HDL_OK) {
        printf("skipped: no %s here: %s\n", op_place_name(place), op_error(w));
        return false;
    }
    stop_unless(w, w->backend->stream_create(w->device, &w->stream) == HDL_OK, "stream");
    printf("%s, seed %llu\n", op_place_name(place), (unsigned long long)seed);
    return true;
}

bool op_open(op_world *w, hdl_isa isa, uint64_t seed)
{
    for (int place = 0; place <= OP_CPU_AUTO; place++)
        if (places[place].library == NULL && places[place].isa == isa && places[place].compute == HDL_COMPUTE_F32)
            return op_open_at(w, (op_place)place, seed);
    return false;
}

const char *op_error(const op_world *w) { return op_on_cpu(w) ? hdl_error_detail() : op_services_line(); }

void op_schedule(op_world *w, uint64_t seed)
{
    if (!op_on_simt(w)) return;
    static const char *const hooks[] = {"simt_set_schedule", "simt_set_streams"};
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
        void *symbol = op_symbol("simt", hooks[i]);
        void (*set)(uint64_t, const char *) = NULL;
        memcpy(&set, &symbol, sizeof set);
        if (set != NULL) set(seed, NULL);
    }
}

void op_reserve(op_world *w, const hdl_stream_limits *limits)
{
    stop_unless(w, w->backend->stream_reserve(w->stream, limits) == HDL_OK, "reserve");
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
    stop_unless(w, w->backend->alloc(w->device, bytes, &block) == HDL_OK, "alloc");
    if (host != NULL) op_send(w, block, host, bytes);
    return keep_block(w, block, bytes, false);
}

void op_send(op_world *w, void *device, const void *host, size_t bytes)
{
    stop_unless(w, w->backend->upload(w->stream, device, host, bytes) == HDL_OK, "upload");
    stop_unless(w, w->backend->stream_wait(w->stream) == HDL_OK, "wait");
}

void op_fetch(op_world *w, void *host, const void *device, size_t bytes)
{
    stop_unless(w, w->backend->download(w->stream, host, device, bytes) == HDL_OK, "download");
    stop_unless(w, w->backend->stream_wait(w->stream) == HDL_OK, "wait");
}

/* To the nearest bf16, ties to even, as bits; the tests' numbers are finite or infinite or NaN with its high bit set. */
static uint16_t bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)(bits >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static float of_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest f16, ties to even, as bits: a number of steps of the number's binade, the last carry into the exponent;
 * infinite from 65520 on. */
static uint16_t f16_of(float value)
{
    enum { SUBNORMAL_STEP = -24, DIGITS = 11, INFINITE = 0x7c00, ABOVE = 17 };
    const uint16_t sign = signbit(value) ? 0x8000u : 0u;
    int exponent = 0;
    if (value != value) return (uint16_t)(sign | INFINITE | 0x200u);
    if (isinf(value)) return (uint16_t)(sign | INFINITE);
    if (value == 0.0f) return sign;     /* in no binade */
    const double size = frexp(fabs((double)value), &exponent);
    if (exponent >= ABOVE) return (uint16_t)(sign | INFINITE);
    const int step = exponent - DIGITS > SUBNORMAL_STEP ? exponent - DIGITS : SUBNORMAL_STEP;
    const unsigned steps = (unsigned)nearbyint(ldexp(size, exponent - step));
    return (uint16_t)(sign | (((unsigned)(step - SUBNORMAL_STEP) << 10) + steps));
}

static float of_f16(uint16_t half)
{
    const int field = half >> 10 & 31, digits = half & 1023;
    const double size = field == 31 ? (digits != 0 ? NAN : INFINITY)
                      : field == 0  ? ldexp(digits, -24) : ldexp(digits + 1024, field - 25);
    return (float)(half >> 15 != 0 ? -size : size);
}

static uint16_t half_of(const op_world *w, float value) { return w->act == HDL_F16 ? f16_of(value) : bf16_of(value); }
static float of_half(const op_world *w, uint16_t half) { return w->act == HDL_F16 ? of_f16(half) : of_bf16(half); }

static float round_act(const op_world *w, float value)
{
    return w->act == HDL_F32 ? value : of_half(w, half_of(w, value));
}

void op_act_round(const op_world *w, float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) values[i] = round_act(w, values[i]);
}

void *op_act(op_world *w, float *host, size_t n)
{
    void *device = op_device(w, NULL, op_act_bytes(w, n));
    if (host != NULL) op_act_send(w, device, host, n);
    return device;
}

void op_act_send(op_world *w, void *device, float *host, size_t n)
{
    op_act_round(w, host, n);
    if (w->act == HDL_F32) {
        op_send(w, device, host, n * sizeof *host);
        return;
    }
    uint16_t *halves = malloc(n * sizeof *halves + 1);
    for (size_t i = 0; i < n; i++) halves[i] = half_of(w, host[i]);
    op_send(w, device, halves, n * sizeof *halves);
    free(halves);
}

void op_act_fetch(op_world *w, float *host, const void *device, size_t n)
{
    if (w->act == HDL_F32) {
        op_fetch(w, host, device, n * sizeof *host);
        return;
    }
    uint16_t *halves = malloc(n * sizeof *halves + 1);
    op_fetch(w, halves, device, n * sizeof *halves);
    for (size_t i = 0; i < n; i++) host[i] = of_half(w, halves[i]);
    free(halves);
}

static float greatest_of(const float *row, int32_t K)
{
    float most = 0.0f;
    for (int32_t k = 0; k < K; k++) most = fmaxf(most, fabsf(row[k]));
    return most;
}

void op_int8_grid(const op_world *w, float *values, int32_t rows, int32_t K)
{
    for (int32_t r = 0; w->compute == HDL_COMPUTE_INT8 && r < rows; r++) {
        float *row = values + (int64_t)r * K;
        int exponent = 0;
        (void)frexpf(greatest_of(row, K) / 126.0f, &exponent);      /* no value passes 126 steps */
        const float step = ldexpf(1.0f, exponent);
        for (int32_t k = 0; k < K; k++) row[k] = rintf(row[k] / step) * step;
        row[0] = 127.0f * step;
    }
}

double *op_multiplied(op_world *w, const float *values, int32_t rows, int32_t K)
{
    double *to = op_host(w, (size_t)rows * (size_t)K * sizeof *to);
    for (int32_t r = 0; r < rows; r++) {
        const float most = greatest_of(values + (int64_t)r * K, K), scale = most > 0.0f ? 127.0f / most : 1.0f;
        for (int32_t k = 0; k < K; k++) {
            const float value = values[(int64_t)r * K + k];
            to[(int64_t)r * K + k] = w->compute == HDL_COMPUTE_INT8 ? (double)rintf(value * scale) / (double)scale : (double)value;
        }
    }
    return to;
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

double op_bound(const op_world *w, float *naive, const double *expected, size_t n)
{
    op_act_round(w, naive, n);
    double noise = 0.0;
    for (size_t i = 0; i < n; i++) {
        const volatile float raised = round_act(w, (float)expected[i] + 0.3f), back = round_act(w, raised - 0.3f);
        const double error = fabs((double)back - expected[i]);
        if (error > noise) noise = error;
    }
    return 2.0 * (op_worst(naive, expected, n) + noise);
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
    stop_unless(w, w->backend->pack(w->device, &args, &weight) == HDL_OK, "pack");
    return weight;
}
