/*
 * test_gemm_row_maxima.c - products that note the greatest magnitudes of the rows they write, and int8 products that are told those of the
 * rows they read (device.h, "row maxima").
 */
#include "fake_backend.h"
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(gemm_row_maxima, .timeout = OP_TEST_SECONDS);

enum { SEED = 4700, MOST_ROWS = 528, WIDEST = 1104, SEEDS = 8 };

typedef struct shape { int32_t M, K, N; } shape;

/* On the stand-in's 8 multiprocessors every tile that rounds its rows, with groups and without; rows in place; a kernel before. K that
 * is no whole number of 16-byte words in bf16 too. */
static const shape shapes[] = {
    {1, 24, 24}, {5, 136, 33}, {16, 264, 300}, {64, 83, 40}, {128, 264, 300}, {129, 136, 33}, {129, 24, 160}, {200, 264, 300},
    {256, 130, 70}, {520, 24, 70}, {520, 200, 33}, {5, 43, 520}, {1, 520, 520}, {33, 1104, 520},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static const op_place int8_places[] = {OP_SIMT_INT8, OP_CUDA_INT8};
enum { N_INT8_PLACES = sizeof int8_places / sizeof int8_places[0] };

static bool open_place(op_world *w, op_place place, uint64_t seed)
{
    if (!op_open_at(w, place, seed)) return false;
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = MOST_ROWS, .K = WIDEST, .N = WIDEST};
    op_reserve(w, &limits);
    return true;
}

static void run(op_world *w, const hdl_gemm_args *a)
{
    cr_assert_eq(w->backend->gemm(w->stream, a), HDL_OK, "%s: %s", op_place_name(w->place), op_error(w));
}

static hdl_gemm_args args_of(const op_world *w, shape s, const hdl_weight *weight, const void *x, void *y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x, a.ldx = s.K, a.w = weight, a.y = y, a.ldy = s.N;
    a.M = s.M, a.N = s.N, a.K = s.K, a.act_dtype = w->act;
    return a;
}

static float greatest(const float *row, int32_t K)
{
    float top = 0.0f;
    for (int32_t k = 0; k < K; k++) {
        if (isnan(row[k])) return NAN;
        top = fmaxf(top, fabsf(row[k]));
    }
    return top;
}

/* The whole of y, dead rows and padding included, without x_max and with it. */
typedef struct known {
    shape        s;
    bool         listed;
    int32_t      live, pad, n_x;
    float       *x, *most;          /* host: [n_x, K + pad]; of each row, NAN where no live row of the product reads */
    hdl_weight  *w;
    hdl_gemm_args a;
} known;

static void make_known(op_world *w, shape s, int variant, known *p)
{
    *p = (known){.s = s, .listed = variant % 2 == 1, .live = variant == 0 ? s.M : s.M - s.M / 5, .pad = variant % 3 == 2 ? 8 : 0};
    const int32_t ldx = s.K + p->pad, ldy = s.N + p->pad;
    p->n_x = s.M + (p->listed ? 3 : 0);
    p->x = op_normals(w, (size_t)p->n_x * (size_t)ldx);
    for (int32_t m = 0; m < p->n_x; m++)
        for (int32_t k = s.K; k < ldx; k++) p->x[m * ldx + k] = NAN;    /* what lies between the rows is nobody's */
    for (int32_t k = 0; s.M > 4 && k < s.K; k++) p->x[k] = 0.0f, p->x[3 * ldx + k] *= 1e-38f;
    if (s.M > 4) p->x[ldx + s.K - 1] = NAN, p->x[2 * ldx + s.K / 2] = -INFINITY;
    void *x = op_act(w, p->x, (size_t)p->n_x * (size_t)ldx);            /* rounds p->x to act */
    int32_t *rows = op_host(w, (size_t)s.M * sizeof *rows);
    for (int32_t m = 0; m < s.M; m++) rows[m] = p->listed ? (m * 7 + 2) % p->n_x : m;
    p->most = op_copies(w, (size_t)p->n_x, NAN);
    for (int32_t m = 0; m < p->live; m++) p->most[rows[m]] = greatest(p->x + rows[m] * ldx, s.K);
    p->w = op_pack(w, op_normals(w, (size_t)s.N * (size_t)s.K), s.N, s.K, HDL_COMPUTE_INT8);
    p->a = args_of(w, s, p->w, x, op_act(w, NULL, (size_t)s.M * (size_t)ldy));
    p->a.ldx = ldx, p->a.ldy = ldy, p->a.act = HDL_ACT_RELU;
    p->a.rows  = p->listed ? op_device(w, rows, (size_t)s.M * sizeof *rows) : NULL;
    p->a.count = variant == 0 ? NULL : op_device(w, &p->live, sizeof p->live);
    p->a.bias  = op_device(w, op_normals(w, (size_t)s.N), (size_t)s.N * sizeof(float));
}

