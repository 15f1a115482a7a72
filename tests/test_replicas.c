/*
 * test_replicas.c - weights on three devices of the stand-in for CUDA, whose memory is distinct: copies have the bytes of the first, with NCCL
 * and without; what goes wrong is given back and said in one line; a device that fails leaves the rest to the others.
 */
#include "replica_simt.h"

#include "base/memory.h"
#include "device/device_group.h"
#include "engine_life.h"
#include "lag_cases.h"
#include "simt_calls.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define NCCL(variant) HEDDLE_TEST_PLUGINS "/../nccl/" variant

TestSuite(replicas, .fini = replica_expect_clean, .timeout = 3600);

static void check_bytes(const char *path, hdl_compute compute)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load(path);
    cr_assert_eq(replica_acquire(model, compute, HEDDLE_BACKENDS, networks), HDL_OK, "%s", hdl_error_detail());
    cr_expect_not_null(strstr(replica_last_info, "weights of simt:0 copied to simt:2: copies from device to device (NCCL not found"), "%s",
                       replica_last_info);
    replica_compare(networks);
    for (int i = 0; i < DEVICES; i++) hdl__network_release(networks[i]);
    hdl_model_close(model);
}

Test(replicas, bytes_f32) { check_bytes(TINY, HDL_COMPUTE_F32); }
Test(replicas, bytes_bf16) { check_bytes(TINY, HDL_COMPUTE_BF16); }
Test(replicas, bytes_f16) { check_bytes(TINY, HDL_COMPUTE_F16); }
/* 16-bit integers as stored, with scales beside them. */
Test(replicas, bytes_of_scaled_tables) { check_bytes("tests/data/ct2/aren-v2-i16", HDL_COMPUTE_BF16); }
Test(replicas, bytes_int8) { check_bytes(TINY, HDL_COMPUTE_INT8); }

/* ---- NCCL ---- */

/* A count of the fake library: communicators that are open, destroyed, aborted; broadcasts. */
enum { OPEN, DESTROYED, ABORTED, BROADCASTS };

static int count_of(const char *folder, int what)
{
    char path[512];
    int (*count)(int) = NULL;
    snprintf(path, sizeof path, "%s/libnccl.so.2", folder);
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    cr_assert_not_null(library, "%s was not opened", path);
    void *symbol = dlsym(library, "fake_nccl_count");
    cr_assert_not_null(symbol);
    memcpy(&count, &symbol, sizeof symbol);
    return count(what);
}

Test(replicas, nccl_copies_the_weights)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_assert_eq(replica_acquire(model, HDL_COMPUTE_BF16, NCCL("works"), networks), HDL_OK, "%s", hdl_error_detail());
    cr_expect_not_null(strstr(replica_last_info, "weights of simt:0 copied to simt:2: NCCL 2.28.9"), "%s", replica_last_info);
    cr_expect_gt(count_of(NCCL("works"), BROADCASTS), 30);
    cr_expect_eq(count_of(NCCL("works"), DESTROYED), DEVICES);
    cr_expect_eq(count_of(NCCL("works"), ABORTED), 0);
    cr_expect_eq(count_of(NCCL("works"), OPEN), 0);
    replica_compare(networks);
    for (int i = 0; i < DEVICES; i++) hdl__network_release(networks[i]);
    hdl_model_close(model);
}

/* NCCL that cannot be used is no failure: the log says why, and the weights arrive. */
static void check_unusable(const char *folder, const char *words)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_assert_eq(replica_acquire(model, HDL_COMPUTE_F32, folder, networks), HDL_OK, "%s", hdl_error_detail());
    cr_expect_not_null(strstr(replica_last_info, "weights of simt:0 copied to simt:2: copies from device to device (NCCL "), "%s", replica_last_info);
    cr_expect_not_null(strstr(replica_last_info, words), "%s", replica_last_info);
    replica_compare(networks);
    for (int i = 0; i < DEVICES; i++) hdl__network_release(networks[i]);
    hdl_model_close(model);
}

Test(replicas, nccl_does_not_start) { check_unusable(NCCL("init_fails"), "libnccl.so.2: ncclCommInitAll: unhandled system error)"); }
Test(replicas, nccl_lacks_a_function) { check_unusable(NCCL("no_broadcast"), "libnccl.so.2: it has no function ncclBroadcast)"); }
Test(replicas, nccl_has_no_version) { check_unusable(NCCL("no_version"), "NCCL of an unknown version: "); }
Test(replicas, nccl_is_old) { check_unusable(NCCL("old"), "libnccl.so.2: 2.9 or later is needed)"); }

