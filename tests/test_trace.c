/*
 * test_trace.c - traces of the CPU and of a device that runs behind the host: whole and consistent, the same results
 * as without, nothing allocated while decoding; whatever ends the run.
 */
#include "base/memory.h"
#include "deferred_backend.h"
#include "device/plugin.h"
#include "engine_life.h"
#include "lag_cases.h"
#include "replica_backend.h"
#include "runtime/trace_file.h"
#include "trace_check.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char path[64];

static void provide(void)
{
    snprintf(path, sizeof path, "/tmp/heddle-trace-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    hdl__plugin_provide("simt", deferred_backend());
}

static void drop_file(void) { unlink(path); }

TestSuite(trace, .init = provide, .fini = drop_file, .timeout = 120);

#define MODEL "tests/data/goldens/tiny-a"
#define CPU(lag) (lag_device){"cpu", lag, 0, 64, HDL_COMPUTE_F32, NULL}
#define DEFERRED(lag) (lag_device){"simt", lag, 0, 64, HDL_COMPUTE_F32, NULL}

/* The load of test_lag with a trace: what the trace counts is what the engine counts. */
static void compare(lag_device d, trace_summary *s)
{
    static uint64_t wanted[LAG_CASES], got[LAG_CASES];
    const lag_device cpu = CPU(0);
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    lag_trace_to(NULL);
    lag_engine plain = lag_open(MODEL, &cpu);
    lag_run(&plain, LAG_CASES, wanted);
    lag_close(&plain);
    lag_trace_to(path);
    lag_engine l = lag_open(MODEL, &d);
    lag_run(&l, LAG_CASES, got);
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &stats), HDL_OK);
    lag_close(&l);
    cr_expect_eq(stats.allocations, 0u, "%d allocations while decoding", (int)stats.allocations);
    cr_expect_eq(deferred_breaches(), 0);
    for (int i = 0; i < LAG_CASES; i++) cr_expect_eq(wanted[i], got[i], "request %d differs with a trace", i);
    trace_check(path, s);
    cr_expect_eq(s->n_requests, LAG_CASES);
    for (int i = 0; i < LAG_CASES; i++) cr_expect_eq(s->lines[i], 1, "line %d is told %d times", i, s->lines[i]);
    cr_expect_eq(s->failed, 0);
    cr_expect_eq(s->n_steps, (int)stats.steps);
    cr_expect_eq(s->step_rows, (long)stats.rows);
    cr_expect_eq(s->n_encode, (int)stats.encoder_passes);
    cr_expect_eq(s->n_write, (int)stats.encoder_passes);
    cr_expect_gt(s->n_forced, 0);
    cr_expect_eq(s->n_restarts, (int)stats.restarts);
    cr_expect_eq(s->queue_in, LAG_CASES + s->n_restarts);
    cr_expect_eq(s->queue_last, 0);
    cr_expect(s->queue_empty > 0 && s->queue_empty < s->last_pass, "the queue is empty at %.3f", s->queue_empty);
    cr_expect(s->gemm && s->self && s->source && s->packed && s->beam_step && !s->others);
    cr_expect_eq(s->rows_last, 0);
    cr_expect_eq(s->ahead_last, 0);
    cr_expect_gt(s->n_host, 0);
}

Test(trace, cpu)
{
    trace_summary s;
    compare(CPU(0), &s);
    cr_expect_leq(s.ahead_most, 1);
}

Test(trace, none_behind)
{
    trace_summary s;
    compare(DEFERRED(0), &s);
    cr_expect_leq(s.ahead_most, 1);
}

Test(trace, behind)
{
    for (int32_t lag = 1; lag <= 2; lag++) {
        trace_summary s;
        compare(DEFERRED(lag), &s);
        cr_expect(s.ahead_most > lag - 1 && s.ahead_most <= lag + 1, "lag %d, %d steps ahead", lag, s.ahead_most);
    }
}

/* Pages run dry: restarts are told, and a request that starts again still has each phase once. */
Test(trace, restarts)
{
    trace_summary s;
    lag_device d = DEFERRED(1);
    d.pool_bytes = ((64 * 8 + 64) / HDL_PAGE_ROWS + 1) * 2 * 2 * HDL_PAGE_ROWS * 16 * sizeof(float);
    compare(d, &s);
    cr_expect_gt(s.n_restarts, 0);
}

