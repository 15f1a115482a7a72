/*
 * test_library_road_slow.c - the whole road with cuBLASLt's products: by its double on the stand-in, by itself on a GPU where it is
 * installed. Tokens of f32 are the CPU backend's, and bits do not depend on lag, rows or company.
 */
#include "road_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(simt_library_road, .fini = road_expect_no_faults, .timeout = 3600);
TestSuite(cuda_library_road, .timeout = 600);

/* From now on engines take the library's products; false, after a line that says skipped, where it is not there. */
static bool have_library(const char *name)
{
    static const char double_dir[] = HEDDLE_TEST_PLUGINS "/../cublaslt/sound";
    const bool simt = strcmp(name, "simt") == 0;
    if (!road_have(name)) return false;
    if (simt && access(HEDDLE_TEST_PLUGINS "/../cublaslt/sound/libcublasLt.so.13", R_OK) != 0) {
        printf("skipped: no double of cuBLASLt\n");
        return false;
    }
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    places.library_dir = simt ? double_dir : NULL;
    places.products = HDL_PRODUCTS_CUBLASLT;
    const hdl_status status = hdl_device_open(name, &places, &device);
    hdl_device_close(device);
    if (!simt && status == HDL_EBACKEND) {
        printf("skipped: %s\n", hdl_error_detail());
        return false;
    }
    cr_assert_eq(status, HDL_OK, "%s", hdl_error_detail());
    lag_take_products(HDL_PRODUCTS_CUBLASLT, simt ? double_dir : HEDDLE_BACKENDS);
    return true;
}

static void expect_taken(const lag_engine *l, const char *name)
{
    hdl_device_stats stats = HDL_DEVICE_STATS_INIT;
    cr_assert_eq(hdl_translator_get_device_stats(l->e.translator, 0, &stats), HDL_OK);
    printf("%s: the library multiplies %d of %d matrices\n", stats.description, stats.library_weights,
           stats.library_weights + stats.refused_weights);
    cr_expect_not_null(strstr(stats.description, "; products: cuBLASLt "));
    cr_expect_gt(stats.library_weights + stats.refused_weights, 0);
    if (strcmp(name, "simt") == 0) cr_expect_eq(stats.refused_weights, 0);
}

/* The CPU has no such library: with the same option it takes its own products. */
static void check_tokens(const char *name)
{
    static hdl_request requests[LAG_KINDS];
    static hdl_search_options options[LAG_KINDS];
    if (!have_library(name)) return;
    for (int i = 0; i < LAG_KINDS; i++) {
        lag_request(i, &requests[i], &options[i]);
        options[i].max_length = options[i].max_length < 12 ? options[i].max_length : 12;
        if (options[i].min_length > 0) options[i].min_length = 8;
    }
    road_compare("tests/data/goldens/tiny-a", requests, LAG_KINDS, 24, HDL_COMPUTE_F32, ROAD_SCORE_BOUND);
}

Test(simt_library_road, tokens) { check_tokens("simt"); }
Test(cuda_library_road, tokens) { check_tokens("cuda"); }

static void check_bits(const char *name, hdl_compute compute)
{
    enum { N = LAG_KINDS / 2 };
    static const struct { int32_t lag, rows; } settings[] = {{0, 24}, {1, 9}, {2, 64}};
    uint64_t first[N], hashes[N];
    if (!have_library(name)) return;
    for (size_t s = 0; s < sizeof settings / sizeof settings[0]; s++) {
        const lag_device device = road_device(settings[s].lag, settings[s].rows, compute);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
        if (s == 0) expect_taken(&l, name);
        lag_run(&l, N, s == 0 ? first : hashes);
        lag_close(&l);
        for (int i = 0; i < N && s > 0; i++)
            cr_expect_eq(hashes[i], first[i], "request %d differs with lag %d, %d rows", i, settings[s].lag, settings[s].rows);
    }
}

Test(simt_library_road, bits_f32) { check_bits("simt", HDL_COMPUTE_F32); }
Test(cuda_library_road, bits_f32) { check_bits("cuda", HDL_COMPUTE_F32); }
Test(simt_library_road, bits_bf16) { check_bits("simt", HDL_COMPUTE_BF16); }
Test(cuda_library_road, bits_bf16) { check_bits("cuda", HDL_COMPUTE_BF16); }
Test(cuda_library_road, bits_f16) { check_bits("cuda", HDL_COMPUTE_F16); }
