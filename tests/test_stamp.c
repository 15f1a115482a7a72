/*
 * test_stamp.c - stamps: the op on every backend, recorded too; the names that the doors of a traced stream note;
 * what is not traced pays nothing.
 */
#include "device/device_state.h"
#include "device/stamps.h"
#include "fake_backend.h"
#include "op_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

TestSuite(stamp, .timeout = OP_TEST_SECONDS);

enum { STRIDE = 5, ROWS = 3, SCHEDULES = 8 };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void stamp_at(op_world *w, uint64_t *to, const int32_t *place, int32_t index)
{
    hdl_stamp_args a = HDL_STAMP_ARGS_INIT;
    a.to = to;
    a.place = place;
    a.stride = STRIDE;
    a.index = index;
    cr_assert_eq(w->backend->stamp(w->stream, &a), HDL_OK);
}

/* Each goes to its own word and no other; later ones are not smaller. */
Test(stamp, every_place)
{
    for (int i = 0; i < OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)i, 1)) continue;
        uint64_t seen[ROWS * STRIDE], *to = op_device(&w, NULL, sizeof seen);
        const int32_t one = 1;
        const int32_t *place = op_device(&w, &one, sizeof one);
        const int64_t before = now_ns();
        for (int32_t k = 1; k < STRIDE; k++) stamp_at(&w, to, place, k);
        stamp_at(&w, to, NULL, 2);
        op_fetch(&w, seen, to, sizeof seen);
        const int64_t after = now_ns();
        for (int k = 0; k < ROWS * STRIDE; k++) {
            const bool ours = k == 2 || (k > STRIDE && k < 2 * STRIDE);
            cr_expect_eq(seen[k] != 0, ours, "%s, word %d", op_place_name(w.place), k);
        }
        for (int k = STRIDE + 2; k < 2 * STRIDE; k++) cr_expect_leq(seen[k - 1], seen[k], "%s", op_place_name(w.place));
        cr_expect_leq(seen[2 * STRIDE - 1], seen[2], "%s: a later stamp is smaller", op_place_name(w.place));
        if (op_on_cpu(&w) || op_on_simt(&w)) cr_expect((int64_t)seen[STRIDE + 1] >= before && (int64_t)seen[2] <= after);
        op_close(&w);
    }
}

/* Whatever the order of queued work, stamps of one stream do not overtake each other. */
Test(stamp, schedules)
{
    op_world w;
    if (!op_open_at(&w, OP_SIMT_F32, 3)) return;
    uint64_t seen[ROWS * STRIDE], *to = op_device(&w, NULL, sizeof seen);
    const int32_t one = 1;
    const int32_t *place = op_device(&w, &one, sizeof one);
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        op_schedule(&w, seed);
        memset(seen, 0, sizeof seen);
        op_send(&w, to, seen, sizeof seen);
        for (int32_t k = 0; k < STRIDE; k++) stamp_at(&w, to, place, k);
        op_fetch(&w, seen, to, sizeof seen);
        for (int k = 0; k < ROWS * STRIDE; k++)
            cr_expect_eq(seen[k] != 0, k / STRIDE == 1, "schedule %d, word %d", (int)seed, k);
        for (int k = STRIDE + 1; k < 2 * STRIDE; k++)
            cr_expect_leq(seen[k - 1], seen[k], "schedule %d: stamp %d is smaller than the one before", (int)seed, k - STRIDE);
    }
    op_close(&w);
}

/* A replay reads the clock anew, and the row from memory. */
Test(stamp, recorded)
{
    for (int i = 0; i < OP_N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)i, 2)) continue;
        uint64_t seen[ROWS * STRIDE], *to = op_device(&w, NULL, sizeof seen);
        int32_t row = 0, *place = op_device(&w, &row, sizeof row);
        hdl_backend_graph *graph = NULL;
        cr_assert_eq(w.backend->record_begin(w.stream), HDL_OK);
        stamp_at(&w, to, place, 0);
        stamp_at(&w, to, place, STRIDE - 1);
        cr_assert_eq(w.backend->record_end(w.stream, &graph), HDL_OK);
        op_fetch(&w, seen, to, sizeof seen);
        for (int k = 0; k < ROWS * STRIDE; k++) cr_expect_eq(seen[k], 0u, "recording is not running");
        for (row = 0; row < ROWS; row++) {
            op_send(&w, place, &row, sizeof row);
            cr_assert_eq(w.backend->replay(w.stream, graph), HDL_OK);
        }
        op_fetch(&w, seen, to, sizeof seen);
        for (int r = 0; r < ROWS; r++) {
            cr_expect_gt(seen[r * STRIDE], 0u, "%s, row %d", op_place_name(w.place), r);
            cr_expect_leq(seen[r * STRIDE], seen[r * STRIDE + STRIDE - 1]);
            if (r > 0) cr_expect_leq(seen[r * STRIDE - 1], seen[r * STRIDE], "%s, row %d", op_place_name(w.place), r);
        }
        w.backend->graph_close(graph);
        op_close(&w);
    }
}

