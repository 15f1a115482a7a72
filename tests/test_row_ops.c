/*
 * test_row_ops.c - ops that move or change rows one by one, on every backend: GLU of every
 * activation, gathering, quantising, and scattered words.
 */
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(row_ops, .timeout = OP_TEST_SECONDS);

enum { SCHEDULES = 8 };

static double activate(double x, int act)
{
    switch (act) {
    case HDL_ACT_RELU:
        return x < 0.0 ? 0.0 : x;
    case HDL_ACT_GELU_TANH:
        return 0.5 * x *
               (1.0 + tanh(sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case HDL_ACT_SWISH:
        return x / (1.0 + exp(-x));
    case HDL_ACT_GELU_ERF:
        return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
    case HDL_ACT_GELU_SIGMOID:
        return x / (1.0 + exp(-1.702 * x));
    case HDL_ACT_TANH:
        return tanh(x);
    case HDL_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    default:
        return x;
    }
}

enum { GLU_ROWS = 4, GLU_LIVE = 3 };

typedef struct glu_shape {
    int32_t F;
    int64_t ldu, ldg, ldy;
} glu_shape;

/* y is up's buffer: rows past the count, and what lies between the rows, keep their values. Maxima are asked for but without act. */
static void check_glu(op_world *w, const glu_shape *s, hdl_activation act)
{
    const size_t n = (size_t)(GLU_ROWS * s->ldu), n_gate = (size_t)(GLU_ROWS * s->ldg);
    float *up = op_normals(w, n), *gate = op_normals(w, n_gate), *y = op_host(w, n * sizeof *y);
    const int32_t live = GLU_LIVE;
    hdl_glu_args a = {.struct_bytes = sizeof a,
                      .up = op_act(w, up, n),
                      .ldu = s->ldu,
                      .gate = op_act(w, gate, n_gate),
                      .ldg = s->ldg,
                      .ldy = s->ldy,
                      .count = op_device(w, &live, sizeof live),
                      .M = GLU_ROWS,
                      .F = s->F,
                      .act = act,
                      .act_dtype = w->act};
    const bool is_live[GLU_ROWS] = {true, true, true};
    a.y = (void *)a.up;
    if (act != HDL_ACT_NONE) a.y_max = op_maxima(w, GLU_ROWS);
    cr_assert_eq(w->backend->glu(w->stream, &a), HDL_OK);
    op_act_fetch(w, y, a.y, n);
    op_maxima_check(w, a.y_max, y, s->ldy, s->F, GLU_ROWS, is_live, true);
    for (int64_t m = 0; m < GLU_ROWS; m++)
        for (int64_t f = 0; f < s->ldu; f++) {
            const float found = y[m * s->ldy + f], was = up[m * s->ldu + f];
            if (m >= GLU_LIVE || f >= s->F) {
                cr_assert_eq(found, was, "written past the row or the count");
                continue;
            }
            const double value = activate((double)was, (int)act) * (double)gate[m * s->ldg + f];
            cr_assert_lt(fabs((double)found - value),
                         1e-6 * (1.0 + fabs(value)) + op_act_step(w) * fabs(value),
                         "%s, activation %d", op_place_name(w->place), (int)act);
        }
}

Test(row_ops, glu_of_every_activation)
{
    static const glu_shape shapes[] = {{37, 40, 41, 40},
                                       {48, 56, 64, 56}}; /* with and without wide accesses */
    for (int i = 0; i < OP_N_PLACES * HDL_N_ACTIVATIONS * 2; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)(i / HDL_N_ACTIVATIONS / 2), 600 + (uint64_t)i)) continue;
        for (uint64_t seed = 1;
             seed <= (op_on_simt(&w) && i % HDL_N_ACTIVATIONS == 0 ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            check_glu(&w, &shapes[i % 2], (hdl_activation)(i / 2 % HDL_N_ACTIVATIONS));
        }
        op_close(&w);
    }
}

