/* test_door.c - every rule of every op's door: one argument changed, its status and words; a refused call stays out. */
#include "door_rows.h"

#include <criterion/criterion.h>
#include <string.h>

static void run_op(const door_op *op)
{
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    door_set set;

    door_fill(&set);
    hdl_status status = op->call(stream, &set);
    cr_assert_eq(status, HDL_OK, "%s as it should be: %s", op->name, hdl_error_detail());
    cr_assert_eq(f.n_calls, 1, "%s: %d calls", op->name, f.n_calls);
    cr_assert_str_eq(f.calls[0], op->name);

    for (size_t i = 0; i < op->n_rows; i++) {
        const door_row *row = &op->rows[i];
        door_fill(&set);
        door_change(&set, row);
        f.n_calls = 0;
        status = op->call(stream, &set);
        const char *detail = status == HDL_OK ? "" : hdl_error_detail();
        cr_expect_eq(status, row->status, "%s, row %zu (%s): %s, %s", op->name, i, row->words,
                     hdl_status_name(status), detail);
        if (row->status != HDL_OK) cr_expect_str_eq(detail, row->words);
        /* an empty problem is fine and goes nowhere; so says an empty text */
        const int passes = row->status == HDL_OK && strcmp(row->words, "empty") != 0;
        cr_expect_eq(f.n_calls, passes, "%s, row %zu (%s): %d calls", op->name, i, row->words, f.n_calls);
    }

    f.n_calls = 0;
    cr_expect_eq(op->call(NULL, &set), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "stream is NULL") != NULL, "%s", hdl_error_detail());
    door_fill(&set);
    set.no_args = 1;
    cr_expect_eq(op->call(stream, &set), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "args is NULL") != NULL, "%s", hdl_error_detail());
    cr_expect_eq(f.n_calls, 0);
    hdl_stream_close(stream);
    cr_expect_eq(f.n_open, 0);
}

Test(door, every_rule_of_every_op)
{
    size_t n_ops, n_rows = 0;
    const door_op *ops = door_ops(&n_ops);
    for (size_t i = 0; i < n_ops; i++) {
        run_op(&ops[i]);
        n_rows += ops[i].n_rows;
    }
    cr_expect_eq(n_ops, 14);
    cr_expect_gt(n_rows, 100);
}

Test(door, what_a_backend_does_not_offer)
{
    size_t n_ops;
    const door_op *ops = door_ops(&n_ops);
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
#define X(op) f.table.op = NULL;
    HDL__OP_MAP(X)
#undef X
    for (size_t i = 0; i < n_ops; i++) {
        door_set set;
        char words[64];
        door_fill(&set);
        cr_expect_eq(ops[i].call(stream, &set), HDL_ENOSUPPORT);
        snprintf(words, sizeof words, "%s: not offered by the fake backend", ops[i].name);
        cr_expect_str_eq(hdl_error_detail(), words);
    }
    hdl_stream_close(stream);
}

Test(door, a_device_error_loses_the_stream)
{
    size_t n_ops;
    const door_op *ops = door_ops(&n_ops);
    for (size_t i = 0; i < n_ops; i++) {
        fake f;
        fake_open(&f, 1);
        hdl_stream *stream = fake_stream(&f);
        door_set set;
        door_fill(&set);
        f.answer = HDL_ENUMERIC;    /* any other failure does not */
        cr_expect_eq(ops[i].call(stream, &set), HDL_ENUMERIC);
        f.answer = HDL_EDEVICE;
        cr_expect_eq(ops[i].call(stream, &set), HDL_EDEVICE);
        cr_expect_str_eq(hdl_error_detail(), "fake: the device says no");
        f.answer = HDL_OK;
        f.n_calls = 0;
        for (size_t k = 0; k < n_ops; k++) {
            char words[96];
            snprintf(words, sizeof words, "%s: the stream was lost earlier: fake: the device says no", ops[k].name);
            cr_expect_eq(ops[k].call(stream, &set), HDL_EDEVICE);
            cr_expect_str_eq(hdl_error_detail(), words);
        }
        cr_expect_eq(f.n_calls, 0);
        hdl_stream_close(stream);
        cr_expect_eq(f.n_open, 0);
    }
}

