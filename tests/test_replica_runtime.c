/*
 * test_replica_runtime.c - one translator over several devices: bits, shares, sharing of networks, devices that fail. On the CPU's ops as
 * three devices; test_replicas.c has the stand-in for CUDA.
 */
#include "device/plugin.h"
#include "engine_life.h"
#include "lag_cases.h"
#include "model/network.h"
#include "replica_backend.h"
#include "result_hash.h"
#include "runtime/translator_state.h"

#include <string.h>
#include <unistd.h>

enum { DEVICES = 3, ROWS = 32, WAIT_US = 60000000 };

#define TINY "tests/data/goldens/tiny-a"

static void provide(void) { hdl__plugin_provide("simt", replica_backend(DEVICES)); }

static void expect_nothing_left(void) { cr_expect_eq(replica_open_things(), 0, "%d things are still open", replica_open_things()); }

TestSuite(replica_runtime, .init = provide, .fini = expect_nothing_left, .timeout = 120);

static hdl_translator_options options_on(const char *device)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = device;
    o.max_beam = 8;
    o.max_rows = ROWS;
    o.compute = HDL_COMPUTE_F32;
    return o;
}

static engine open_on(const char *device)
{
    const hdl_translator_options o = options_on(device);
    return open_engine(TINY, &o);
}

static hdl_translator_stats stats_of(const engine *e)
{
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    cr_assert_eq(hdl_translator_get_stats(e->translator, &s), HDL_OK);
    return s;
}

static hdl_device_stats device_stats(const engine *e, int32_t i)
{
    hdl_device_stats s = HDL_DEVICE_STATS_INIT;
    cr_assert_eq(hdl_translator_get_device_stats(e->translator, i, &s), HDL_OK, "%s", hdl_error_detail());
    return s;
}

/* Sentences on the device with the fewest of them. */
static int32_t fewest_held(const engine *e)
{
    hdl_translator *t = e->translator;
    int32_t fewest = INT32_MAX;
    pthread_mutex_lock(&t->hub->mutex);
    for (int32_t i = 0; i < t->n_lanes; i++)
        if (t->lanes[i].held < fewest) fewest = t->lanes[i].held;
    pthread_mutex_unlock(&t->hub->mutex);
    return fewest;
}

/* Holds all steps until every device has a sentence, so that a busy machine leaves none out. */
static void *let_go(void *e)
{
    enum { PAUSE_US = 1000 };
    for (int waited = 0; fewest_held(e) == 0 && waited < WAIT_US; waited += PAUSE_US) usleep(PAUSE_US);
    replica_hold(0);
    return NULL;
}

/* Whoever takes a sentence, its bits are the same; every device takes some; the parts are the whole. */
Test(replica_runtime, bits_do_not_depend_on_the_device)
{
    static uint64_t wanted[LAG_CASES], got[LAG_CASES];
    lag_engine l = {.e = open_on("simt")};
    lag_run(&l, LAG_CASES, wanted);
    close_engine(&l.e);
    l.e = open_on("simt:all");
    replica_hold(1);
    pthread_t releasing;
    cr_assert_eq(pthread_create(&releasing, NULL, let_go, &l.e), 0);
    lag_run(&l, LAG_CASES, got);
    pthread_join(releasing, NULL);
    for (int i = 0; i < LAG_CASES; i++) cr_expect_eq(wanted[i], got[i], "request %d differs", i);
    const hdl_translator_stats all = stats_of(&l.e);
    uint64_t sentences = 0, rows = 0, steps = 0, tokens = 0;
    cr_expect_eq(all.n_devices, DEVICES);
    cr_expect_eq(all.n_lost, 0);
    cr_expect_eq(all.lanes, DEVICES);
    for (int32_t i = 0; i < DEVICES; i++) {
        const hdl_device_stats one = device_stats(&l.e, i);
        char name[16];
        snprintf(name, sizeof name, "simt:%d", i);
        cr_expect_str_eq(one.name, name);
        cr_expect_eq(one.lost, 0);
        cr_expect_gt(one.sentences, 0u, "%s took no sentence", name);
        sentences += one.sentences, rows += one.rows, steps += one.steps, tokens += one.target_tokens;
    }
    cr_expect_eq(sentences, all.sentences);
    cr_expect_eq(rows, all.rows);
    cr_expect_eq(steps, all.steps);
    cr_expect_eq(tokens, all.target_tokens);
    hdl_device_stats none = HDL_DEVICE_STATS_INIT;
    cr_expect_eq(hdl_translator_get_device_stats(l.e.translator, DEVICES, &none), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "hdl_translator_get_device_stats: i = 3, allowed 0 to 2");
    cr_expect_eq(hdl_translator_get_device_stats(l.e.translator, -1, &none), HDL_EINVAL);
    close_engine(&l.e);
}

