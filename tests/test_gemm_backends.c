/*
 * test_gemm_backends.c - products on every backend, through its table: against double, bits of a row wherever it
 * stands, everything that a product does beside multiplying, activations.
 */
#include "activation_reference.h"
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(gemm_backends, .timeout = OP_TEST_SECONDS);

typedef struct shape { int32_t M, K, N; } shape;

/* Odd and even extents; chunks of 256 cut short; enough rows and columns for every tile. */
static const shape shapes[] = {
    {1, 1, 1}, {2, 3, 5}, {3, 40, 33}, {16, 64, 64}, {17, 257, 31}, {1, 1100, 96}, {5, 2048, 64}, {40, 600, 70},
    {65, 520, 40}, {128, 72, 256}, {200, 264, 300}, {65, 40, 830},
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0], SEED = 4100 };

typedef struct product {
    shape       s;
    float      *x, *weights;        /* host; as the op reads them */
    hdl_weight *w;
} product;

/* `grid`: weights that int8 holds exactly, where that matters. */
static void make_product(op_world *w, shape s, bool grid, product *p)
{
    p->s = s;
    p->x = op_normals(w, (size_t)s.M * (size_t)s.K);
    p->weights = op_normals(w, (size_t)s.N * (size_t)s.K);
    op_int8_grid(w, p->weights, grid ? s.N : 0, s.K);
    op_act_round(w, p->x, (size_t)s.M * (size_t)s.K);
    op_act_round(w, p->weights, (size_t)s.N * (size_t)s.K);
    p->w = op_pack(w, p->weights, s.N, s.K, w->compute);
}

static void reserve(op_world *w)
{
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 512, .K = 4224, .N = 1024};
    op_reserve(w, &limits);
}

static hdl_gemm_args args_of(const op_world *w, const product *p, const void *x, void *y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x, a.ldx = p->s.K, a.w = p->w, a.y = y, a.ldy = p->s.N;
    a.M = p->s.M, a.N = p->s.N, a.K = p->s.K, a.act_dtype = w->act;
    return a;
}

static void run(op_world *w, const hdl_gemm_args *a)
{
    cr_assert_eq(w->backend->gemm(w->stream, a), HDL_OK, "%s: %s", op_place_name(w->place), op_error(w));
}

static void check_shape(op_world *w, shape s)
{
    product p;
    make_product(w, s, false, &p);
    const size_t n = (size_t)s.M * (size_t)s.N;
    double *expected = op_host(w, n * sizeof *expected);
    float *naive = op_host(w, n * sizeof *naive), *y = op_host(w, n * sizeof *y);
    const double *x = op_multiplied(w, p.x, s.M, s.K), *weights = op_multiplied(w, p.weights, s.N, s.K);
    for (int32_t m = 0; m < s.M; m++)
        for (int32_t j = 0; j < s.N; j++)
            for (int32_t k = 0; k < s.K; k++) {
                expected[m * s.N + j] += x[m * s.K + k] * weights[j * s.K + k];
                naive[m * s.N + j] += (float)x[m * s.K + k] * (float)weights[j * s.K + k];
            }
    void *to = op_act(w, NULL, n);
    const hdl_gemm_args a = args_of(w, &p, op_act(w, p.x, (size_t)s.M * (size_t)s.K), to);
    run(w, &a);
    op_act_fetch(w, y, to, n);
    const double worst = op_worst(y, expected, n), bound = op_bound(w, naive, expected, n);
    cr_assert(worst <= bound, "%s M %d K %d N %d: error %g, bound %g", op_place_name(w->place), s.M, s.K, s.N, worst, bound);
    w->backend->weight_close(p.w);
}

Test(gemm_backends, agree_with_double_for_every_shape, .timeout = 300)
{
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++)
        for (int i = 0; i < N_SHAPES; i++) {
            op_world w;
            if (!op_open_at(&w, (op_place)place, SEED + (uint64_t)i)) break;
            reserve(&w);
            check_shape(&w, shapes[i]);
            op_close(&w);
        }
}

