/*
 * test_lag.c - a device whose memory the host cannot touch and which runs behind it gives the bits that the CPU gives: every kind of request,
 * lags 0 to 2, few pages, cancelling, closing, failing.
 */
#include "deferred_backend.h"
#include "device/plugin.h"
#include "engine_life.h"
#include "lag_cases.h"
#include "result_hash.h"
#include "runtime/translator_state.h"
#include "tiny_memory.h"

#include <string.h>

static void provide(void) { hdl__plugin_provide("simt", deferred_backend()); }

TestSuite(lag, .init = provide, .timeout = 120);

static lag_device on_cpu(void) { return (lag_device){"cpu", 0, 0, 64, HDL_COMPUTE_F32, NULL}; }

static void expect_equal(const uint64_t *wanted, const uint64_t *got, const lag_device *d, uint64_t seed)
{
    for (int i = 0; i < LAG_CASES; i++)
        cr_expect_eq(wanted[i], got[i], "request %d (kind %d) differs: %s, lag %d, seed %d, %d rows", i, i % LAG_KINDS, d->name,
                     d->lag, (int)seed, d->max_rows);
    cr_expect_eq(deferred_breaches(), 0, "%d breaches", deferred_breaches());
}

static void compare(const char *path, lag_device d, uint64_t seed)
{
    static uint64_t wanted[LAG_CASES], got[LAG_CASES];
    const lag_device cpu = on_cpu();
    lag_engine plain = lag_open(path, &cpu);
    lag_run(&plain, LAG_CASES, wanted);
    lag_close(&plain);
    deferred_set_seed(seed);
    lag_engine l = lag_open(path, &d);
    lag_run(&l, LAG_CASES, got);
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &stats), HDL_OK);
    cr_expect_eq(stats.allocations, 0u, "%d allocations while decoding", (int)stats.allocations);
    if (d.pool_bytes > 0) cr_expect_gt(stats.restarts, 0u, "the pool was meant to run dry");
    lag_close(&l);
    expect_equal(wanted, got, &d, seed);
}

#define SIMT(lag, rows) (lag_device){"simt", lag, 0, rows, HDL_COMPUTE_F32, NULL}

Test(lag, none_behind) { compare("tests/data/goldens/tiny-a", SIMT(0, 64), 0); }
Test(lag, one_behind) { compare("tests/data/goldens/tiny-a", SIMT(1, 64), 0); }
Test(lag, two_behind) { compare("tests/data/goldens/tiny-a", SIMT(2, 64), 0); }
Test(lag, few_rows) { compare("tests/data/goldens/tiny-a", SIMT(1, 9), 3); }
Test(lag, other_model) { compare("tests/data/goldens/tiny-d", SIMT(2, 40), 4); }

/* Some of the work runs on its own, at moments that each seed draws anew. */
Test(lag, random_moments)
{
    for (uint64_t seed = 1; seed <= 4; seed++) compare("tests/data/goldens/tiny-a", SIMT(1 + (int32_t)seed % 2, 33), seed);
}

/* The CPU itself, which has no lag, behaves as if it had. */
Test(lag, unified_memory)
{
    for (int32_t lag = 1; lag <= 2; lag++) compare("tests/data/goldens/tiny-a", (lag_device){"cpu", lag, 0, 50, HDL_COMPUTE_F32, NULL}, 0);
}

/* The pool of one full sentence: what runs dry restarts; no page is given to another while a queued step may write it. */
Test(lag, few_pages)
{
    const uint64_t one = 64 * 8 + 64;       /* positions times beams, and source positions, in key rows */
    for (int32_t lag = 0; lag <= 2; lag++) {
        lag_device d = SIMT(lag, 64);
        d.pool_bytes = (one / HDL_PAGE_ROWS + 1) * 2 * 2 * HDL_PAGE_ROWS * 16 * sizeof(float);
        compare("tests/data/goldens/tiny-a", d, (uint64_t)lag);
    }
}

/* ---- leaving early ---- */