/* A broadcast that fails in the middle: in words, and all is given back. */
Test(replicas, nccl_fails_in_the_middle)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_expect_eq(replica_acquire(model, HDL_COMPUTE_F32, NCCL("broadcast_fails"), networks), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(),
                     "copy of the weights: NCCL: ncclBroadcast: remote process exited or there was a network error");
    cr_expect_eq(count_of(NCCL("broadcast_fails"), ABORTED), DEVICES);
    cr_expect_eq(count_of(NCCL("broadcast_fails"), OPEN), 0);
    cr_expect_null(model->networks);
    hdl_model_close(model);
}

/* One that does not end is given up after a while, and the weights arrive all the same. */
Test(replicas, nccl_stalls)
{
    check_unusable(NCCL("stalls"), "(NCCL started, but a broadcast of ");
    if (!replica_have_simt()) return;
    cr_expect_not_null(strstr(replica_last_info, " bytes had not ended after 5 s)"), "%s", replica_last_info);
    cr_expect_eq(count_of(NCCL("stalls"), ABORTED), DEVICES);
    cr_expect_eq(count_of(NCCL("stalls"), OPEN), 0);
}

/* An error that NCCL sees while the copies run ends the waiting at once. */
Test(replicas, nccl_fails_behind_the_call)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_expect_eq(replica_acquire(model, HDL_COMPUTE_F32, NCCL("async_error"), networks), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(),
                     "copy of the weights: NCCL: ncclBroadcast: remote process exited or there was a network error");
    cr_expect_eq(count_of(NCCL("async_error"), ABORTED), DEVICES);
    cr_expect_null(model->networks);
    hdl_model_close(model);
}

/* One that goes on behind the abort: nothing waits for it, so that memory which it may touch is not given back. A suite of its
 * own, as others are to leave none. */
Test(lost_replicas, nccl_does_not_end)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_expect_eq(replica_acquire(model, HDL_COMPUTE_F32, NCCL("goes_on"), networks), HDL_EDEVICE);
    const char *line = hdl_error_detail();
    cr_expect_eq(strncmp(line, "copy of the weights: NCCL 2.28.9: a broadcast of ", 49), 0, "%s", line);
    cr_expect_not_null(strstr(line, " bytes had not ended after 5 s, and goes on 1 s after ncclCommAbort: "), "%s", line);
    cr_expect_not_null(strstr(line, "the 3 devices' memory stays so until the process ends"), "%s", line);
    cr_expect_eq(count_of(NCCL("goes_on"), ABORTED), DEVICES);
    cr_expect_null(model->networks);
    for (int i = 0; i < DEVICES; i++) cr_expect_gt(replica_hooks.used_bytes(i), 0u, "device %d", i);
    hdl_model_close(model);
    cr_expect_eq(replica_hooks.faults(), 0u, "something waited");
}

/* The library that is installed, if one is, has all the functions; calling it takes real devices. */
Test(replicas, nccl_as_installed)
{
    static const char *const functions[] = {"ncclGetVersion", "ncclCommInitAll", "ncclCommDestroy", "ncclCommAbort", "ncclGroupStart",
                                            "ncclGroupEnd", "ncclBroadcast", "ncclGetErrorString"};
    void *library = dlopen("libnccl.so.2", RTLD_LAZY);
    if (library == NULL) {
        printf("skipped: %s\n", dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) cr_expect_not_null(dlsym(library, functions[i]), "%s", functions[i]);
}

/* ---- what cannot be had ---- */

/* Each allocation of device memory in turn is the one that fails; all that was made before is given back. */
Test(replicas, device_memory_runs_out)
{
    hdl__network *networks[DEVICES];
    int named[DEVICES] = {0};
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    hdl_status status = HDL_ENOMEM;
    for (int after = 0; status != HDL_OK; after++) {
        fail_next("cudaMalloc", OUT_OF_MEMORY, after);
        status = replica_acquire(model, HDL_COMPUTE_F32, HEDDLE_BACKENDS, networks);
        if (status == HDL_OK) break;
        const char *line = hdl_error_detail();
        cr_assert_eq(status, HDL_ENOMEM, "%s", line);
        cr_expect(strncmp(line, "simt:", 5) == 0 && line[5] >= '0' && line[5] < '0' + DEVICES && line[6] == ':', "%s", line);
        cr_expect(strstr(line, " bytes needed, ") != NULL && strstr(line, " free") != NULL, "%s", line);
        named[line[5] - '0']++;
        for (int i = 0; i < DEVICES; i++) cr_assert_eq(replica_hooks.used_bytes(i), 0u, "call %d: %s", after, line);
        cr_expect_null(model->networks);
    }
    for (int i = 0; i < DEVICES; i++) {
        cr_expect_gt(named[i], 30, "device %d was short of memory %d times", i, named[i]);
        hdl__network_release(networks[i]);
    }
    replica_hooks.reset();
    hdl_model_close(model);
}

/* The same for the host's memory, which is asked for in the middle of copying. */
Test(replicas, host_memory_runs_out)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    hdl_status status = HDL_ENOMEM;
    for (uint64_t nth = 1; status != HDL_OK; nth++) {
        hdl__alloc_fail_at(nth);
        status = replica_acquire(model, HDL_COMPUTE_F32, HEDDLE_BACKENDS, networks);
        hdl__alloc_fail_at(0);
        if (status == HDL_OK) break;
        cr_assert_eq(status, HDL_ENOMEM, "%s", hdl_error_detail());
        for (int i = 0; i < DEVICES; i++) cr_assert_eq(replica_hooks.used_bytes(i), 0u, "%s", hdl_error_detail());
    }
    for (int i = 0; i < DEVICES; i++) hdl__network_release(networks[i]);
    hdl_model_close(model);
}