/* 16-bit weights under f32 rows: the rows are rounded first. */
static void check_mixed(op_world *w, shape s, bool listed)
{
    const size_t MK = (size_t)s.M * (size_t)s.K, NK = (size_t)s.N * (size_t)s.K, n = (size_t)s.M * (size_t)s.N;
    float *x = op_normals(w, MK), *weights = op_normals(w, NK), *y = op_host(w, n * sizeof *y);
    double *expected = op_host(w, n * sizeof *expected);
    const product p = {s, x, weights, op_pack(w, weights, s.N, s.K, w->compute)};
    int32_t *rows = op_host(w, (size_t)s.M * sizeof *rows);
    for (int32_t m = 0; m < s.M; m++) rows[m] = listed ? (m * 5 + 2) % s.M : m;
    hdl_gemm_args a = args_of(w, &p, op_device(w, x, MK * sizeof *x), op_device(w, NULL, n * sizeof *y));
    a.act_dtype = HDL_F32;
    a.rows = listed ? op_device(w, rows, (size_t)s.M * sizeof *rows) : NULL;
    run(w, &a);
    op_fetch(w, y, a.y, n * sizeof *y);
    op_act_round(w, x, MK);
    op_act_round(w, weights, NK);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < s.K; k++)
            expected[i] += (double)x[rows[i / (size_t)s.N] * s.K + k] * (double)weights[(int32_t)(i % (size_t)s.N) * s.K + k];
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)y[i] - expected[i]) < 1e-3, "%s: element %zu: %g, want %g", op_place_name(w->place), i,
                  (double)y[i], expected[i]);
    w->backend->weight_close(p.w);
}

Test(gemm_backends, weights_of_16_bits_round_f32_rows)
{
    for (int place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 50)) continue;
        reserve(&w);
        for (int listed = 0; w.act != HDL_F32 && listed < 2; listed++)
            check_mixed(&w, listed ? (shape){7, 83, 21} : (shape){20, 272, 32}, listed);
        op_close(&w);
    }
}

/* Sums of int8 are exact and scaled alike: with f32 rows the CPU's bits, rows that are zero, tiny or not finite too. */
static void check_int8(op_world *w, shape s, bool listed)
{
    const size_t MK = (size_t)s.M * (size_t)s.K, NK = (size_t)s.N * (size_t)s.K, n = (size_t)s.M * (size_t)s.N;
    op_world cpu;
    cr_assert(op_open_at(&cpu, OP_CPU_AUTO, SEED));
    reserve(&cpu);
    float *x = op_normals(w, MK), *weights = op_normals(w, NK), *y[2];
    if (s.M > 6) memset(x, 0, (size_t)s.K * sizeof *x), x[s.K] = NAN, x[3 * s.K - 1] = -INFINITY;
    for (int32_t k = 0; s.M > 6 && k < s.K; k++) x[3 * s.K + k] *= 1e-40f, x[4 * s.K + k] *= 1e-30f;
    int32_t *rows = op_host(w, (size_t)s.M * sizeof *rows);
    for (int32_t m = 0; m < s.M; m++) rows[m] = (m * 5 + 2) % s.M;
    op_world *const worlds[2] = {w, &cpu};
    for (int i = 0; i < 2; i++) {
        op_world *at = worlds[i];
        const product p = {s, x, weights, op_pack(at, weights, s.N, s.K, HDL_COMPUTE_INT8)};
        hdl_gemm_args a = args_of(at, &p, op_device(at, x, MK * sizeof *x), op_device(at, NULL, n * sizeof **y));
        a.act_dtype = HDL_F32;
        a.rows = listed ? op_device(at, rows, (size_t)s.M * sizeof *rows) : NULL;
        run(at, &a);
        op_fetch(at, y[i] = op_host(w, n * sizeof **y), a.y, n * sizeof **y);
        at->backend->weight_close(p.w);
    }
    for (size_t i = 0; i < n; i++)
        cr_assert((isnan(y[0][i]) && isnan(y[1][i])) || memcmp(&y[0][i], &y[1][i], sizeof **y) == 0,
                  "%s M %d K %d N %d: element %zu: %.9g, the CPU has %.9g", op_place_name(w->place), s.M, s.K, s.N, i, (double)y[0][i],
                  (double)y[1][i]);
    op_close(&cpu);
}