static void check_known(op_world *w, shape s, int variant, int n_seeds)
{
    known p;
    make_known(w, s, variant, &p);
    const size_t bytes = op_act_bytes(w, (size_t)s.M * (size_t)p.a.ldy);
    uint8_t *without = op_host(w, bytes), *with = op_host(w, bytes);
    run(w, &p.a);
    op_fetch(w, without, p.a.y, bytes);
    p.a.x_max = op_device(w, p.most, (size_t)p.n_x * sizeof *p.most);
    for (int seed = 1; seed <= n_seeds; seed++) {
        memset(with, 0, bytes);
        op_send(w, p.a.y, with, bytes);
        op_schedule(w, (uint64_t)seed);
        run(w, &p.a);
        op_fetch(w, with, p.a.y, bytes);
        cr_assert_eq(memcmp(with, without, bytes), 0, "%s M %d K %d N %d variant %d act %d schedule %d: other bits with x_max",
                     op_place_name(w->place), s.M, s.K, s.N, variant, (int)w->act, seed);
    }
    w->backend->weight_close(p.w);
}

Test(gemm_row_maxima, int8_has_the_same_bits_when_it_is_told, .timeout = 300)
{
    for (int i = 0; i < N_INT8_PLACES; i++)
        for (int s = 0; s < N_SHAPES; s++) {
            op_world w;
            if (!open_place(&w, int8_places[i], SEED + (uint64_t)s)) break;
            for (int variant = 0; variant < (s < N_SHAPES - 1 ? 3 : 1); variant++) {
                w.act = HDL_BF16;
                check_known(&w, shapes[s], variant, s == 0 ? SEEDS : 1);
                w.act = HDL_F32;
                check_known(&w, shapes[s], variant, 1);
            }
            op_close(&w);
        }
}

/* A maximum that is too large is believed: the integers are those of rows with one more input, which is as large and weighs 0. */
static void check_believed(op_world *w, shape s)
{
    const int32_t K = s.K, wide = s.K + 1;
    float *x = op_normals(w, (size_t)(s.M * K)), *weights = op_normals(w, (size_t)(s.N * K));
    float *x_wide = op_host(w, (size_t)(s.M * wide) * sizeof *x_wide), *most = op_host(w, (size_t)s.M * sizeof *most);
    float *weights_wide = op_host(w, (size_t)(s.N * wide) * sizeof *weights_wide);
    op_act_round(w, x, (size_t)(s.M * K));
    for (int32_t m = 0; m < s.M; m++) {
        most[m] = x_wide[m * wide + K] = 4.0f * greatest(x + m * K, K);
        memcpy(x_wide + m * wide, x + m * K, (size_t)K * sizeof *x);
    }
    for (int32_t n = 0; n < s.N; n++) memcpy(weights_wide + n * wide, weights + n * K, (size_t)K * sizeof *weights);
    hdl_weight *packed = op_pack(w, weights, s.N, K, HDL_COMPUTE_INT8), *packed_wide = op_pack(w, weights_wide, s.N, wide, HDL_COMPUTE_INT8);
    const size_t n = (size_t)(s.M * s.N), bytes = op_act_bytes(w, n);
    uint8_t *own = op_host(w, bytes), *told = op_host(w, bytes), *want = op_host(w, bytes);
    hdl_gemm_args a = args_of(w, s, packed, op_act(w, x, (size_t)(s.M * K)), op_act(w, NULL, n));
    run(w, &a);
    op_fetch(w, own, a.y, bytes);
    a.x_max = op_device(w, most, (size_t)s.M * sizeof *most);
    run(w, &a);
    op_fetch(w, told, a.y, bytes);
    const hdl_gemm_args b = args_of(w, (shape){s.M, wide, s.N}, packed_wide, op_act(w, x_wide, (size_t)(s.M * wide)), a.y);
    run(w, &b);
    op_fetch(w, want, b.y, bytes);
    cr_assert_eq(memcmp(told, want, bytes), 0, "%s M %d K %d N %d: not the integers of a row four times as large", op_place_name(w->place),
                 s.M, K, s.N);
    cr_assert_neq(memcmp(told, own, bytes), 0, "%s M %d K %d N %d: x_max is not looked at", op_place_name(w->place), s.M, K, s.N);
    w->backend->weight_close(packed);
    w->backend->weight_close(packed_wide);
}

Test(gemm_row_maxima, int8_believes_what_it_is_told, .timeout = 120)
{
    static const shape some[] = {{3, 24, 24}, {1, 520, 520}, {129, 136, 33}, {64, 83, 40}, {200, 264, 300}, {33, 1104, 520}};
    for (int i = 0; i < N_INT8_PLACES; i++) {
        op_world w;
        if (!open_place(&w, int8_places[i], SEED + 100)) continue;
        for (size_t s = 0; s < sizeof some / sizeof *some; s++)
            for (int wide = 0; wide < 2; wide++) {
                w.act = wide == 1 ? HDL_F32 : HDL_BF16;
                check_believed(&w, some[s]);
            }
        op_close(&w);
    }
}