/* What is far out: no NaN of an infinity times zero. */
Test(row_ops, glu_at_the_ends)
{
    static const float ends[4] = {-INFINITY, -1000.0f, 1000.0f, INFINITY};
    for (int i = 0; i < OP_N_PLACES * HDL_N_ACTIVATIONS; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)(i / HDL_N_ACTIVATIONS), 1)) continue;
        const int act = i % HDL_N_ACTIVATIONS;
        float up[4], gate[4] = {1.0f, 1.0f, 1.0f, 1.0f}, y[4];
        memcpy(up, ends, sizeof up);
        hdl_glu_args a = {.struct_bytes = sizeof a,
                          .up = op_act(&w, up, 4),
                          .ldu = 4,
                          .gate = op_act(&w, gate, 4),
                          .ldg = 4,
                          .y = op_act(&w, NULL, 4),
                          .ldy = 4,
                          .M = 1,
                          .F = 4,
                          .act = (hdl_activation)act,
                          .act_dtype = w.act};
        cr_assert_eq(w.backend->glu(w.stream, &a), HDL_OK);
        op_act_fetch(&w, y, a.y, 4);
        if (act == HDL_ACT_SWISH || act == HDL_ACT_GELU_SIGMOID)
            cr_assert(y[0] == 0.0f && y[1] == 0.0f && y[3] == INFINITY, "%s, activation %d: %g %g",
                      op_place_name(w.place), act, (double)y[0], (double)y[1]);
        if (act == HDL_ACT_SIGMOID || act == HDL_ACT_TANH) cr_assert(y[2] == 1.0f && y[3] == 1.0f);
        op_close(&w);
    }
}

/* Rows of several warps and blocks raise one maximum; a row that is not finite says so. */
Test(row_ops, glu_maxima_of_long_rows)
{
    enum { ROWS = 3, MOST_F = 4100 };
    static const int32_t widths[] = {7, 264, MOST_F};
    for (int i = 0; i < OP_N_PLACES * 3; i++) {
        op_world w;
        const int32_t F = widths[i % 3];
        if (!op_open_at(&w, (op_place)(i / 3), 20)) continue;
        const size_t n = (size_t)(ROWS * F);
        float *up = op_normals(&w, n), *gate = op_normals(&w, n), *y = op_host(&w, n * sizeof *y);
        up[F - 1] = 300.0f;         /* times this it is infinite in f16 */
        gate[F - 1] = -300.0f;
        gate[F + F / 2] = NAN;
        hdl_glu_args a = {.struct_bytes = sizeof a, .up = op_act(&w, up, n), .ldu = F, .gate = op_act(&w, gate, n), .ldg = F,
                          .y = op_act(&w, NULL, n), .ldy = F, .M = ROWS, .F = F, .act = HDL_ACT_SWISH, .act_dtype = w.act};
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) && F < MOST_F ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            a.y_max = op_maxima(&w, ROWS);
            cr_assert_eq(w.backend->glu(w.stream, &a), HDL_OK);
            op_act_fetch(&w, y, a.y, n);
            cr_assert((w.act == HDL_F16) == !!isinf(y[F - 1]) && isnan(y[F + F / 2]));
            op_maxima_check(&w, a.y_max, y, F, F, ROWS, NULL, true);
        }
        op_close(&w);
    }
}

/* f16 rounds to the nearest, ties to even, down to its subnormal numbers, and to infinity: nothing saturates. */
Test(row_ops, f16_rounds_at_its_ends)
{
    enum { N = 8 };
    static const float a_of[N] = {2047.0f, 1394.0f, 1820.0f, 0x1.ffcp11f, 0x1p-14f, 0x1.8p-14f, 0x1p-14f, 0x1p-14f};
    static const float b_of[N] = {32.0f, 47.0f, 36.0f, -16.0f, 0x1p-11f, 0x1p-11f, 0x1p-10f, 0x1.8p-9f};
    static const float wanted[N] = {65504.0f, 65504.0f, INFINITY, -65504.0f, 0.0f, 0x1p-24f, 0x1p-24f, 0x1.8p-23f};
    static const op_place of_f16[] = {OP_SIMT_F16, OP_CUDA_F16};
    for (int i = 0; i < 4; i++) {
        op_world w;
        if (!op_open_at(&w, of_f16[i / 2], 2)) continue;
        const int F = i % 2 == 0 ? N : N - 1; /* with and without wide accesses */
        float up[N], gate[N], y[N];
        memcpy(up, a_of, sizeof up);
        memcpy(gate, b_of, sizeof gate);
        hdl_glu_args a = {.struct_bytes = sizeof a,
                          .up = op_act(&w, up, N),
                          .ldu = N,
                          .gate = op_act(&w, gate, N),
                          .ldg = N,
                          .y = op_act(&w, NULL, N),
                          .ldy = N,
                          .M = 1,
                          .F = F,
                          .act = HDL_ACT_RELU,
                          .act_dtype = w.act};
        cr_assert_eq(w.backend->glu(w.stream, &a), HDL_OK);
        op_act_fetch(&w, y, a.y, N);
        for (int k = 0; k < F; k++)
            cr_expect_eq(y[k], wanted[k], "%g times %g: %a, not %a", (double)a_of[k], (double)b_of[k], (double)y[k],
                         (double)wanted[k]);
        op_close(&w);
    }
}