/* ---- streams that are traced ---- */

enum { E = 8, MOST = 4 };

typedef struct traced {
    hdl_device    *device;
    hdl_stream    *stream;
    float         *x;           /* [E] twice */
    uint64_t      *to;
    hdl__stamped   ops[MOST];
    hdl__stamps    stamps;
} traced;

static void open_traced(traced *t)
{
    void *block = NULL;
    memset(t, 0, sizeof *t);
    cr_assert_eq(hdl_device_open("cpu", NULL, &t->device), HDL_OK);
    cr_assert_eq(hdl_stream_create(t->device, &t->stream), HDL_OK);
    cr_assert_eq(hdl_device_alloc(t->device, 2 * E * sizeof(float), &block), HDL_OK);
    t->x = block;
    cr_assert_eq(hdl_device_alloc(t->device, MOST * sizeof(uint64_t), &block), HDL_OK);
    t->to = block;
    t->stamps = (hdl__stamps){.at = HDL_STAMP_ARGS_INIT, .ops = t->ops};
    t->stamps.at.to = t->to;
    t->stamps.at.stride = MOST;
}

static void close_traced(traced *t)
{
    hdl_device_free(t->device, t->to, MOST * sizeof(uint64_t));
    hdl_device_free(t->device, t->x, 2 * E * sizeof(float));
    hdl_stream_close(t->stream);
    hdl_device_close(t->device);
}

/* Two different ops. */
static void run_glu(const traced *t)
{
    hdl_glu_args a = HDL_GLU_ARGS_INIT;
    a.up = a.gate = t->x;
    a.y = t->x + E;
    a.ldu = a.ldg = a.ldy = E;
    a.M = 1;
    a.F = E;
    a.act = HDL_ACT_SWISH;
    cr_assert_eq(hdl_glu(t->stream, &a), HDL_OK, "%s", hdl_error_detail());
}

static void run_norm(const traced *t)
{
    hdl_norm_args a = HDL_NORM_ARGS_INIT;
    a.x = t->x;
    a.gamma = t->x;
    a.y = t->x + E;
    a.M = 1;
    a.E = E;
    a.kind = HDL_NORM_RMS;
    a.eps = 1e-5f;
    cr_assert_eq(hdl_norm(t->stream, &a), HDL_OK, "%s", hdl_error_detail());
}

static void expect_op(const hdl__stamped *op, const char *name, int32_t M, int32_t N)
{
    cr_assert_not_null(op->op, "%s was not noted", name);
    cr_expect_str_eq(op->op, name);
    cr_expect(op->M == M && op->N == N, "%s: M %d N %d", name, op->M, op->N);
}

Test(stamp, ops_are_noted_in_order)
{
    traced t;
    open_traced(&t);
    run_glu(&t);
    cr_assert_eq(hdl__stream_trace(t.stream, &t.stamps), HDL_OK);
    run_glu(&t);
    run_norm(&t);
    cr_assert_eq(hdl__stream_trace(t.stream, NULL), HDL_OK);
    run_glu(&t);
    cr_assert_eq(t.stamps.at.index, 3);
    cr_expect_null(t.ops[0].op);
    expect_op(&t.ops[1], "glu", 1, E);
    expect_op(&t.ops[2], "norm", 1, E);
    cr_expect(t.to[0] > 0 && t.to[0] <= t.to[1] && t.to[1] <= t.to[2] && t.to[3] == 0);
    close_traced(&t);
}

