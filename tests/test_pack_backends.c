/*
 * test_pack_backends.c - packing on every backend, through its table: parts of every dtype come back as they are, and what
 * is not offered is refused.
 */
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(pack_backends, .timeout = OP_TEST_SECONDS);

enum { SEED = 4600 };

static void reserve(op_world *w)
{
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 64, .K = 64, .N = 64};
    op_reserve(w, &limits);
}

/* y [M, N] = x W^T, rows dense. */
static hdl_gemm_args args_of(const op_world *w, const hdl_weight *weight, int32_t M, int32_t K, int32_t N, const void *x, void *y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x, a.ldx = K, a.w = weight, a.y = y, a.ldy = N;
    a.M = M, a.N = N, a.K = K, a.act_dtype = w->act;
    return a;
}

/* Stacked parts of every dtype, transposed or not, scaled by row, by one number or not at all, at odd addresses. */
enum { PACK_K = 37, PACK_ROWS = 9, PACK_PARTS = 5, PACK_N = PACK_ROWS * PACK_PARTS };

typedef struct stored_part {
    uint8_t bytes[PACK_ROWS * PACK_K * 4 + 1];
    float   scale[PACK_ROWS];
    double  real[PACK_ROWS * PACK_K];
} stored_part;

static double store_value(uint8_t *to, hdl_dtype dtype, int32_t value)
{
    const int8_t i8 = (int8_t)value;
    const int16_t i16 = (int16_t)(value * 200);
    const float f32 = (float)value / 64.0f;
    const uint16_t f16 = (uint16_t)(0x3c00 + (value & 0x3ff));      /* 1 + (value mod 1024) / 1024 */
    uint32_t bits;
    memcpy(&bits, &f32, sizeof bits);
    const uint16_t bf16 = (uint16_t)(bits >> 16);       /* value has at most 7 bits: exact */
    switch (dtype) {
    case HDL_F16:  memcpy(to, &f16, sizeof f16); return 1.0 + (double)(value & 0x3ff) / 1024.0;
    case HDL_BF16: memcpy(to, &bf16, sizeof bf16); return (double)f32;
    case HDL_I8:   memcpy(to, &i8, sizeof i8); return i8;
    case HDL_I16:  memcpy(to, &i16, sizeof i16); return i16;
    default:       memcpy(to, &f32, sizeof f32); return (double)f32;
    }
}

static hdl_pack_part make_part(op_world *w, stored_part *s, hdl_dtype dtype, bool transposed, int32_t n_scale)
{
    const size_t size = hdl_dtype_bytes(dtype);
    for (int32_t r = 0; r < PACK_ROWS; r++)
        s->scale[r] = dtype == HDL_I16 ? 5000.0f + (float)r : dtype == HDL_I8 ? 50.0f + (float)r : 1.5f;
    for (int32_t r = 0; r < PACK_ROWS; r++)
        for (int32_t k = 0; k < PACK_K; k++) {
            const int32_t at = transposed ? k * PACK_ROWS + r : r * PACK_K + k;
            const double stored = store_value(s->bytes + 1 + (size_t)at * size, dtype, op_below(w, 255) - 127);
            s->real[r * PACK_K + k] = n_scale == 0 ? stored : stored / (double)s->scale[n_scale == 1 ? 0 : r];
        }
    return (hdl_pack_part){s->bytes + 1, dtype, PACK_ROWS, transposed, n_scale > 0 ? s->scale : NULL, n_scale};
}

static const hdl_dtype dtypes[PACK_PARTS] = {HDL_F32, HDL_F16, HDL_BF16, HDL_I8, HDL_I16};

static hdl_weight *pack_parts(op_world *w, const hdl_pack_part *list, hdl_compute compute)
{
    hdl_pack_args pack = HDL_PACK_ARGS_INIT;
    pack.parts = list, pack.n_parts = PACK_PARTS, pack.N = PACK_N, pack.K = PACK_K, pack.compute = compute;
    hdl_weight *weight = NULL;
    cr_assert_eq(w->backend->pack(w->device, &pack, &weight), HDL_OK, "%s", op_error(w));
    return weight;
}

static float *unit_rows(op_world *w)
{
    float *unit = op_host(w, PACK_K * PACK_K * sizeof *unit);
    for (int32_t k = 0; k < PACK_K; k++) unit[k * PACK_K + k] = 1.0f;
    return unit;
}