/* Rows of 16, 4 and 2 bytes' multiples; any row any number of times. */
Test(row_ops, gather)
{
    enum { MOST_E = 520, FROM = 4, TO = 6 };
    static const int32_t index[TO] = {3, 0, 0, 2, 1, 3}, widths[] = {1, 5, 6, 8, MOST_E};
    for (int i = 0; i < OP_N_PLACES * 5; i++) {
        const int32_t E = widths[i % 5];
        op_world w;
        if (!op_open_at(&w, (op_place)(i / 5), 3)) continue;
        float *x = op_normals(&w, (size_t)(FROM * E)), y[TO * MOST_E];
        const hdl_gather_rows_args a = {sizeof a,
                                        op_act(&w, x, (size_t)(FROM * E)),
                                        op_device(&w, index, sizeof index),
                                        op_act(&w, NULL, (size_t)(TO * E)),
                                        TO,
                                        E,
                                        w.act, 0};
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) && E < 8 ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            cr_assert_eq(w.backend->gather_rows(w.stream, &a), HDL_OK);
            op_act_fetch(&w, y, a.y, (size_t)(TO * E));
            for (int r = 0; r < TO; r++)
                cr_assert_eq(memcmp(y + r * E, x + index[r] * E, (size_t)E * sizeof *x), 0,
                             "%s, E %d", op_place_name(w.place), E);
        }
        op_close(&w);
    }
}

/* Nearest of the grid, greatest magnitude 127; zero rows and rows that are not finite have their
 * own rule. */
Test(row_ops, quantise)
{
    enum { WIDE = 77, STRIDE = 80, HIGH = 6 };
    for (int i = 0; i < OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)i, 8)) continue;
        float *x = op_normals(&w, HIGH * STRIDE), scale[HIGH];
        int8_t q[HIGH * WIDE];
        for (int k = 0; k < WIDE; ++k)
            x[1 * STRIDE + k] = 0.0f, x[5 * STRIDE + k] = 1e-44f;
        x[2 * STRIDE + 76] = NAN, x[3 * STRIDE] = -INFINITY, x[4 * STRIDE + 76] = -50.0f;
        const hdl_quantise_rows_args a = {sizeof a,
                                          op_act(&w, x, HIGH * STRIDE),
                                          STRIDE,
                                          op_device(&w, NULL, sizeof q),
                                          op_device(&w, NULL, sizeof scale),
                                          HIGH,
                                          WIDE,
                                          w.act, 0};
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            cr_assert_eq(w.backend->quantise_rows(w.stream, &a), HDL_OK);
            op_fetch(&w, q, a.q, sizeof q);
            op_fetch(&w, scale, a.scale, sizeof scale);
            for (int m = 0; m < HIGH; m += 4) {
                int most = 0;
                for (int k = 0; k < WIDE; ++k) {
                    cr_expect_eq(q[m * WIDE + k], (int8_t)rintf(x[m * STRIDE + k] * scale[m]),
                                 "row %d place %d", m, k);
                    if (abs(q[m * WIDE + k]) > most) most = abs(q[m * WIDE + k]);
                }
                cr_expect_eq(most, 127);
            }
            cr_expect(q[4 * WIDE + 76] == -127 && scale[4] == 127.0f / 50.0f);
            cr_expect(scale[1] == 1.0f && q[WIDE] == 0 && scale[5] == 1.0f && q[5 * WIDE] == 0,
                      "a zero row");
            cr_expect(isnan(scale[2]) && isnan(scale[3]) && q[2 * WIDE] == 0 && q[3 * WIDE] == 0,
                      "a row that is not finite");
        }
        op_close(&w);
    }
}

Test(row_ops, scatter_words)
{
    enum { WORDS = 500, CHANGED = 300 };
    for (int i = 0; i < OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)i, 9)) continue;
        int32_t base[WORDS], index[CHANGED], value[CHANGED], found[WORDS];
        for (int k = 0; k < WORDS; k++)
            base[k] = k;
        for (int k = 0; k < CHANGED; k++)
            index[k] = k * 7 % WORDS, value[k] = -op_below(&w, 1 << 30);
        const hdl_scatter_words_args a = {sizeof a, op_device(&w, base, sizeof base),
                                          op_device(&w, index, sizeof index),
                                          op_device(&w, value, sizeof value), CHANGED, 0};
        cr_assert_eq(w.backend->scatter_words(w.stream, &a), HDL_OK);
        op_fetch(&w, found, a.base, sizeof found);
        for (int k = 0; k < CHANGED; k++)
            base[index[k]] = value[k];
        cr_assert_eq(memcmp(found, base, sizeof base), 0, "%s", op_place_name(w.place));
        op_close(&w);
    }
}