static size_t submit_endless(const engine *e, hdl_ticket **tickets, size_t n)
{
    static hdl_search_options slow;
    slow = endless();
    for (size_t i = 0; i < n; i++) {
        hdl_request r = simple();
        if (i % 2 == 0) r.search = &slow;
        cr_assert_eq(hdl_translator_submit(e->translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    return n;
}

/* Cancelled and late sentences leave in the middle of queued steps; the others' bits do not change. */
Test(lag, cancel_and_deadlines)
{
    static uint64_t wanted[LAG_CASES], got[LAG_CASES];
    const lag_device cpu = on_cpu();
    lag_engine plain = lag_open("tests/data/goldens/tiny-a", &cpu);
    lag_run(&plain, LAG_CASES, wanted);
    lag_close(&plain);
    for (int32_t lag = 1; lag <= 2; lag++) {
        const lag_device d = SIMT(lag, 24);
        hdl_ticket *tickets[MOST], *late;
        deferred_set_seed((uint64_t)lag);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
        const hdl_search_options slow = endless();
        hdl_request r = simple();
        r.search = &slow;
        r.deadline_us = 1;
        cr_assert_eq(hdl_translator_submit(l.e.translator, &r, &late), HDL_OK);
        submit_endless(&l.e, tickets, 32);
        for (size_t i = 0; i < 32; i += 2) hdl_ticket_cancel(tickets[i]);
        lag_run(&l, LAG_CASES, got);
        cr_expect_eq(wait_status(late), HDL_ETIMEOUT);
        hdl_ticket_release(late);
        for (size_t i = 0; i < 32; i++) {
            const hdl_status status = wait_status(tickets[i]);
            if (i % 2 == 1) cr_expect_eq(status, HDL_OK);
            else cr_expect(status == HDL_ECANCELLED || status == HDL_OK, "%s", hdl_status_name(status));
            hdl_ticket_release(tickets[i]);
        }
        lag_close(&l);
        expect_equal(wanted, got, &d, (uint64_t)lag);
    }
}

/* Short sentences are cancelled at any moment, some when they have ended and the host does not know; their slots are taken at once. */
Test(lag, cancel_ghosts)
{
    enum { N = 300 };
    static hdl_ticket *tickets[N];
    static hdl_request requests[N];
    static hdl_search_options options[N];
    static uint64_t wanted[N];
    for (int32_t lag = 0; lag <= 2; lag++) {
        const lag_device d = lag == 0 ? on_cpu() : SIMT(lag, 12);
        deferred_set_seed((uint64_t)lag);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
        for (int i = 0; i < N; i++) {
            lag_request(i * LAG_KINDS, &requests[i], &options[i]);      /* greedy */
            options[i].max_length = 3 + i % 5;
            cr_assert_eq(hdl_translator_submit(l.e.translator, &requests[i], &tickets[i]), HDL_OK, "%s", hdl_error_detail());
        }
        for (int i = 0; i < N; i++) {
            const hdl_result *result;
            if (lag > 0 && i % 3 == 0) hdl_ticket_cancel(tickets[i]);
            cr_assert_eq(hdl_ticket_wait(tickets[i], 60000000, &result), HDL_OK, "request %d does not end", i);
            if (lag == 0) wanted[i] = hash_result(result);
            else if (result->status != HDL_ECANCELLED) cr_expect_eq(wanted[i], hash_result(result), "request %d, lag %d", i, lag);
            hdl_ticket_release(tickets[i]);
        }
        lag_close(&l);
    }
    cr_expect_eq(deferred_breaches(), 0, "%d breaches", deferred_breaches());
}

/* Passes of given tokens alone: no step limits how many are queued, the ring does. */
Test(lag, scores_only)
{
    enum { N = 60 };
    static const char *const source[] = {"w1", "w2", "w3"}, *const target[] = {"w4", "w6", "w7", "w8", "w9", "w11", "w12"};
    static hdl_ticket *tickets[N];
    uint64_t wanted[N] = {0};
    for (int32_t lag = 0; lag <= 2; lag++) {
        const lag_device d = lag == 0 ? on_cpu() : SIMT(lag, 8);
        deferred_set_seed(0);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
        hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
        for (int i = 0; i < N; i++) {
            hdl_request r = HDL_REQUEST_INIT;
            r.kind = HDL_REQUEST_SCORE;
            r.tokens = source;
            r.target_tokens = target;
            r.n_tokens = 1 + (size_t)i % 3;
            r.n_target_tokens = 1 + (size_t)i % 7;
            r.search = &o;
            o.alignment = i % 2;
            cr_assert_eq(hdl_translator_submit(l.e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
        }
        for (int i = 0; i < N; i++) {
            const hdl_result *result;
            cr_assert_eq(hdl_ticket_wait(tickets[i], 60000000, &result), HDL_OK, "request %d does not end", i);
            if (lag == 0) wanted[i] = hash_result(result);
            else cr_expect_eq(wanted[i], hash_result(result), "request %d, lag %d", i, lag);
            hdl_ticket_release(tickets[i]);
        }
        lag_close(&l);
    }
    cr_expect_eq(deferred_breaches(), 0, "%d breaches", deferred_breaches());
}

/* A slot that is given, taken back and given again before anything is queued: its words stand in two lists, not twice in one. */
Test(lag, words_are_scattered_once)
{
    static const int32_t source[] = {5, 6, 7}, target[] = {8, 9};
    const lag_device d = SIMT(1, 8);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
    hdl_translator_options o = l.e.translator->options;
    hdl__lane lane;
    hdl__lane_plan plan;
    int32_t end = 1, ids[4];
    float logprobs[4];
    hdl__outcome outcome = {.ids = ids, .logprobs = logprobs};
    hdl_ticket ticket = {.n_open = 3};      /* never delivered */
    const hdl__search search = {.slot = {.K = 1, .n_enough = 1, .n_pool = 1, .repetition_penalty = 1.0f, .n_end = 1}, .n_best = 1, .ends = &end};
    hdl__sentence sentence = {.ticket = &ticket, .search = &search, .source = source, .prefix = target, .S = 3, .n_prefix = 2,
                              .max_length = 3, .phase = HDL__PHASE_SCORE, .n_children = 1, .outcomes = &outcome, .capacity = 1};
    cr_assert_eq(hdl__lane_plan_make(l.network, &o, true, &plan), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__lane_open(l.e.translator, l.network, &plan, &lane), HDL_OK, "%s", hdl_error_detail());
    for (int round = 0; round < 2; round++) {
        hdl__resident *resident = NULL;
        sentence.next_child = 0;
        cr_assert_eq(hdl__lane_settle(&lane, &sentence, &resident), HDL_OK);
        cr_assert_not_null(resident);
        if (round == 0) hdl__lane_evict(&lane, resident);
        else cr_assert_eq(hdl__lane_encode(&lane, &resident, 1), HDL_OK, "%s", hdl_error_detail());
    }
    cr_assert_eq(hdl__lane_run_forced(&lane), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__lane_drain(&lane), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(outcome.n, 3);
    cr_expect_eq(deferred_breaches(), 0, "%d breaches", deferred_breaches());
    hdl__lane_close(&lane);
    lag_close(&l);
}

enum { CLOSED = 24 };

static void close_with(int drain, int32_t lag)
{
    hdl_ticket *tickets[CLOSED];
    size_t n_done = 0;
    const lag_device d = SIMT(lag, 16);
    deferred_set_seed(1);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
    hdl__network_release(l.network);
    submit_endless(&l.e, tickets, CLOSED);
    cr_expect_eq(hdl_translator_close(l.e.translator, drain), HDL_OK);
    hdl_model_close(l.e.model);
    for (size_t i = 0; i < CLOSED; i++) {
        const hdl_status status = wait_status(tickets[i]);
        cr_expect(status == HDL_OK || status == HDL_ECANCELLED, "%s", hdl_status_name(status));
        n_done += status == HDL_OK;
        hdl_ticket_release(tickets[i]);
    }
    if (drain) cr_expect_eq(n_done, (size_t)CLOSED);
    cr_expect_eq(deferred_breaches(), 0, "%d breaches", deferred_breaches());
}

Test(lag, close_with_drain)
{
    for (int32_t lag = 1; lag <= 2; lag++) close_with(1, lag);
}

Test(lag, close_without_drain)
{
    for (int32_t lag = 1; lag <= 2; lag++) close_with(0, lag);
}

/* ---- failing ---- */

/* The device fails at some piece of work: every request ends with its line, those that come later too, and close works. */
Test(lag, device_error)
{
    for (uint64_t at = 1; at < 100000; at *= 7) {
        hdl_ticket *tickets[MOST];
        const lag_device d = SIMT(1 + (int32_t)(at % 2), 16);
        size_t n_failed = 0;
        deferred_set_seed(at);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
        deferred_fail_at(at);
        submit_endless(&l.e, tickets, MOST);
        for (size_t i = 0; i < MOST; i++) {
            const hdl_result *result;
            cr_assert_eq(hdl_ticket_wait(tickets[i], 60000000, &result), HDL_OK, "request %d does not end", (int)i);
            cr_expect(result->status == HDL_OK || result->status == HDL_EDEVICE, "%s", hdl_status_name(result->status));
            if (result->status == HDL_EDEVICE) {
                cr_expect_not_null(strstr(result->detail, "deferred: the device has"), "%s", result->detail);
                n_failed++;
            }
            hdl_ticket_release(tickets[i]);
        }
        if (at < 1000) cr_expect_gt(n_failed, 0u, "at %d", (int)at);
        deferred_fail_at(0);
        lag_close(&l);
    }
}

/* Numbers that are not finite fail their sentence, a ghost by the time the host knows, and no other. */
Test(lag, bad_numbers)
{
    static const char *const good[] = {"w1", "w2"}, *const bad[] = {"w1", "w5", "w2"};
    tiny_memory memory;
    size_t n;
    engine e = {0};
    hdl_ticket *tickets[MOST];
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    cr_assert(tiny_read("tiny-a", &memory));
    float *shared = tiny_tensor(&memory, "model.shared.weight", &n), *bias = tiny_tensor(&memory, "final_logits_bias", &n);
    for (int i = 0; i < 16; i++) shared[7 * 16 + i] = 1e36f;
    bias[7] = -3e38f;
    cr_assert_eq(hdl_model_load_memory(memory.files, TINY_FILES, NULL, &e.model), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt";
    cr_assert_eq(hdl_translator_open(e.model, &o, &e.translator), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < MOST; i++) {
        hdl_request r = simple();
        hdl_search_options s = HDL_SEARCH_OPTIONS_INIT;
        const bool spoiled = i % 4 != 0;
        s.sample = i % 4 == 1;
        s.alternatives = i % 4 == 2;
        s.n_best = s.sample || s.alternatives ? 3 : 1;
        r.search = &s;
        r.tokens = spoiled ? bad : good;
        r.n_tokens = spoiled ? 3 : 2;
        r.kind = i % 8 == 7 ? HDL_REQUEST_SCORE : HDL_REQUEST_TRANSLATE;
        r.target_tokens = good;
        r.n_target_tokens = r.kind == HDL_REQUEST_SCORE ? 2 : 0;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < MOST; i++) {
        cr_expect_eq(wait_status(tickets[i]), i % 4 != 0 ? HDL_ENUMERIC : HDL_OK, "request %d", i);
        hdl_ticket_release(tickets[i]);
    }
    close_engine(&e);
    tiny_free(&memory);
}

/* ---- pictures ---- */

Test(lag, attention_maps)
{
    const int32_t source[] = {5, 9, 12, 3}, target[] = {7, 30, 8};
    for (int kind = 0; kind < 3; kind++) {
        hdl_map wanted = {0}, got = {0};
        const lag_device cpu = on_cpu(), d = SIMT(1, 64);
        lag_engine plain = lag_open("tests/data/goldens/tiny-a", &cpu), l = lag_open("tests/data/goldens/tiny-a", &d);
        cr_assert_eq(hdl_translator_map(plain.e.translator, source, 4, target, 3, (hdl_map_kind)kind, -1, -1, &wanted), HDL_OK, "%s",
                     hdl_error_detail());
        cr_assert_eq(hdl_translator_map(l.e.translator, source, 4, target, 3, (hdl_map_kind)kind, -1, -1, &got), HDL_OK, "%s",
                     hdl_error_detail());
        cr_assert_eq(wanted.n_rows * wanted.n_columns, got.n_rows * got.n_columns);
        cr_expect_eq(memcmp(wanted.values, got.values, got.n_rows * got.n_columns * sizeof *got.values), 0, "kind %d", kind);
        hdl_map_free(&wanted);
        hdl_map_free(&got);
        lag_close(&plain);
        lag_close(&l);
    }
}

static uint64_t device_memory, copied;      /* copied: by the load of the last rows_of_lane */

static hdl_status describe_memory(const hdl_backend_device *device, hdl_device_info *info)
{
    const hdl_status status = deferred_backend()->describe(device, info);
    info->memory_bytes = device_memory;
    return status;
}

/* Rows of a step on a device of so much memory that likes 512 of them, and the bytes of its lane; one request is served. */
static int32_t rows_of_lane(uint64_t memory, int32_t asked, uint64_t *bytes)
{
    static hdl_backend table;
    table = *deferred_backend();
    table.usual_rows = 512;
    table.describe = describe_memory;
    device_memory = memory;
    hdl__plugin_provide("simt", &table);
    const lag_device d = SIMT(1, asked);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &d);
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    uint64_t hash;
    lag_run(&l, 1, &hash);
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &stats), HDL_OK);
    copied = stats.copied_bytes;
    *bytes = l.e.translator->lanes[0].plan.bytes;
    lag_close(&l);
    return stats.max_rows;
}

Test(lag, rows_follow_from_the_device_and_its_memory)
{
    uint64_t bytes = 0, least = 0, whole = 0;
    cr_expect_eq(rows_of_lane((uint64_t)1 << 20, 256, &bytes), 256);    /* as asked */
    const uint64_t first = copied;
    cr_expect_eq(rows_of_lane(0, 0, &whole), 512);                      /* memory that is not known bounds nothing */
    cr_expect_eq(copied, first, "%d bytes of copies, with half the rows %d: places that no row uses travel", (int)copied, (int)first);
    cr_expect_eq(rows_of_lane(4 * whole, 0, &least), 512);
    cr_expect_eq(rows_of_lane(4 * whole - 4, 0, &least), 256);
    cr_expect_eq(rows_of_lane(4 * bytes, 0, &least), 256);
    cr_expect_eq(rows_of_lane((uint64_t)1 << 20, 0, &least), 128);
}