/* Unit vectors read the packed matrix back, row by row of inputs. */
static void check_pack(op_world *w, bool transposed, int32_t n_scale)
{
    static stored_part parts[PACK_PARTS];
    hdl_pack_part list[PACK_PARTS];
    for (int p = 0; p < PACK_PARTS; p++) list[p] = make_part(w, &parts[p], dtypes[p], transposed, n_scale);
    hdl_weight *weight = pack_parts(w, list, w->compute);
    cr_assert_geq(w->backend->weight_bytes(weight), op_act_bytes(w, PACK_K * PACK_N));
    float *y = op_host(w, PACK_K * PACK_N * sizeof *y);
    const hdl_gemm_args a =
        args_of(w, weight, PACK_K, PACK_K, PACK_N, op_act(w, unit_rows(w), PACK_K * PACK_K), op_act(w, NULL, PACK_K * PACK_N));
    cr_assert_eq(w->backend->gemm(w->stream, &a), HDL_OK, "%s", op_error(w));
    op_act_fetch(w, y, a.y, PACK_K * PACK_N);
    for (int32_t i = 0; i < PACK_K * PACK_N; i++) {
        const int32_t n = i % PACK_N, k = i / PACK_N;
        float want = (float)parts[n / PACK_ROWS].real[n % PACK_ROWS * PACK_K + k];
        op_act_round(w, &want, 1);
        cr_assert_eq(y[i], want, "%s transposed %d scales %d: %s row %d input %d: %.9g, want %.9g", op_place_name(w->place),
                     transposed, n_scale, hdl_dtype_name(dtypes[n / PACK_ROWS]), n % PACK_ROWS, k, (double)y[i], (double)want);
    }
    w->backend->weight_close(weight);
}

Test(pack_backends, parts_of_every_dtype_stack_transposed_scaled_and_unaligned)
{
    static const int32_t scales[] = {0, 1, PACK_ROWS};
    for (int place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 400)) continue;
        reserve(&w);
        for (int i = 0; i < 6; i++) check_pack(&w, i >= 3, scales[i % 3]);
        op_close(&w);
    }
}

/* y [PACK_K, PACK_N] of unit rows of f32 and the parts packed as int8: a row's integer 127 times each of the weights', scaled. */
static float *read_int8(op_world *w, const hdl_pack_part *list)
{
    enum { BYTES = PACK_K * PACK_N * sizeof(float) };
    hdl_weight *weight = pack_parts(w, list, HDL_COMPUTE_INT8);
    cr_assert_geq(w->backend->weight_bytes(weight), PACK_N * (PACK_K + sizeof(float)));
    hdl_gemm_args a = args_of(w, weight, PACK_K, PACK_K, PACK_N, op_device(w, unit_rows(w), PACK_K * PACK_K * sizeof(float)),
                              op_device(w, NULL, BYTES));
    a.act_dtype = HDL_F32;
    cr_assert_eq(w->backend->gemm(w->stream, &a), HDL_OK, "%s", op_error(w));
    float *y = op_host(w, BYTES);
    op_fetch(w, y, a.y, BYTES);
    w->backend->weight_close(weight);
    return y;
}

/* Stored int8 keeps its integers, -128 too; what is quantised here has the integers and the scales of the CPU. */
static void check_int8(op_world *w, op_world *cpu, bool transposed, int32_t n_scale)
{
    enum { STORED = 3 };        /* the part of int8 */
    static stored_part parts[PACK_PARTS];
    hdl_pack_part list[PACK_PARTS];
    for (int p = 0; p < PACK_PARTS; p++) list[p] = make_part(w, &parts[p], dtypes[p], transposed, n_scale);
    memset(parts[0].bytes + 1, 0, transposed ? sizeof(float) : PACK_K * sizeof(float));     /* a zero row, where rows lie together */
    parts[STORED].bytes[1] = 0x80;
    const float *y = read_int8(w, list), *wanted = read_int8(cpu, list);
    for (int32_t i = 0; i < PACK_K * PACK_N; i++) {
        const int32_t n = i % PACK_N, k = i / PACK_N, row = n % PACK_ROWS;
        cr_assert_eq(memcmp(&y[i], &wanted[i], sizeof *y), 0, "%s transposed %d scales %d: %s row %d input %d: %.9g, the CPU has %.9g",
                     op_place_name(w->place), transposed, n_scale, hdl_dtype_name(dtypes[n / PACK_ROWS]), row, k, (double)y[i],
                     (double)wanted[i]);
        if (n / PACK_ROWS != STORED) continue;
        const int8_t stored = (int8_t)parts[STORED].bytes[1 + (transposed ? k * PACK_ROWS + row : row * PACK_K + k)];
        const float scale = n_scale == 0 ? 1.0f : parts[STORED].scale[n_scale == 1 ? 0 : row];
        const float want = (float)(127 * stored) * (1.0f / 127.0f) * (1.0f / scale);
        cr_assert_eq(y[i], want, "stored row %d input %d: %.9g, want %.9g", row, k, (double)y[i], (double)want);
    }
}