/* What overlaps what: x [M, K] and y [M, N] placed in one buffer of floats. */
Test(door, overlap_is_seen_by_element)
{
    static const struct { int32_t M, K, N; int64_t x, ldx, y, ldy; hdl_status status; } rows[] = {
        {4, 8, 8, 0, 8, 0, 8, HDL_EINVAL},
        {4, 8, 8, 0, 8, 32, 8, HDL_OK},         /* right behind */
        {4, 8, 8, 0, 8, 31, 8, HDL_EINVAL},     /* the last element */
        {4, 8, 8, 32, 8, 0, 8, HDL_OK},
        {4, 8, 8, 31, 8, 0, 8, HDL_EINVAL},
        {4, 8, 8, 0, 16, 8, 16, HDL_OK},        /* left and right columns of one buffer */
        {4, 8, 8, 8, 16, 0, 16, HDL_OK},
        {4, 8, 8, 0, 16, 7, 16, HDL_EINVAL},
        {4, 8, 8, 1, 16, 8, 16, HDL_EINVAL},
        {4, 8, 9, 0, 17, 8, 17, HDL_OK},
        {4, 8, 8, 0, 16, 24, 16, HDL_OK},       /* columns, a row further down */
        {4, 8, 8, 0, 16, 25, 16, HDL_EINVAL},   /* its last column is the next row's first */
        {4, 8, 8, 0, 8, 40, 16, HDL_OK},
        {4, 8, 8, 0, 8, 24, 16, HDL_EINVAL},
    };
    static float buffer[256];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
        a.x = buffer + rows[i].x;
        a.ldx = rows[i].ldx;
        a.y = buffer + rows[i].y;
        a.ldy = rows[i].ldy;
        a.w = (const hdl_weight *)(const void *)buffer;
        a.M = rows[i].M;
        a.N = rows[i].N;
        a.K = rows[i].K;
        cr_expect_eq(hdl_gemm(stream, &a), rows[i].status, "row %zu", i);
    }
    hdl_stream_close(stream);
}

/* May y be the residual, x, the gate? Same and elsewhere; never shifted. */
Test(door, what_may_be_the_same_buffer)
{
    static float b[256];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);

    hdl_norm_args n = HDL_NORM_ARGS_INIT;
    n.x = b;
    n.gamma = b + 200;
    n.M = 4;
    n.E = 8;
    n.eps = 1e-5f;
    const struct { float *residual, *y, *sum; const char *words;
    } norms[] = {
        {NULL, b, NULL, ""},
        {b, b, NULL, ""},
        {b + 32, b + 32, NULL, ""},
        {b + 32, b, b + 32, ""},
        {b + 32, b + 32, b, ""},
        {b + 32, b + 64, b, ""},
        {NULL, b + 1, NULL, "norm: y overlaps x without being the same"},
        {b + 32, b + 33, NULL, "norm: y overlaps residual without being the same"},
        {NULL, b + 64, b + 1, "norm: sum overlaps x without being the same"},
        {b + 32, b + 96, b + 40, "norm: sum overlaps residual without being the same"},
        {NULL, b + 64, b + 64, "norm: sum overlaps y"},
        {NULL, b + 64, b + 65, "norm: sum overlaps y"},
    };
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
        n.residual = norms[i].residual;
        n.y = norms[i].y;
        n.sum = norms[i].sum;
        cr_expect_eq(hdl_norm(stream, &n), norms[i].words[0] == '\0' ? HDL_OK : HDL_EINVAL, "norm, row %zu", i);
        if (norms[i].words[0] != '\0') cr_expect_str_eq(hdl_error_detail(), norms[i].words);
    }

    hdl_glu_args g = HDL_GLU_ARGS_INIT;
    g.up = b;
    g.gate = b + 8;
    g.ldu = g.ldg = g.ldy = 16;
    g.M = 4;
    g.F = 8;
    g.y = b;
    cr_expect_eq(hdl_glu(stream, &g), HDL_OK);
    g.y = b + 8;
    cr_expect_eq(hdl_glu(stream, &g), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "glu: y overlaps gate");
    hdl_stream_close(stream);
}