Test(gemm_backends, int8_of_f32_rows_has_the_bits_of_the_cpu, .timeout = 120)
{
    static const shape some[] = {{1, 1, 1}, {7, 83, 21}, {17, 257, 31}, {5, 2048, 64}, {65, 520, 40}, {150, 72, 264},
                                 {3, 4130, 40}};     /* wider than what few rows are quantised in place for */
    for (int place = OP_SIMT_INT8; place <= OP_CUDA_INT8; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 70)) continue;
        reserve(&w);
        for (size_t i = 0; i < sizeof some / sizeof *some; i++) check_int8(&w, some[i], i % 2 == 1);
        op_close(&w);
    }
}

/* Products around 65504, the greatest f16: a result is rounded as IEEE 754 has it, never clamped; f32 results do not care. */
static void check_overflow(op_world *w, hdl_dtype act)
{
    enum { N = 6 };
    float x[1] = {256.0f}, y[N], weights[N] = {255.875f, 255.9f, 256.0f, -256.0f, 300.0f, 2.0f};
    const float half[N] = {65504.0f, 65504.0f, INFINITY, -INFINITY, INFINITY, 512.0f};
    const hdl_dtype own = w->act;
    const product p = {{1, 1, N}, x, weights, op_pack(w, weights, N, 1, w->compute)};
    w->act = act;
    hdl_gemm_args a = args_of(w, &p, op_act(w, x, 1), op_act(w, NULL, N));
    run(w, &a);
    op_act_fetch(w, y, a.y, N);
    w->act = own;
    op_act_round(w, weights, N);
    for (int n = 0; n < N; n++) {
        const float want = act == HDL_F16 ? half[n] : 256.0f * weights[n];
        cr_assert_eq(y[n], want, "%s act %d output %d: %g, want %g", op_place_name(w->place), (int)act, n, (double)y[n], (double)want);
    }
    w->backend->weight_close(p.w);
}

Test(gemm_backends, what_passes_the_greatest_f16_is_infinite_in_f16_alone)
{
    for (int place = 0; place < OP_N_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 60)) continue;
        reserve(&w);
        check_overflow(&w, HDL_F32);
        if (w.act == HDL_F16) check_overflow(&w, HDL_F16);
        op_close(&w);
    }
}

/*
 * A row alone, among others, behind any list, on any schedule has the same bits. `wide`: rows and results are f32 whatever
 * the weights; rounding to 16 bits would hide most differences.
 */
static void check_places(op_world *w, int32_t K, int32_t N, int n_seeds, bool wide)
{
    enum { ALL = 150 };
    static const int32_t counts[] = {1, 5, 16, 17, 33, 64, 70, 129};
    product p;
    make_product(w, (shape){ALL, K, N}, false, &p);
    const hdl_dtype act = w->act;
    if (wide) w->act = HDL_F32;
    const size_t row_bytes = op_act_bytes(w, (size_t)N), x_bytes = op_act_bytes(w, (size_t)K);
    uint8_t *all = op_host(w, ALL * row_bytes), *some = op_host(w, ALL * row_bytes);
    uint8_t *x = op_act(w, p.x, (size_t)ALL * (size_t)K);
    void *y = op_act(w, NULL, (size_t)ALL * (size_t)N);
    hdl_gemm_args a = args_of(w, &p, x, y);
    run(w, &a);
    op_fetch(w, all, y, ALL * row_bytes);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const int32_t first = (int32_t)(c * 17) % (ALL - counts[c] + 1);
        a.M = counts[c];
        a.x = x + (size_t)first * x_bytes;
        for (int seed = 1; seed <= (counts[c] == 1 ? n_seeds : 1); seed++) {
            op_schedule(w, (uint64_t)seed);
            run(w, &a);
            op_fetch(w, some, y, (size_t)a.M * row_bytes);
            cr_assert_eq(memcmp(some, all + (size_t)first * row_bytes, (size_t)a.M * row_bytes), 0,
                         "%s K %d N %d: %d rows from %d differ, schedule %d", op_place_name(w->place), K, N, a.M, first, seed);
        }
    }
    int32_t rows[ALL];
    for (int32_t i = 0; i < ALL; i++) rows[i] = (i * 37 + 5) % ALL;
    a.M = 40;
    a.x = x;
    a.rows = op_device(w, rows, sizeof rows);
    run(w, &a);
    op_fetch(w, some, y, 40 * row_bytes);
    for (int32_t i = 0; i < 40; i++)
        cr_assert_eq(memcmp(some + (size_t)i * row_bytes, all + (size_t)rows[i] * row_bytes, row_bytes), 0,
                     "%s K %d N %d: row %d of the list differs", op_place_name(w->place), K, N, i);
    w->act = act;
    w->backend->weight_close(p.w);
}