static uint64_t launches_of(op_world *w, const hdl_gemm_args *a)
{
    hdl_backend_graph *graph = NULL;
    cr_assert_eq(w->backend->record_begin(w->stream), HDL_OK);
    run(w, a);
    cr_assert_eq(w->backend->record_end(w->stream, &graph), HDL_OK, "%s", op_error(w));
    const uint64_t n = w->backend->graph_launches(graph);
    w->backend->graph_close(graph);
    return n;
}

/* What knowing the maxima is for: the kernel before the product goes. Noting them adds none. */
Test(gemm_row_maxima, int8_needs_one_launch_when_it_is_told)
{
    static const shape some[] = {{16, 264, 64}, {200, 264, 300}, {520, 24, 70}};
    for (int i = 0; i < N_INT8_PLACES; i++) {
        op_world w;
        if (!open_place(&w, int8_places[i], SEED + 200)) continue;
        for (size_t s = 0; s < sizeof some / sizeof *some; s++) {
            known p;
            make_known(&w, some[s], 0, &p);
            const uint64_t without = launches_of(&w, &p.a);
            p.a.y_max = op_maxima(&w, some[s].M);
            cr_expect_eq(launches_of(&w, &p.a), without);
            if (op_on_simt(&w)) cr_expect_eq(without, some[s].M > 16 ? 2 : 1);
            p.a.x_max = op_device(&w, p.most, (size_t)p.n_x * sizeof *p.most);
            cr_expect_eq(launches_of(&w, &p.a), 1, "%s: M %d", op_place_name(w.place), some[s].M);
            w.backend->weight_close(p.w);
        }
        op_close(&w);
    }
}

/* Two products in a row, the first one's maxima read by the second, as in a step. */
Test(gemm_row_maxima, what_one_product_notes_the_next_may_use, .timeout = 120)
{
    enum { M = 77, LIVE = 70, K = 72, F = 150, N = 40 };
    const int32_t live = LIVE;
    for (int i = 0; i < N_INT8_PLACES; i++) {
        op_world w;
        if (!open_place(&w, int8_places[i], SEED + 300)) continue;
        float *x = op_normals(&w, M * K), zero[M] = {0};
        hdl_weight *in = op_pack(&w, op_normals(&w, F * K), F, K, HDL_COMPUTE_INT8);
        hdl_weight *out = op_pack(&w, op_normals(&w, N * F), N, F, HDL_COMPUTE_INT8);
        hdl_gemm_args a = args_of(&w, (shape){M, K, F}, in, op_act(&w, x, M * K), op_act(&w, NULL, M * F));
        hdl_gemm_args b = args_of(&w, (shape){M, F, N}, out, a.y, op_act(&w, NULL, M * N));
        a.count = b.count = op_device(&w, &live, sizeof live);
        a.act = HDL_ACT_SWISH;
        a.y_max = op_device(&w, zero, sizeof zero);
        float without[M * N], with[M * N];
        run(&w, &a);
        run(&w, &b);
        op_act_fetch(&w, without, b.y, M * N);
        b.x_max = a.y_max;
        for (int seed = 1; seed <= SEEDS; seed++) {
            op_schedule(&w, (uint64_t)seed);
            op_send(&w, a.y_max, zero, sizeof zero);
            run(&w, &a);
            run(&w, &b);
            op_act_fetch(&w, with, b.y, M * N);
            cr_assert_eq(memcmp(with, without, sizeof with), 0, "%s: other bits, schedule %d", op_place_name(w.place), seed);
        }
        w.backend->weight_close(in);
        w.backend->weight_close(out);
        op_close(&w);
    }
}