/* A copy that fails when it is asked for, and one that fails when it runs, behind the zeroing of two blocks. */
Test(replicas, copies_that_fail)
{
    static const struct { const char *what; int after; } cases[] = {{"cudaMemcpyPeerAsync", 7}, {"copy", 2}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        hdl__network *first[1], *networks[DEVICES];
        hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
        hdl__device_set set;
        if (!replica_have_simt()) return;
        hdl_model *model = replica_load_tiny();
        places.library_dir = HEDDLE_BACKENDS;
        const hdl__network_options o = {.device_options = &places, .compute = HDL_COMPUTE_F32, .max_positions = POSITIONS};
        cr_assert_eq(hdl__device_set_read("simt:0", &places, &set), HDL_OK);
        cr_assert_eq(hdl__network_acquire_all(model, &o, &set, first), HDL_OK, "%s", hdl_error_detail());
        fail_next(cases[c].what, LAUNCH_FAILURE, cases[c].after);
        cr_expect_eq(replica_acquire(model, HDL_COMPUTE_F32, HEDDLE_BACKENDS, networks), HDL_EDEVICE);
        cr_expect_eq(strncmp(hdl_error_detail(), "copy of the weights: cudaErrorLaunchFailure: ", 45), 0, "%s", hdl_error_detail());
        cr_expect_eq(first[0]->users, 1);
        replica_hooks.reset();
        hdl__network_release(first[0]);
        hdl_model_close(model);
    }
}

/* A thread whose current device is lost, so that not even its number is told, still works on another one. */
Test(replicas, a_lost_device_does_not_stand_in_the_way)
{
    enum { BYTES = 4096 };
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    void *block = NULL;
    if (!replica_have_simt()) return;
    places.library_dir = HEDDLE_BACKENDS;
    cr_assert_eq(hdl_device_open("simt:1", &places, &device), HDL_OK, "%s", hdl_error_detail());
    fail_next("cudaGetDevice", INVALID_VALUE, 0);
    cr_assert_eq(hdl_device_alloc(device, BYTES, &block), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(replica_hooks.used_bytes(0), 0u);
    cr_expect_geq(replica_hooks.used_bytes(1), BYTES);
    hdl_device_free(device, block, BYTES);
    hdl_device_close(device);
}

/* Devices whose sums would round unlike are refused. */
Test(replicas, unlike_devices)
{
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    replica_hooks.set_capability(1, 8, 6);
    cr_expect_eq(replica_acquire(model, HDL_COMPUTE_F32, HEDDLE_BACKENDS, networks), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(),
                     "simt:1 has compute capability 8.6, simt:0 has 9.0: devices of one translator must have the same");
    replica_hooks.set_capability(1, 0, 0);
    hdl_model_close(model);
}

/* "all" leaves out what does not open, and says so. */
Test(replicas, all_that_work)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl__device_set set;
    if (!replica_have_simt()) return;
    places.library_dir = HEDDLE_BACKENDS;
    replica_hooks.set_capability(1, 7, 5);
    cr_assert_eq(hdl__device_set_read("simt:all", &places, &set), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(set.n, 2);
    cr_expect_str_eq(set.names[1], "simt:2");
    for (int i = 0; i < DEVICES; i++) replica_hooks.set_capability(i, 7, 5);
    cr_expect_eq(hdl__device_set_read("simt:all", &places, &set), HDL_ENOSUPPORT);
    for (int i = 0; i < DEVICES; i++) replica_hooks.set_capability(i, 0, 0);
    set_devices(0);
    cr_expect_eq(hdl__device_set_read("simt:all", &places, &set), HDL_EDEVICE);
    cr_expect_not_null(strstr(hdl_error_detail(), "no device"), "%s", hdl_error_detail());
    set_devices(DEVICES);
}

/* A backend without copies takes one device. */
Test(replicas, groups_that_are_not_offered)
{
    hdl_device *device = NULL;
    hdl__group *group = NULL;
    cr_assert_eq(hdl_device_open("cpu", NULL, &device), HDL_OK, "%s", hdl_error_detail());
    hdl_device *const twice[] = {device, device};
    cr_expect_eq(hdl__group_open(twice, 1, &group), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "group: 1 devices, allowed 2 to 64");
    cr_expect_eq(hdl__group_open(twice, 2, &group), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(), "the cpu backend does not copy weights from device to device: one device at a time");
    hdl_device_close(device);
}

static lag_engine open_on_all(void)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    places.library_dir = HEDDLE_BACKENDS;
    o.device = "simt:0,1,2";
    o.device_options = &places;
    o.compute = HDL_COMPUTE_F32;
    o.max_beam = 8;
    o.max_rows = 16;
    return (lag_engine){.e = open_engine(TINY, &o)};
}