/* A clock of its own, far from the host's, that runs too fast or too slow: nothing leaves its bounds (trace_check). */
Test(trace, clocks_that_drift)
{
    static const struct { int64_t offset; double drift; } rows[] = {
        {0, 0}, {1000000000000000000, 0}, {-1000000000, 0}, {5000000000, 1e-3}, {5000000000, -1e-3},
        {0, 0.2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trace_summary s;
        deferred_set_clock(rows[i].offset, rows[i].drift);
        compare(DEFERRED(1), &s);
        if (rows[i].drift == 0) cr_expect_eq(s.at_bounds, 0, "clock %d: %d passes", (int)i, s.at_bounds);
    }
    deferred_set_clock(0, 0);
}

/* Two lanes, callbacks, priorities; what a locale thinks of decimal points does not matter. */
static void count_call(hdl_ticket *ticket, void *user)
{
    (void)ticket;
    atomic_fetch_add((atomic_int *)user, 1);
}

Test(trace, lanes_and_callbacks)
{
    enum { N = 60 };
    hdl_ticket *tickets[N];
    atomic_int calls = 0;
    trace_summary s;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    o.device = "cpu";
    o.threads = 2;
    o.max_rows = 8;
    o.max_beam = 8;
    o.trace = path;
    engine e = open_engine(MODEL, &o);
    for (int i = 0; i < N; i++) {
        hdl_request r = simple();
        r.line = (uint64_t)i;
        r.priority = i % 3;
        r.on_done = count_call;
        r.user = &calls;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < N; i++) {
        cr_expect_eq(wait_status(tickets[i]), HDL_OK);
        hdl_ticket_release(tickets[i]);
    }
    close_engine(&e);
    trace_check(path, &s);
    cr_expect_eq(s.n_requests, N);
    cr_expect_eq(s.n_callbacks, N);
    cr_expect_eq(s.queue_in, N);
    cr_expect_eq(s.queue_last, 0);
}

/* Several devices: each has its tracks, by name, and all steps are there. */
Test(trace, replicas)
{
    enum { DEVICES = 2 };
    static uint64_t wanted[LAG_CASES], got[LAG_CASES];
    static char bytes[1 << 16];
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    trace_summary s;
    hdl__plugin_provide("simt", replica_backend(DEVICES));
    o.device = "simt:all";
    o.compute = HDL_COMPUTE_F32;
    o.max_beam = 8;
    o.max_rows = 32;
    lag_engine l = {.e = open_engine(MODEL, &o)};
    lag_run(&l, LAG_CASES, wanted);
    close_engine(&l.e);
    o.trace = path;
    l.e = open_engine(MODEL, &o);
    lag_run(&l, LAG_CASES, got);
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &stats), HDL_OK);
    close_engine(&l.e);
    for (int i = 0; i < LAG_CASES; i++) cr_expect_eq(wanted[i], got[i], "request %d differs with a trace", i);
    trace_check(path, &s);
    cr_expect_eq(s.n_requests, LAG_CASES);
    cr_expect_eq(s.n_steps, (int)stats.steps);
    cr_expect_eq(s.step_rows, (long)stats.rows);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_gt(fread(bytes, 1, sizeof bytes - 1, file), 0u);
    fclose(file);
    cr_expect_not_null(strstr(bytes, "\"lane 0 steps (simt:0)\""));
    cr_expect_not_null(strstr(bytes, "\"lane 1 steps (simt:1)\""));
}

/* ---- runs that end badly ---- */

/* Closing drops what waits and what runs: all of it is told. */
Test(trace, close_without_draining)
{
    hdl_ticket *tickets[MOST];
    trace_summary s;
    lag_trace_to(path);
    const lag_device d = DEFERRED(2);
    lag_engine l = lag_open(MODEL, &d);
    const size_t n = fill_up(&l.e, tickets, 40);
    lag_close(&l);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(wait_status(tickets[i]), HDL_ECANCELLED);
        hdl_ticket_release(tickets[i]);
    }
    trace_check(path, &s);
    cr_expect_eq(s.n_requests, (int)n);
    cr_expect_eq(s.failed, (int)n);
    cr_expect_eq(s.queue_last, 0);
}