/* What has no room shares the last stamp, which is the end of all. */
Test(stamp, more_ops_than_stamps)
{
    traced t;
    open_traced(&t);
    cr_assert_eq(hdl__stream_trace(t.stream, &t.stamps), HDL_OK);
    for (int i = 0; i < MOST; i++) run_glu(&t);
    const uint64_t last = t.to[MOST - 1];
    const int64_t before = now_ns();
    run_norm(&t);
    cr_assert_eq(t.stamps.at.index, MOST);
    expect_op(&t.ops[MOST - 2], "glu", 1, E);
    expect_op(&t.ops[MOST - 1], "others", 0, 0);
    cr_expect_gt(t.to[MOST - 1], last);
    cr_expect_geq((int64_t)t.to[MOST - 1], before);
    /* traced anew: empty again */
    cr_assert_eq(hdl__stream_trace(t.stream, &t.stamps), HDL_OK);
    cr_expect_eq(t.stamps.at.index, 1);
    cr_assert_eq(hdl__stream_trace(t.stream, NULL), HDL_OK);
    close_traced(&t);
}

/* A recording has the names of its own ops; one that was not traced has none and no stamps. */
Test(stamp, recordings_keep_names)
{
    traced t;
    hdl_recording *with = NULL, *without = NULL;
    open_traced(&t);
    cr_assert_eq(hdl_record_begin(t.stream), HDL_OK);
    cr_assert_eq(hdl__stream_trace(t.stream, &t.stamps), HDL_OK);
    run_norm(&t);
    run_glu(&t);
    cr_assert_eq(hdl_record_end(t.stream, &with), HDL_OK);
    cr_assert_eq(hdl__stream_trace(t.stream, NULL), HDL_OK);
    cr_assert_eq(hdl_record_begin(t.stream), HDL_OK);
    run_norm(&t);
    cr_assert_eq(hdl_record_end(t.stream, &without), HDL_OK);
    memset(t.ops, 0, sizeof t.ops);
    cr_assert_eq(with->n_stamped, 3);
    cr_assert_eq(without->n_stamped, 0);
    expect_op(&with->stamped[1], "norm", 1, E);
    expect_op(&with->stamped[2], "glu", 1, E);
    cr_assert_eq(hdl_record_replay(t.stream, without), HDL_OK);
    cr_expect_eq(t.to[0], 0u);
    cr_assert_eq(hdl_record_replay(t.stream, with), HDL_OK);
    cr_expect(t.to[0] > 0 && t.to[0] <= t.to[1] && t.to[1] <= t.to[2]);
    hdl_record_close(with);
    hdl_record_close(without);
    close_traced(&t);
}

/* Ranges of the CUDA backend reach the profiler, nested, and are all ended. */
static uint64_t ask_simt(const char *name)
{
    void *symbol = op_symbol("simt", name);
    uint64_t (*hook)(void) = NULL;
    cr_assert_not_null(symbol, "%s", name);
    memcpy(&hook, &symbol, sizeof hook);
    return hook();
}

Test(stamp, ranges_reach_the_profiler)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    const uint64_t before = ask_simt("simt_ranges_begun");
    simt->range_begin("outer");
    simt->range_begin("inner");
    cr_expect_eq(ask_simt("simt_ranges_open"), 2u);
    simt->range_end();
    simt->range_end();
    cr_expect_eq(ask_simt("simt_ranges_open"), 0u);
    cr_expect_eq(ask_simt("simt_ranges_begun") - before, 2u);
}

/* Ranges go to a backend that has them, and only there. */
static int n_begun, n_ended;
static void count_begin(const char *name) { n_begun += strcmp(name, "step") == 0; }
static void count_end(void) { n_ended++; }

Test(stamp, ranges_where_offered)
{
    fake f;
    fake_open(&f, 1);
    hdl__device_range_begin(&f.device, "step");
    hdl__device_range_end(&f.device);
    f.table.range_begin = count_begin;
    hdl__device_range_begin(&f.device, "step");     /* one without the other would not nest */
    cr_expect(n_begun == 0 && n_ended == 0);
    f.table.range_end = count_end;
    hdl__device_range_begin(&f.device, "step");
    hdl__device_range_end(&f.device);
    cr_expect(n_begun == 1 && n_ended == 1);
}