/* A kernel fails on whichever device runs it: what that one holds ends with its line, later work is the others'. */
Test(replicas, device_error)
{
    enum { LOAD = 24, LATER = 8, WAIT_US = 600000000 };
    hdl_ticket *tickets[LOAD];
    int failed = 0;
    if (!replica_have_simt()) return;
    lag_engine l = open_on_all();
    fail_next("kernel", LAUNCH_FAILURE, 300);
    for (int round = 0; round < 2; round++) {
        const int n = round == 0 ? LOAD : LATER;
        for (int i = 0; i < n; i++) {
            const hdl_request r = simple();
            cr_assert_eq(hdl_translator_submit(l.e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
        }
        for (int i = 0; i < n; i++) {
            const hdl_result *result;
            cr_assert_eq(hdl_ticket_wait(tickets[i], WAIT_US, &result), HDL_OK, "request %d does not end", i);
            cr_expect(result->status == HDL_OK || (round == 0 && result->status == HDL_EDEVICE), "%s", result->detail);
            if (result->status != HDL_OK) cr_expect_not_null(strstr(result->detail, "cudaErrorLaunchFailure"), "%s", result->detail);
            failed += result->status != HDL_OK;
            hdl_ticket_release(tickets[i]);
        }
    }
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &s), HDL_OK);
    cr_expect_eq(s.n_lost, 1);
    cr_expect(failed > 0 && failed < LOAD, "%d of %d failed", failed, LOAD);
    close_engine(&l.e);
    replica_hooks.reset();
}

/* Memory for a lane is short on the last device. */
Test(replicas, lane_memory_runs_out)
{
    hdl_translator *t = NULL;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl__network *networks[DEVICES];
    if (!replica_have_simt()) return;
    hdl_model *model = replica_load_tiny();
    cr_assert_eq(replica_acquire(model, HDL_COMPUTE_F32, HEDDLE_BACKENDS, networks), HDL_OK, "%s", hdl_error_detail());
    places.library_dir = HEDDLE_BACKENDS;
    o.device = "simt:0,1,2";
    o.device_options = &places;
    o.compute = HDL_COMPUTE_F32;
    o.max_positions = POSITIONS;
    o.max_beam = o.max_rows = 1;
    int named[DEVICES] = {0};
    for (int after = 0;; after++) {
        fail_next("cudaMalloc", OUT_OF_MEMORY, after);
        const hdl_status status = hdl_translator_open(model, &o, &t);
        if (status == HDL_OK) break;
        const char *line = hdl_error_detail();
        cr_assert_eq(status, HDL_ENOMEM, "%s", line);
        cr_expect(strncmp(line, "simt:", 5) == 0 && strstr(line, " bytes needed, ") != NULL, "%s", line);
        named[line[5] - '0']++;
    }
    cr_expect(named[0] > 0 && named[0] == named[1] && named[1] == named[2]);
    replica_hooks.reset();
    hdl_translator_close(t, 0);
    for (int i = 0; i < DEVICES; i++) hdl__network_release(networks[i]);
    hdl_model_close(model);
}