/* A device that fails in the middle. */
Test(trace, device_error)
{
    hdl_ticket *tickets[16];
    trace_summary s;
    lag_trace_to(path);
    const lag_device d = DEFERRED(1);
    lag_engine l = lag_open(MODEL, &d);
    deferred_fail_at(700);
    for (int i = 0; i < 16; i++) {
        hdl_request r = simple();
        cr_assert_eq(hdl_translator_submit(l.e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    int failed = 0;
    for (int i = 0; i < 16; i++) {
        failed += wait_status(tickets[i]) == HDL_EDEVICE;
        hdl_ticket_release(tickets[i]);
    }
    deferred_fail_at(0);
    lag_close(&l);
    trace_check(path, &s);
    cr_expect_gt(failed, 0, "the device was meant to fail");
    cr_expect_eq(s.n_requests, 16);
    cr_expect_eq(s.failed, failed);
}

/* Refused before any work: a line that names the file and says why. */
Test(trace, files_that_cannot_be_written)
{
    static const struct { const char *path, *line; } rows[] = {
        {"/tmp/no/such/folder/trace", "cannot open the trace /tmp/no/such/folder/trace: No such file or directory"},
        {"/tmp", "cannot open the trace /tmp: Is a directory"},
        {"/dev/full", "cannot write the trace /dev/full: No space left on device"},
    };
    hdl_model *model = NULL;
    hdl_translator *translator = NULL;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" MODEL, NULL, &model), HDL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
        o.device = "cpu";
        o.threads = 1;
        o.trace = rows[i].path;
        cr_expect_eq(hdl_translator_open(model, &o, &translator), HDL_EIO);
        cr_expect_str_eq(hdl_error_detail(), rows[i].line);
        cr_expect_null(translator);
    }
    hdl_model_close(model);
}

/* No room in the middle: results come all the same, closing says so, and what was written is whole. */
Test(trace, no_room_in_the_middle)
{
    enum { ROOM = 600 * 1024 };
    json_error_t error;
    struct rlimit limit, tight;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    char line[128];
    o.device = "cpu";
    o.threads = 1;
    o.trace = path;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    tight = (struct rlimit){ROOM, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    engine e = open_engine(MODEL, &o);
    for (int i = 0; i < 200; i++) {
        hdl_ticket *ticket;
        hdl_request r = simple();
        cr_expect_eq(run_request(&e, &r, &ticket)->status, HDL_OK);
        hdl_ticket_release(ticket);
    }
    cr_expect_eq(hdl_translator_close(e.translator, 1), HDL_EIO);
    snprintf(line, sizeof line, "cannot write the trace %s: File too large", path);
    cr_expect_str_eq(hdl_error_detail(), line);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    hdl_model_close(e.model);
    json_t *file = json_load_file(path, 0, &error);
    cr_assert_not_null(file, "line %d: %s", error.line, error.text);
    cr_expect_gt(json_array_size(json_object_get(file, "traceEvents")), 1000);
    json_decref(file);
}

/* Any allocation of opening fails: said, and nothing is left behind. Every tenth, and all of the last ones, which are the lane's. */
Test(trace, out_of_memory)
{
    enum { STEP = 10, LAST = 40 };
    hdl_model *model = NULL;
    hdl_translator *translator = NULL;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" MODEL, NULL, &model), HDL_OK);
    o.device = "cpu";
    o.threads = 1;
    o.max_rows = o.max_beam = 2;
    o.trace = path;
    const uint64_t before = hdl__alloc_count();
    cr_assert_eq(hdl_translator_open(model, &o, &translator), HDL_OK, "%s", hdl_error_detail());
    const uint64_t n = hdl__alloc_count() - before;
    cr_assert_eq(hdl_translator_close(translator, 1), HDL_OK);
    translator = NULL;
    for (uint64_t i = 1; i <= n; i += i + LAST < n ? STEP : 1) {
        hdl__alloc_fail_at(i);
        const hdl_status status = hdl_translator_open(model, &o, &translator);
        hdl__alloc_fail_at(0);
        cr_assert_eq(status, HDL_ENOMEM, "allocation %d of %d: %s", (int)i, (int)n, hdl_error_detail());
        cr_assert_null(translator);
    }
    hdl_model_close(model);
}
