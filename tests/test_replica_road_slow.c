/*
 * test_replica_road_slow.c - one translator over three devices of the stand-in for CUDA: the bits of one device, whichever
 * took a sentence.
 */
#include "replica_simt.h"

#include "lag_cases.h"

enum { N = 40 };

TestSuite(replica_road, .fini = replica_expect_clean, .timeout = 3600);

static lag_engine open_on(const char *devices, hdl_compute compute)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    places.library_dir = HEDDLE_BACKENDS;
    o.device = devices;
    o.device_options = &places;
    o.compute = compute;
    o.max_beam = 8;
    o.max_rows = 16;
    return (lag_engine){.e = open_engine(TINY, &o)};
}

/* Every kind of request, on one device and on all. */
static void check_bits(hdl_compute compute)
{
    static uint64_t wanted[N], got[N];
    if (!replica_have_simt()) return;
    lag_engine l = open_on("simt:1", compute);
    lag_run(&l, N, wanted);
    close_engine(&l.e);
    l = open_on("simt:all", compute);
    lag_run(&l, N, got);
    for (int i = 0; i < N; i++) cr_expect_eq(wanted[i], got[i], "request %d differs", i);
    for (int32_t i = 0; i < DEVICES; i++) {
        hdl_device_stats s = HDL_DEVICE_STATS_INIT;
        cr_assert_eq(hdl_translator_get_device_stats(l.e.translator, i, &s), HDL_OK);
        cr_expect_gt(s.sentences, 0u, "%s took no sentence", s.name);
    }
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    cr_assert_eq(hdl_translator_get_stats(l.e.translator, &s), HDL_OK);
    cr_expect_eq(s.allocations, 0u);
    close_engine(&l.e);
}

Test(replica_road, bits_f32) { check_bits(HDL_COMPUTE_F32); }
Test(replica_road, bits_bf16) { check_bits(HDL_COMPUTE_BF16); }