/* One alone has slots for sentences that wait for rows besides; each of several takes the same. */
Test(replica_runtime, bytes_are_of_all_devices)
{
    uint64_t one = 0, two = 0, three = 0;
    hdl_model *model = NULL;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" TINY, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    hdl_translator_options o = options_on("simt:1");
    cr_assert_eq(hdl_translator_bytes(model, &o, &one), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt:2,0";
    cr_assert_eq(hdl_translator_bytes(model, &o, &two), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt:2,0,1";
    cr_assert_eq(hdl_translator_bytes(model, &o, &three), HDL_OK, "%s", hdl_error_detail());
    cr_expect_gt(two, one);
    cr_expect_leq(two, 2 * one);
    cr_expect_eq(2 * three, 3 * two);
    hdl_model_close(model);
}

/* While no step ends: a device takes its part of what waits, and the others wake up for theirs. */
Test(replica_runtime, no_device_starves)
{
    enum { LOAD = 30, PAUSE_US = 1000 };
    hdl_ticket *tickets[LOAD];
    engine e = open_on("simt:0,1,2");
    replica_hold(1);
    for (int i = 0; i < LOAD; i++) {
        const hdl_request r = simple();
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int waited = 0; fewest_held(&e) == 0 && waited < WAIT_US; waited += PAUSE_US) usleep(PAUSE_US);
    cr_expect_gt(fewest_held(&e), 0, "a device stands idle");
    replica_hold(0);
    for (int i = 0; i < LOAD; i++) {
        cr_expect_eq(wait_status(tickets[i]), HDL_OK);
        hdl_ticket_release(tickets[i]);
    }
    close_engine(&e);
}

/* The share itself: levels, room, rows of a sentence. */
Test(replica_runtime, shares)
{
    static const struct { int32_t held[3], free[3], queue, rows, share; } cases[] = {
        {{0, 0, 0}, {32, 32, 32}, 30, 1, 10},
        {{0, 0, 0}, {32, 32, 32}, 1, 1, 1},
        {{0, 20, 20}, {32, 12, 12}, 10, 1, 10},     /* the idle one takes all */
        {{20, 0, 20}, {12, 32, 12}, 10, 1, 0},      /* and a busy one leaves it to the idle one */
        {{20, 0, 20}, {12, 4, 12}, 10, 1, 3},       /* as far as that has room */
        {{20, 0, 20}, {12, 0, 12}, 10, 1, 5},       /* one that is full or lost takes nothing */
        {{2, 0, 0}, {32, 32, 32}, 10, 8, 2},        /* four of 8 rows fit each: two above the level of those below */
        {{0, 0, 0}, {8, 8, 8}, 100, 1, 100},        /* more than all can hold: what fits */
        {{5, 4, 3}, {27, 28, 29}, 0, 1, 0},
    };
    engine e = open_on("simt:all");
    hdl_translator *t = e.translator;
    hdl__lane saved[3];
    pthread_mutex_lock(&t->hub->mutex);
    const int32_t n = t->queue.n;
    memcpy(saved, t->lanes, sizeof saved);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        for (int i = 0; i < 3; i++) {
            t->lanes[i].held = t->lanes[i].n_residents = cases[c].held[i];
            t->lanes[i].room = cases[c].free[i];
            t->lanes[i].rows_reserved = ROWS - cases[c].free[i];
        }
        t->queue.n = cases[c].queue;
        const int32_t share = hdl__lane_share(&t->lanes[0], cases[c].rows);
        cr_expect_eq(share, cases[c].share, "case %d: share %d, wanted %d", (int)c, share, cases[c].share);
    }
    t->queue.n = n;
    memcpy(t->lanes, saved, sizeof saved);
    pthread_mutex_unlock(&t->hub->mutex);
    close_engine(&e);
}

/* Networks are shared one by one: a set takes what is there and copies it to where it is not. */
Test(replica_runtime, sets_share_networks)
{
    hdl_model *model = NULL;
    hdl__network *one = NULL, *set[2], *again[3];
    const hdl__network_options o = {.device = "simt:1", .compute = HDL_COMPUTE_F32, .max_positions = 64};
    hdl__device_set devices;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" TINY, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__network_acquire(model, &o, &one), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__device_set_read("simt:0,1", NULL, &devices), HDL_OK);
    cr_assert_eq(hdl__network_acquire_all(model, &o, &devices, set), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(set[1], one);
    cr_expect_neq(set[0], one);
    cr_expect_eq(set[0]->bytes, one->bytes);
    cr_expect_eq(set[0]->device->info.index, 0);
    cr_assert_eq(hdl__device_set_read("simt:1,0,2", NULL, &devices), HDL_OK);
    cr_assert_eq(hdl__network_acquire_all(model, &o, &devices, again), HDL_OK, "%s", hdl_error_detail());
    cr_expect(again[0] == set[1] && again[1] == set[0] && again[2] != set[0] && again[2] != set[1]);
    hdl__network_release(one);
    for (int i = 0; i < 2; i++) hdl__network_release(set[i]);
    for (int i = 0; i < 3; i++) hdl__network_release(again[i]);
    cr_expect_null(model->networks);
    cr_expect_eq(hdl__network_acquire(model, &(hdl__network_options){.device = "simt:0,1", .max_positions = 64}, &one), HDL_EINVAL);
    hdl_model_close(model);
}

/* "simt" is simt:0 and no other. */
Test(replica_runtime, a_name_without_a_number_is_the_first)
{
    hdl_model *model = NULL;
    hdl__network *second = NULL, *first = NULL, *named = NULL;
    hdl__network_options o = {.device = "simt:1", .compute = HDL_COMPUTE_F32, .max_positions = 64};
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" TINY, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__network_acquire(model, &o, &second), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt";
    cr_assert_eq(hdl__network_acquire(model, &o, &first), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt:0";
    cr_assert_eq(hdl__network_acquire(model, &o, &named), HDL_OK, "%s", hdl_error_detail());
    cr_expect_neq(first, second);
    cr_expect_eq(first, named);
    hdl__network_release(named);
    hdl__network_release(first);
    hdl__network_release(second);
    hdl_model_close(model);
}

static int n_warnings;
static char last_warning[512];

static void keep_warning(hdl_log_level level, const char *line, void *user)
{
    (void)user;
    if (level != HDL_LOG_WARNING) return;
    n_warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", line);
}

/* Submits, waits; how many failed, each with the line of the device `by`. */
static int run_load(const engine *e, int n, int by)
{
    hdl_ticket *tickets[LAG_CASES];
    char words[64];
    int failed = 0;
    snprintf(words, sizeof words, "replica %d fails on demand", by);
    for (int i = 0; i < n; i++) {
        const hdl_request r = simple();
        cr_assert_eq(hdl_translator_submit(e->translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < n; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], WAIT_US, &result), HDL_OK, "request %d does not end", i);
        cr_expect(result->status == HDL_OK || result->status == HDL_EDEVICE, "%s", result->detail);
        if (result->status == HDL_EDEVICE) cr_expect_not_null(strstr(result->detail, words), "%s", result->detail);
        failed += result->status == HDL_EDEVICE;
        hdl_ticket_release(tickets[i]);
    }
    return failed;
}

/* One device after the other fails: it ends what it holds, the others take the rest; the last one ends all. */
Test(replica_runtime, devices_that_fail)
{
    enum { LOAD = 40 };
    engine e = open_on("simt:all");
    hdl_log_set(keep_warning, HDL_LOG_WARNING, NULL);
    static const int order[DEVICES] = {1, 0, 2};
    for (int k = 0; k < DEVICES; k++) {
        replica_fail(order[k], 3);
        int failed = 0;
        for (int round = 0; round < 20 && stats_of(&e).n_lost <= k; round++) failed += run_load(&e, LOAD, order[k]);
        cr_expect_eq(stats_of(&e).n_lost, k + 1);
        cr_expect_eq(device_stats(&e, order[k]).lost, 1);
        cr_expect_gt(failed, 0, "simt:%d held nothing when it failed", order[k]);
        cr_expect_eq(n_warnings, k + 1, "%d warnings", n_warnings);
        char wanted[128];
        snprintf(wanted, sizeof wanted, "simt:%d has failed and takes no more work%s: replica %d fails on demand", order[k],
                 k + 1 < DEVICES ? "; other devices go on" : "", order[k]);
        cr_expect_eq(strncmp(last_warning, wanted, strlen(wanted)), 0, "%s", last_warning);
        if (k + 1 < DEVICES) cr_expect_eq(run_load(&e, LOAD, -1), 0, "work fails on devices that are sound");
        else cr_expect_eq(run_load(&e, LOAD, order[k]), LOAD, "no device is left");
    }
    close_engine(&e);
    hdl_log_set(NULL, HDL_LOG_WARNING, NULL);
}

/* Closing works with lost devices and work that waits, drained or not. */
Test(replica_runtime, closing_with_a_lost_device)
{
    enum { LOAD = 24 };
    for (int drain = 0; drain < 2; drain++) {
        hdl_ticket *tickets[LOAD];
        engine e = open_on("simt:0,2");
        replica_fail(0, 2);
        replica_hold(1);
        for (int i = 0; i < LOAD; i++) {
            const hdl_request r = simple();
            cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
        }
        replica_hold(0);
        cr_expect_eq(hdl_translator_close(e.translator, drain), HDL_OK);
        for (int i = 0; i < LOAD; i++) {
            const hdl_result *result;
            cr_assert_eq(hdl_ticket_wait(tickets[i], 0, &result), HDL_OK, "request %d has not ended", i);
            cr_expect(result->status == HDL_OK || result->status == HDL_EDEVICE || (drain == 0 && result->status == HDL_ECANCELLED),
                      "%s", result->detail);
            hdl_ticket_release(tickets[i]);
        }
        hdl_model_close(e.model);
        replica_fail(0, 0);
    }
}

static uint64_t memory_of[DEVICES];

static hdl_status describe_memory(const hdl_backend_device *device, hdl_device_info *info)
{
    const hdl_status status = replica_backend(DEVICES)->describe(device, info);
    info->memory_bytes = memory_of[info->index];
    return status;
}

static int32_t usual_rows_on(const char *device, uint64_t pool_bytes)
{
    hdl_translator_options o = options_on(device);
    o.max_rows = 0;
    o.pool_bytes = pool_bytes;
    engine e = open_engine(TINY, &o);
    const int32_t rows = stats_of(&e).max_rows;
    close_engine(&e);
    return rows;
}

/* Rows that nobody asked for are bounded by the smallest device's memory, wherever it stands, and not by pages that were asked for. */
Test(replica_runtime, rows_fit_the_smallest_device)
{
    static hdl_backend table;
    const uint64_t large = (uint64_t)1 << 40, small = (uint64_t)1 << 20, pages = (uint64_t)64 << 20;
    table = *replica_backend(DEVICES);
    table.usual_rows = 512;
    table.describe = describe_memory;
    hdl__plugin_provide("simt", &table);
    memory_of[0] = memory_of[2] = large;
    memory_of[1] = small;
    cr_expect_eq(usual_rows_on("simt:0,2", 0), 512);
    cr_expect_eq(usual_rows_on("simt:0,1", 0), 128);
    cr_expect_eq(usual_rows_on("simt:1,0", 0), 128);
    memory_of[1] = pages;       /* a quarter of it holds what 512 rows take beside their pages */
    cr_expect_eq(usual_rows_on("simt:1", pages), 512);
}

/* Maps are made on the first device. */
Test(replica_runtime, maps)
{
    const int32_t source[] = {4, 5, 6}, target[] = {7, 8};
    hdl_map one, two;
    engine e = open_on("simt:2");
    cr_assert_eq(hdl_translator_map(e.translator, source, 3, target, 2, HDL_MAP_CROSS, -1, -1, &one), HDL_OK, "%s", hdl_error_detail());
    close_engine(&e);
    e = open_on("simt:2,1");
    const uint64_t before = replica_steps(1);
    cr_assert_eq(hdl_translator_map(e.translator, source, 3, target, 2, HDL_MAP_CROSS, -1, -1, &two), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(replica_steps(1), before);
    cr_expect(one.n_rows == two.n_rows && one.n_columns == two.n_columns);
    cr_expect_arr_eq(one.values, two.values, one.n_rows * one.n_columns * sizeof(float));
    hdl_map_free(&one);
    hdl_map_free(&two);
    close_engine(&e);
}
