/*
 * test_gemm_pack.c - packing: stacked parts of every dtype, transposed, scaled, unaligned; exact int8; what is
 * refused; bytes.
 */
#include "cpu_fixture.h"

#include "base/half.h"

#include <criterion/criterion.h>
#include <math.h>

enum { K = 37, ROWS = 29, N_PARTS = 5, N = ROWS * N_PARTS, M = 3 };

static const hdl_dtype dtypes[N_PARTS] = {HDL_F32, HDL_F16, HDL_BF16, HDL_I8, HDL_I16};

/* One part with random stored values; real [ROWS, K] in double. Its data starts at an odd address. */
typedef struct source { uint8_t bytes[ROWS * K * 4 + 1]; float scale[ROWS]; double real[ROWS * K]; } source;

static double store_value(uint8_t *to, hdl_dtype dtype, float v)
{
    const int8_t i8 = (int8_t)(v * 127.0f);
    const int16_t i16 = (int16_t)(v * 32767.0f);
    const uint16_t bf16 = hdl__bf16_of_f32(v), f16 = (uint16_t)(0x3000u | (i8 & 0x83ff));   /* some normal f16 */
    switch (dtype) {
    case HDL_F16:  memcpy(to, &f16, sizeof f16); return (double)hdl__f32_of_f16(f16);
    case HDL_BF16: memcpy(to, &bf16, sizeof bf16); return (double)hdl__f32_of_bf16(bf16);
    case HDL_I8:   memcpy(to, &i8, sizeof i8); return i8;
    case HDL_I16:  memcpy(to, &i16, sizeof i16); return i16;
    default:       memcpy(to, &v, sizeof v); return (double)v;
    }
}

static hdl_pack_part make_part(source *s, hdl_dtype dtype, bool transposed, int32_t n_scale, uint64_t seed)
{
    const size_t size = hdl_dtype_bytes(dtype);
    for (int32_t r = 0; r < ROWS; ++r) s->scale[r] = dtype == HDL_I16 ? 5000.0f + (float)r : dtype
        == HDL_I8 ? 50.0f + (float)r : 1.5f;
    for (int32_t r = 0; r < ROWS; ++r)
        for (int32_t k = 0; k < K; ++k) {
            const int32_t at = transposed ? k * ROWS + r : r * K + k;
            const double stored = store_value(s->bytes + 1 + (size_t)at * size, dtype, cpu_random(&seed));
            s->real[r * K + k] = n_scale == 0 ? stored : stored / (double)s->scale[n_scale == 1 ? 0 : r];
        }
    return (hdl_pack_part){s->bytes + 1, dtype, ROWS, transposed, n_scale ? s->scale : NULL, n_scale};
}

static void check_parts(const cpu_variant *v, hdl_backend_device *device, hdl_compute compute, bool transposed,
                        int32_t n_scale)
{
    static source sources[N_PARTS];
    hdl_pack_part parts[N_PARTS];
    for (int p = 0; p < N_PARTS; ++p) parts[p] = make_part(&sources[p], dtypes[p], transposed, n_scale,
                                                           5u + (unsigned)p);
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = parts, args.n_parts = N_PARTS, args.N = N, args.K = K, args.compute = compute;
    hdl_weight *w = NULL;
    cr_assert(hdl__cpu_pack(device, &args, &w) == HDL_OK, "%s: %s", v->name, hdl_error_detail());
    float *x = cpu_random_floats(M * K, 99), y[M * N];
    hdl_backend_stream *stream = cpu_stream(device, M, K, N);
    const hdl_gemm_args call = cpu_gemm_args(x, w, y, M, K, N);
    cr_assert(hdl__cpu_gemm(stream, &call) == HDL_OK);
    const double step = compute == HDL_COMPUTE_F32 ? 1e-6 : compute == HDL_COMPUTE_BF16 ? 0x1p-7 : 2.0 / 127.0;
    for (int32_t m = 0; m < M; ++m)
        for (int32_t n = 0; n < N; ++n) {
            const double *row = sources[n / ROWS].real + (n % ROWS) * K;
            double want = 0.0, size = 0.0, most = 0.0;
            for (int32_t k = 0; k < K; ++k) {
                want += (double)x[m * K + k] * row[k];
                size += fabs((double)x[m * K + k] * row[k]);
                most = fmax(most, fabs(row[k]));
            }
            const double allowed = step * (size + (compute == HDL_COMPUTE_INT8 ? 0.5 * most * K : 0.0));
            cr_assert(fabs((double)y[m * N + n] - want) <= allowed,
                      "%s compute %d transposed %d scales %d: %s row %d: %g, want %g", v->name,
                      (int)compute, transposed, n_scale, hdl_dtype_name(dtypes[n / ROWS]), n % ROWS,
                          (double)y[m * N + n], want);
        }
    hdl__cpu_stream_close(stream);
    hdl__cpu_weight_close(w);
    free(x);
}

Test(gemm_pack, parts_of_every_dtype_stack_transposed_scaled_and_unaligned)
{
    static const hdl_compute computes[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_INT8};
    static const int32_t scales[] = {0, 1, ROWS};
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        for (int i = 0; device != NULL && i < 18; ++i)
            check_parts(&cpu_variants[v], device, computes[i % 3], i / 9 == 1, scales[i / 3 % 3]);
        hdl__cpu_backend()->close(device);
    }
}