Test(pack_backends, int8_packs_to_the_integers_of_the_cpu)
{
    static const int32_t scales[] = {0, 1, PACK_ROWS};
    for (int place = OP_SIMT_INT8; place <= OP_CUDA_INT8; place++) {
        op_world w, cpu;
        if (!op_open_at(&w, (op_place)place, SEED + 450)) continue;
        cr_assert(op_open_at(&cpu, OP_CPU_AUTO, SEED + 450));
        reserve(&w), reserve(&cpu);
        for (int i = 0; i < 6; i++) check_int8(&w, &cpu, i >= 3, scales[i % 3]);
        op_close(&cpu);
        op_close(&w);
    }
}

/* Rows of `act` under weights of another compute type. */
static void check_rows_refused(op_world *w, hdl_compute compute, hdl_dtype act, const char *words)
{
    const float one = 1.0f;
    hdl_weight *weight = op_pack(w, &one, 1, 1, compute);
    hdl_gemm_args a = args_of(w, weight, 1, 1, 1, op_device(w, NULL, 64), op_device(w, NULL, 64));
    a.act_dtype = act;
    cr_expect_eq(w->backend->gemm(w->stream, &a), HDL_EDTYPE);
    cr_expect(strstr(op_error(w), words) != NULL, "%s", op_error(w));
    w->backend->weight_close(weight);
}

/* Compute types that are not there, int8 sums that might not fit, and rows that do not go with the weights: one line, nothing queued. */
Test(pack_backends, what_is_not_offered_is_refused_in_words)
{
    static const op_place libraries[] = {OP_SIMT_F32, OP_CUDA_F32};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        op_world w;
        if (!op_open_at(&w, libraries[i], SEED + 500)) continue;
        reserve(&w);
        const float one = 1.0f;
        const hdl_pack_part part = {&one, HDL_F32, 1, 0, NULL, 0};
        hdl_pack_args pack = HDL_PACK_ARGS_INIT;
        pack.parts = &part, pack.n_parts = 1, pack.N = 1, pack.K = 1, pack.compute = HDL_COMPUTE_AUTO;
        hdl_weight *weight = NULL;
        cr_expect_eq(w.backend->pack(w.device, &pack, &weight), HDL_EINVAL);
        cr_expect(strstr(op_error(&w), "compute = 0, allowed f32, bf16, f16, int8") != NULL, "%s", op_error(&w));
        pack.compute = HDL_COMPUTE_INT8, pack.K = 132105;       /* 2^31 / (128 * 127), and one */
        cr_expect_eq(w.backend->pack(w.device, &pack, &weight), HDL_ESHAPE);
        cr_expect(strstr(op_error(&w), "K = 132105, int8 sums are exact up to 132104") != NULL, "%s", op_error(&w));
        cr_expect_null(weight);
        check_rows_refused(&w, HDL_COMPUTE_F32, HDL_BF16, "act_dtype = bf16, weights packed for f32 take f32");
        check_rows_refused(&w, HDL_COMPUTE_F32, HDL_F16, "act_dtype = f16, weights packed for f32 take f32");
        check_rows_refused(&w, HDL_COMPUTE_INT8, HDL_F16, "act_dtype = f16, weights packed for int8 take f32 and bf16");
        check_rows_refused(&w, HDL_COMPUTE_F16, HDL_BF16, "act_dtype = bf16, weights packed for f16 take f32 and f16");
        check_rows_refused(&w, HDL_COMPUTE_BF16, HDL_F16, "act_dtype = f16, weights packed for bf16 take f32 and bf16");
        op_close(&w);
    }
}