Test(gemm_backends, a_row_has_the_same_bits_wherever_it_stands, .timeout = 300)
{
    static const int32_t matrices[][2] = {{96, 48}, {515, 33}, {1056, 64}, {264, 160}};
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 100)) continue;
        reserve(&w);
        for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
            for (int wide = 0; wide <= (w.act != HDL_F32); wide++)
                check_places(&w, matrices[i][0], matrices[i][1], i == 0 ? 8 : 2, wide == 1);
        op_close(&w);
    }
}

/* What rounding to 16 bits may add; below 2^-14 f16 has steps of 2^-24. */
static double rounding_error(const op_world *w, double value)
{
    const double smallest = w->act == HDL_F16 ? 0x1p-25 : 0.0;
    return w->act == HDL_F32 ? 0.0 : fmax(fabs(value) * op_act_step(w), smallest);
}

/* Wide rows, a list, a count, bias, activation and residual together; padding and dead rows stay as they were. */
static void check_everything(op_world *w, hdl_activation act, bool in_place, int32_t pad)
{
    enum { M = 37, K = 24, N = 42 };
    /* a count is held within 0 and M */
    const int32_t count = act == HDL_ACT_RELU ? -1 : act == HDL_ACT_TANH ? M + 7 : 33;
    const int32_t live = count < 0 ? 0 : count < M ? count : M;
    const int32_t ldx = K + pad, ldy = N + pad;
    const float untouched = -1232.0f;       /* exact in 16 bits too */
    product p;
    make_product(w, (shape){M, K, N}, true, &p);
    float *x = op_normals(w, (size_t)(M * ldx)), *bias = op_normals(w, N), *residual = op_normals(w, (size_t)(M * ldy));
    float *before = op_copies(w, (size_t)(M * ldy), untouched), *y = op_host(w, (size_t)(M * ldy) * sizeof *y);
    op_int8_grid(w, x, M, ldx);
    for (int32_t m = 0; m < M; m++)
        for (int32_t k = K; k < ldx; k++) x[m * ldx + k] = NAN;      /* what lies between the rows is nobody's */
    void *px = op_act(w, x, (size_t)(M * ldx)), *pr = op_act(w, residual, (size_t)(M * ldy));
    if (in_place) memcpy(before, residual, (size_t)(M * ldy) * sizeof *before);
    int32_t rows[M];
    for (int32_t i = 0; i < M; i++) rows[i] = (i * 11 + 3) % M;
    hdl_gemm_args a = args_of(w, &p, px, in_place ? pr : op_act(w, before, (size_t)(M * ldy)));
    a.ldx = ldx, a.ldy = ldy, a.residual = pr, a.ldr = ldy, a.act = act, a.bias = op_device(w, bias, N * sizeof *bias);
    a.rows = op_device(w, rows, sizeof rows), a.count = op_device(w, &count, sizeof count);
    run(w, &a);
    op_act_fetch(w, y, a.y, (size_t)(M * ldy));
    for (int32_t m = 0; m < M; m++)
        for (int32_t n = 0; n < ldy; n++) {
            const double got = (double)y[m * ldy + n];
            if (m >= live || n >= N) {
                cr_assert_eq(y[m * ldy + n], before[m * ldy + n], "%s: row %d column %d was written", op_place_name(w->place), m, n);
                continue;
            }
            double sum = (double)bias[n];
            for (int32_t k = 0; k < K; k++) sum += (double)x[rows[m] * ldx + k] * (double)p.weights[n * K + k];
            const double want = reference_activation(act, sum) + (double)residual[m * ldy + n];
            const double allowed = rounding_error(w, want) + (w->act == HDL_F32 ? 1e-5 * (1.0 + fabs(want)) : 1e-4);
            cr_assert(fabs(got - want) <= allowed, "%s activation %d row %d column %d: %g, want %g", op_place_name(w->place),
                      (int)act, m, n, got, want);
        }
    w->backend->weight_close(p.w);
}

