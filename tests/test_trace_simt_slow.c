/*
 * test_trace_simt_slow.c - traces of the CUDA backend on its stand-in: stamps in recorded steps and on both streams,
 * ranges for a profiler, the same bits as without, no fault.
 */
#include "lag_cases.h"
#include "result_hash.h"
#include "simt_calls.h"
#include "trace_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N = 12, ROWS = 8, LONGEST = 6 };

static uint64_t ask(const char *name)
{
    void *symbol = op_symbol("simt", name);
    uint64_t (*hook)(void) = NULL;
    cr_assert_not_null(symbol, "%s", name);
    memcpy(&hook, &symbol, sizeof hook);
    return hook();
}

static bool have_simt(void)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    places.library_dir = HEDDLE_BACKENDS;
    const bool found = hdl_device_open("simt", &places, &device) == HDL_OK;
    if (!found) printf("skipped: %s\n", hdl_error_detail());
    hdl_device_close(device);
    return found;
}

static void take_hash(int i, const hdl_result *result, void *user) { ((uint64_t *)user)[i] = hash_result(result); }

static void run(int32_t lag, const char *path, uint64_t *hashes, hdl_translator_stats *stats)
{
    static hdl_request requests[N];
    static hdl_search_options options[N];
    const lag_device d = {"simt", lag, 0, ROWS, HDL_COMPUTE_F32, HEDDLE_BACKENDS};
    for (int i = 0; i < N; i++) {
        /* greedy, beams, a sample, alignment; scores, and a prefix that goes as one pass */
        static const int kinds[] = {0, 1, 3, 5, 13, 11};
        lag_request(kinds[i % 6], &requests[i], &options[i]);
        options[i].max_length = requests[i].n_target_tokens > 0 ? 16 : LONGEST;
        requests[i].line = (uint64_t)i;
    }
    lag_trace_to(path);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
    lag_run_requests(&l, requests, N, take_hash, hashes);
    *stats = (hdl_translator_stats)HDL_TRANSLATOR_STATS_INIT;
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, stats), HDL_OK);
    lag_close(&l);
}

Test(trace_simt, every_lag, .timeout = 3600)
{
    char path[] = "/tmp/heddle-trace-XXXXXX";
    uint64_t wanted[N], got[N];
    hdl_translator_stats plain, traced;
    if (!have_simt()) return;
    close(mkstemp(path));
    for (int32_t lag = 0; lag <= 2; lag++) {
        trace_summary s;
        run(lag, NULL, wanted, &plain);
        run(lag, path, got, &traced);
        for (int i = 0; i < N; i++) cr_expect_eq(wanted[i], got[i], "request %d differs with a trace, lag %d", i, lag);
        trace_check(path, &s);
        cr_expect_eq(s.n_requests, N);
        cr_expect_eq(s.failed, 0);
        cr_expect_eq(s.n_steps, (int)traced.steps);
        cr_expect_eq(s.step_rows, (long)traced.rows);
        cr_expect_eq(s.n_encode, (int)traced.encoder_passes);
        cr_expect_gt(s.n_forced, 0);
        cr_expect(s.gemm && s.self && s.source && s.packed && s.beam_step && !s.others);
        cr_expect_leq(s.ahead_most, lag + 1);
        cr_expect_eq(traced.allocations, 0u);
    }
    cr_expect_eq(ask("simt_faults"), 0u);
    cr_expect_gt(ask("simt_ranges_begun"), 0u);
    cr_expect_eq(ask("simt_ranges_open"), 0u);
    unlink(path);
}