/* Stored int8 keeps its integers, -128 too: y is one exact sum, scaled. All extremes: an instruction that
 * saturates fails here. */
Test(gemm_pack, stored_int8_is_exact_at_its_extremes)
{
    enum { LONG = 515, WIDE = 67 };
    static int8_t stored[WIDE * LONG];
    static float x[LONG], y[WIDE], scale[WIDE];
    for (int32_t n = 0; n < WIDE; ++n) {
        scale[n] = 100.0f + (float)n;
        for (int32_t k = 0; k < LONG; ++k) stored[n * LONG + k] = n % 3 == 0 ? 127 : n % 3
            == 1 ? -128 : (int8_t)(k * 7 - 100);
    }
    for (int32_t k = 0; k < LONG; ++k) x[k] = k % 5 == 4 ? -127.0f : 127.0f;      /* scale 1: the integers themselves */
    const hdl_pack_part part = {stored, HDL_I8, WIDE, 0, scale, WIDE};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part, args.n_parts = 1, args.N = WIDE, args.K = LONG, args.compute = HDL_COMPUTE_INT8;
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_open(&cpu_variants[v]);
        if (device == NULL) continue;
        hdl_weight *w = NULL;
        cr_assert(hdl__cpu_pack(device, &args, &w) == HDL_OK);
        hdl_backend_stream *stream = cpu_stream(device, 1, LONG, WIDE);
        const hdl_gemm_args call = cpu_gemm_args(x, w, y, 1, LONG, WIDE);
        cr_assert(hdl__cpu_gemm(stream, &call) == HDL_OK);
        for (int32_t n = 0; n < WIDE; ++n) {
            int64_t sum = 0;
            for (int32_t k = 0; k < LONG; ++k) sum += (int64_t)x[k] * stored[n * LONG + k];
            const float want = (float)sum * (1.0f / scale[n]);
            cr_expect(y[n] == want, "%s column %d: %.9g, want %.9g", cpu_variants[v].name, n, (double)y[n],
                      (double)want);
        }
        hdl__cpu_stream_close(stream);
        hdl__cpu_weight_close(w);
        hdl__cpu_backend()->close(device);
    }
}

Test(gemm_pack, what_cannot_be_packed_is_refused_in_words)
{
    hdl_backend_device *device = cpu_open(&cpu_variants[0]);
    const float one = 1.0f;
    const hdl_pack_part part = {&one, HDL_F32, 1, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part, args.n_parts = 1, args.N = 1, args.K = 1, args.compute = HDL_COMPUTE_F16;
    hdl_weight *w = NULL;
    cr_expect(hdl__cpu_pack(device, &args, &w) == HDL_ENOSUPPORT && strstr(hdl_error_detail(), "f16") != NULL);
    args.compute = HDL_COMPUTE_AUTO;
    cr_expect(hdl__cpu_pack(device, &args, &w) == HDL_EINVAL);
    args.compute = HDL_COMPUTE_F32, args.ranks = 2;
    cr_expect(hdl__cpu_pack(device, &args, &w) == HDL_ENOSUPPORT);
    cr_expect(w == NULL);
    hdl__cpu_backend()->close(device);
}

/* Every allocation of a pack fails once; bytes are those of the dtype, no more than a strip of padding beyond. */
Test(gemm_pack, memory_is_counted_and_its_lack_is_reported)
{
    static const struct { hdl_compute compute; size_t bytes; } table[] = {{HDL_COMPUTE_F32, 4}, {HDL_COMPUTE_BF16, 2},
        {HDL_COMPUTE_INT8, 1}};
    enum { WIDE = 256, LONG = 128 };
    float *w = cpu_random_floats(WIDE * LONG, 3);
    for (int v = 0; v < N_CPU_VARIANTS; ++v)
        for (size_t c = 0; c < 3; ++c) {
            hdl_backend_device *device = cpu_open(&cpu_variants[v]);
            if (device == NULL) continue;
            hdl_weight *packed = NULL;
            uint64_t n_failed = 0;
            while (packed == NULL && n_failed < 64) {
                hdl__alloc_fail_at(n_failed + 1);
                packed = cpu_pack_f32(device, w, WIDE, LONG, table[c].compute);
                if (packed == NULL) ++n_failed;
            }
            hdl__alloc_fail_at(0);
            cr_assert(packed != NULL && n_failed >= 2, "%s: %d failures", cpu_variants[v].name, (int)n_failed);
            const size_t bytes = hdl__cpu_weight_bytes(packed), plain = table[c].bytes * WIDE * LONG;
            const size_t layouts = packed->library != NULL && packed->strips != NULL ? 2 : 1;
            cr_expect(bytes >= layouts * plain && bytes <= layouts * plain + 16384, "%s: %zu bytes for %zu",
                      cpu_variants[v].name, bytes, plain);
            hdl__cpu_weight_close(packed);
            hdl__cpu_backend()->close(device);
        }
    free(w);
}