Test(gemm_backends, bias_activation_residual_rows_and_count_together, .timeout = 120)
{
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 200)) continue;
        reserve(&w);
        for (int act = 0; act < HDL_N_ACTIVATIONS; act++) check_everything(&w, (hdl_activation)act, act % 2 == 1, act % 3);
        op_close(&w);
    }
}

/* What an activation may be off by at x: some ulp of its value; GELU's 1 + f(x) cancels on the left, in any f32 form. */
static double allowed_error(hdl_activation act, double x, double value)
{
    const double ulp = 0x1p-23, flushed = (1.0 + fabs(x)) * 0x1p-126;   /* 0 where sigmoid is below the smallest normal number */
    if (act == HDL_ACT_GELU_TANH || act == HDL_ACT_GELU_ERF) return 4.0 * ulp * (fabs(value) + fabs(x)) + flushed;
    return (act == HDL_ACT_GELU_SIGMOID ? 4.0 + fabs(x) : 4.0) * ulp * fabs(value) + flushed;
}

/* The whole range in steps, through a product with one weight of 1: y = act(x); then what is not finite, or huge. */
static void check_activation(op_world *w, hdl_activation act)
{
    enum { M = 500, SPECIAL = 5 };
    const float huge = w->act == HDL_F16 ? 6e4f : 1e30f;
    const float special[SPECIAL] = {INFINITY, -INFINITY, NAN, huge, -huge};
    float one = 1.0f, *x = op_host(w, (M + SPECIAL) * sizeof *x), *y = op_host(w, (M + SPECIAL) * sizeof *y);
    for (int i = 0; i < M; i++) x[i] = (float)(i - M / 2) * (i % 2 ? 0.4f : 0.02f);
    memcpy(x + M, special, sizeof special);
    const product p = {{M + SPECIAL, 1, 1}, x, &one, op_pack(w, &one, 1, 1, w->compute)};
    hdl_gemm_args a = args_of(w, &p, op_act(w, x, M + SPECIAL), op_act(w, NULL, M + SPECIAL));
    a.act = act;
    run(w, &a);
    op_act_fetch(w, y, a.y, M + SPECIAL);
    for (int i = 0; i < M; i++) {
        const double want = reference_activation(act, (double)x[i]);
        cr_assert(fabs((double)y[i] - want) <= allowed_error(act, (double)x[i], want) + rounding_error(w, want),
                  "%s activation %d at %g: %.9g, want %.9g", op_place_name(w->place), (int)act, (double)x[i], (double)y[i], want);
    }
    for (int i = 0; w->compute == HDL_COMPUTE_INT8 && i < 2; i++)    /* a row that is not finite has no int8 */
        cr_assert(isnan(y[M + i]), "%s activation %d: %g of an infinite row", op_place_name(w->place), (int)act, (double)y[M + i]);
    cr_assert(isnan(y[M + 2]), "%s activation %d hides a NaN", op_place_name(w->place), (int)act);
    cr_assert(!isnan(y[M + 3]) && !isnan(y[M + 4]), "%s activation %d makes NaN of a huge value", op_place_name(w->place), (int)act);
    w->backend->weight_close(p.w);
}

Test(gemm_backends, activations_follow_double_over_the_whole_range, .timeout = 120)
{
    for (int place = 0; place < OP_N_PRODUCT_PLACES; place++) {
        op_world w;
        if (!op_open_at(&w, (op_place)place, SEED + 300)) continue;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = 512, .K = 16, .N = 16};
        op_reserve(&w, &limits);
        for (int act = 0; act < HDL_N_ACTIVATIONS; act++) check_activation(&w, (hdl_activation)act);
        op_close(&w);
    }
}