/* A call of an op with one pointer changed: its status, and words after "op: ", which are checked when it is refused. */
static void expect_maxima(hdl_stream *stream, const char *name, const door_set *set, hdl_status wanted, const char *words)
{
    size_t n_ops;
    const door_op *ops = door_ops(&n_ops), *op = ops;
    while (strcmp(op->name, name) != 0) op++;
    cr_assert_lt((size_t)(op - ops), n_ops);
    const hdl_status status = op->call(stream, set);
    cr_expect_eq(status, wanted, "%s, %s: %s", name, words, hdl_status_name(status));
    if (wanted == HDL_OK) return;
    char line[128];
    snprintf(line, sizeof line, "%s: %s", name, words);
    cr_expect_str_eq(hdl_error_detail(), line);
}

/* Row maxima: refused by name where the backend notes none; elsewhere apart from the rows that they are of. */
Test(door, row_maxima)
{
    static float maxima[8];
    static const struct { const char *op; size_t field, rows; const char *refused, *overlaps; } ops[] = {
        {"norm", offsetof(door_set, norm.y_max), offsetof(door_set, norm.y),
         "y_max is given, but the fake backend notes no row maxima", "y_max overlaps y"},
        {"embed", offsetof(door_set, embed.y_max), offsetof(door_set, embed.y),
         "y_max is given, but the fake backend notes no row maxima", "y_max overlaps y"},
        {"embed", offsetof(door_set, embed.zero), offsetof(door_set, embed.y),
         "zero is given, but the fake backend notes no row maxima", "zero overlaps y"},
        {"glu", offsetof(door_set, glu.y_max), offsetof(door_set, glu.y),
         "y_max is given, but the fake backend notes no row maxima", "y_max overlaps y"},
        {"attention", offsetof(door_set, attention.out_max), offsetof(door_set, attention.out),
         "out_max is given, but the fake backend notes no row maxima", "out_max overlaps out"},
    };
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        float *const apart = maxima, *inside;
        door_set set;
        door_fill(&set);
        set.embed.n_zero = strstr(ops[i].refused, "zero") != NULL;
        memcpy((char *)&set + ops[i].field, &apart, sizeof apart);
        f.table.row_maxima = 0;
        expect_maxima(stream, ops[i].op, &set, HDL_ENOSUPPORT, ops[i].refused);
        f.table.row_maxima = 1;
        f.n_calls = 0;
        expect_maxima(stream, ops[i].op, &set, HDL_OK, "apart");
        cr_expect_eq(f.n_calls, 1);
        memcpy(&inside, (char *)&set + ops[i].rows, sizeof inside);
        inside += 3;
        memcpy((char *)&set + ops[i].field, &inside, sizeof inside);
        expect_maxima(stream, ops[i].op, &set, HDL_EINVAL, ops[i].overlaps);
        cr_expect_eq(f.n_calls, 1);
    }
    hdl_stream_close(stream);
}