/* Everything that changes what is stored: bias, activation, residual, a list, a count; and rows that are wider than N. */
static void check_noted(op_world *w, shape s, int variant, int n_seeds)
{
    const int32_t ldy = s.N + variant % 3, live = variant % 2 == 0 ? s.M : s.M - s.M / 3;
    const size_t n = (size_t)s.M * (size_t)ldy;
    float *x = op_normals(w, (size_t)s.M * (size_t)s.K), *weights = op_normals(w, (size_t)s.N * (size_t)s.K);
    float *residual = op_normals(w, n), *before = op_copies(w, n, 4096.0f), *y = op_host(w, n * sizeof *y);
    int32_t *rows = op_host(w, (size_t)s.M * sizeof *rows);
    bool *is_live = op_host(w, (size_t)s.M * sizeof *is_live);
    for (int32_t m = 0; m < s.M; m++) rows[m] = (m * 5 + 2) % s.M, is_live[m] = m < live;
    if (s.M > 4) x[3 * s.K] = NAN, x[4 * s.K] = INFINITY;
    hdl_weight *packed = op_pack(w, weights, s.N, s.K, w->compute);
    hdl_gemm_args a = args_of(w, s, packed, op_act(w, x, (size_t)s.M * (size_t)s.K), op_act(w, before, n));
    a.ldy = ldy, a.ldr = ldy;
    a.act = (hdl_activation)((variant + s.M) % HDL_N_ACTIVATIONS);  /* a sigmoid of nothing is no zero: columns past N must not count */
    a.rows = variant % 2 == 1 ? op_device(w, rows, (size_t)s.M * sizeof *rows) : NULL;
    a.count = live < s.M ? op_device(w, &live, sizeof live) : NULL;
    a.residual = variant == 1 ? op_act(w, residual, n) : NULL;
    for (int seed = 1; seed <= n_seeds; seed++) {
        op_schedule(w, (uint64_t)seed);
        a.y_max = op_maxima(w, s.M);
        run(w, &a);
        op_act_fetch(w, y, a.y, n);
        op_maxima_check(w, a.y_max, y, ldy, s.N, s.M, is_live, true);
    }
    w->backend->weight_close(packed);
}

Test(gemm_row_maxima, are_those_of_what_is_stored, .timeout = 300)
{
    for (int place = OP_SIMT_F32; place < OP_N_PRODUCT_PLACES; place++)
        for (int s = 0; s < N_SHAPES - 1; s++) {
            op_world w;
            if (!open_place(&w, (op_place)place, SEED + 400 + (uint64_t)s)) break;
            const hdl_dtype own = w.act;
            for (int variant = 0; variant < 3; variant++) {
                w.act = variant == 2 ? HDL_F32 : own;
                check_noted(&w, shapes[s], variant, s == 0 ? SEEDS : 1);
            }
            op_close(&w);
        }
}

/* Not what was computed: 65519 is 65504 in f16 and 65520 infinite; bf16 rounds to 8 bits. Zero rows leave what was there. */
Test(gemm_row_maxima, are_rounded_as_the_rows_are)
{
    enum { M = 4, N = 3 };
    for (int place = OP_SIMT_F32; place < OP_N_PLACES; place++) {
        op_world w;
        if (!open_place(&w, (op_place)place, SEED + 500)) continue;
        float x[M] = {1.0f, -256.0f, 0.0f, 4.0f}, weights[N] = {1.0f, 0.0f, 255.9f}, bias[N] = {0.1f, 0.0f, 0.0f}, y[M * N];
        hdl_weight *packed = op_pack(&w, weights, N, 1, w.compute);
        hdl_gemm_args a = args_of(&w, (shape){M, 1, N}, packed, op_act(&w, x, M), op_act(&w, NULL, M * N));
        a.bias = op_device(&w, bias, sizeof bias);
        a.y_max = op_maxima(&w, M);
        run(&w, &a);
        op_act_fetch(&w, y, a.y, M * N);
        op_maxima_check(&w, a.y_max, y, N, N, M, NULL, true);
        w.backend->weight_close(packed);
        op_close(&w);
    }
}

/* The door: a device that notes none says so, and looks at x_max no more than at nothing; maxima lie apart from x and y. */
Test(gemm_row_maxima, are_refused_where_none_are_noted)
{
    static float x[64], y[64], most[8], known[8];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x, a.ldx = 8, a.y = y, a.ldy = 8, a.w = (const hdl_weight *)(const void *)x, a.M = 4, a.N = 6, a.K = 8;
    a.x_max = known;
    cr_expect_eq(hdl_gemm(stream, &a), HDL_OK, "%s", hdl_error_detail());
    a.y_max = most;
    cr_expect_eq(hdl_gemm(stream, &a), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(), "gemm: y_max is given, but the fake backend notes no row maxima");
    f.table.row_maxima = 1;
    const struct { float *at; hdl_status status; const char *words; } rows[] = {
        {most, HDL_OK, ""},
        {known + 3, HDL_EINVAL, "gemm: y_max overlaps x_max"},
        {y + 30, HDL_OK, ""},       /* past the last row's outputs */
        {y + 29, HDL_EINVAL, "gemm: y_max overlaps y"},
        {x + 1, HDL_EINVAL, "gemm: y_max overlaps x"},
        {x + 32, HDL_OK, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        a.y_max = rows[i].at;
        cr_expect_eq(hdl_gemm(stream, &a), rows[i].status, "row %zu", i);
        if (rows[i].status != HDL_OK) cr_expect_str_eq(hdl_error_detail(), rows[i].words);
    }
    hdl_stream_close(stream);
}