/* Maxima lie apart also from what the op reads: an input, or the maxima of its rows. */
Test(door, row_maxima_and_inputs)
{
    static const struct { const char *op; size_t field, read; int32_t packed; const char *overlaps; } ops[] = {
        {"gemm", offsetof(door_set, gemm.y_max), offsetof(door_set, gemm.x), 0, "y_max overlaps x"},
        {"gemm", offsetof(door_set, gemm.y_max), offsetof(door_set, gemm.residual), 0, "y_max overlaps residual"},
        {"gemm", offsetof(door_set, gemm.y_max), offsetof(door_set, gemm.x_max), 0, "y_max overlaps x_max"},
        {"norm", offsetof(door_set, norm.y_max), offsetof(door_set, norm.x), 0, "y_max overlaps x"},
        {"norm", offsetof(door_set, norm.y_max), offsetof(door_set, norm.residual), 0, "y_max overlaps residual"},
        {"norm", offsetof(door_set, norm.y_max), offsetof(door_set, norm.sum), 0, "y_max overlaps sum"},
        {"glu", offsetof(door_set, glu.y_max), offsetof(door_set, glu.up), 0, "y_max overlaps up"},
        {"glu", offsetof(door_set, glu.y_max), offsetof(door_set, glu.gate), 0, "y_max overlaps gate"},
        {"attention", offsetof(door_set, attention.out_max), offsetof(door_set, attention.q), 0, "out_max overlaps q"},
        {"attention", offsetof(door_set, attention.out_max), offsetof(door_set, attention.k), 1, "out_max overlaps k"},
        {"attention", offsetof(door_set, attention.out_max), offsetof(door_set, attention.v), 1, "out_max overlaps v"},
    };
    static float maxima[8], known[8];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    f.table.row_maxima = 1;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        float *const apart = maxima, *inside;
        door_set set;
        door_fill(&set);
        set.gemm.x_max = known;
        set.attention.keys = ops[i].packed != 0 ? HDL_KEYS_PACKED : HDL_KEYS_SELF_PAGES;
        memcpy((char *)&set + ops[i].field, &apart, sizeof apart);
        expect_maxima(stream, ops[i].op, &set, HDL_OK, "apart");
        memcpy(&inside, (char *)&set + ops[i].read, sizeof inside);
        inside += 3;
        memcpy((char *)&set + ops[i].field, &inside, sizeof inside);
        expect_maxima(stream, ops[i].op, &set, HDL_EINVAL, ops[i].overlaps);
    }
    hdl_stream_close(stream);
}

/* With a row list only the first of x_max is known: a shorter list of x's own maxima may lie right before y_max. */
Test(door, maxima_behind_listed_rows)
{
    static float maxima[8];
    static const int32_t rows[8];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    door_set set;
    f.table.row_maxima = 1;
    door_fill(&set);
    cr_assert_gt(set.gemm.M, 1);
    set.gemm.x_max = maxima;
    set.gemm.y_max = maxima + 1;
    set.gemm.rows = rows;
    expect_maxima(stream, "gemm", &set, HDL_OK, "listed");
    set.gemm.rows = NULL;
    expect_maxima(stream, "gemm", &set, HDL_EINVAL, "y_max overlaps x_max");
    hdl_stream_close(stream);
}

/* What embed clears: as many floats as there are, apart from the maxima that it sets; with row maxima alone. */
Test(door, what_embed_clears)
{
    static float maxima[8];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    door_set set;
    f.table.row_maxima = 1;
    cr_expect_eq(hdl_device_describe(&f.device, &info), HDL_OK);
    cr_expect_eq(info.row_maxima, 1);
    door_fill(&set);
    set.embed.n_zero = 1;
    expect_maxima(stream, "embed", &set, HDL_EINVAL, "n_zero = 1, allowed 0 to 0");
    set.embed.zero = maxima + 3;
    set.embed.n_zero = -1;
    expect_maxima(stream, "embed", &set, HDL_EINVAL, "n_zero = -1, allowed 0 and more");
    set.embed.n_zero = 5;
    set.embed.y_max = maxima;       /* four rows */
    expect_maxima(stream, "embed", &set, HDL_EINVAL, "zero overlaps y_max");
    set.embed.zero = maxima + 4;
    expect_maxima(stream, "embed", &set, HDL_OK, "behind");
    hdl_stream_close(stream);
}
