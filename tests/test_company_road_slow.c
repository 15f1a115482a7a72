/*
 * test_company_road_slow.c - a sentence has the same bits alone, in a bucket of 64 rows, and in the bucket of 1,024 that is the usual
 * largest on a GPU.
 */
#include "road_fixture.h"

#include "engine_life.h"
#include "result_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(simt_company, .fini = road_expect_no_faults, .timeout = 3600);
TestSuite(cuda_company, .timeout = 600);

enum { BEAM = 8, SENTENCES = 128, LARGEST = SENTENCES * BEAM, WAIT_US = 1800000000 };

/* All of one length, so that they live together: on the stand-in, for time, as short as can be; on a GPU, whose first steps end while
 * others are still being submitted, longer. */
enum { LENGTH = 3, LENGTH_ON_GPU = 40 };

static void make_requests(hdl_request *requests, hdl_search_options *options, int32_t length)
{
    for (int i = 0; i < SENTENCES; i++) {
        lag_request(i * LAG_KINDS, &requests[i], &options[i]);
        requests[i].n_tokens = 1 + (size_t)i % 9;
        options[i].beam = options[i].n_best = BEAM;
        options[i].min_length = options[i].max_length = length;
    }
}

/* Sentences first .. first + n at once. */
static void run_together(const lag_engine *l, const hdl_request *requests, int first, int n, uint64_t *hashes)
{
    hdl_ticket *tickets[SENTENCES];
    for (int i = first; i < first + n; i++)
        cr_assert_eq(hdl_translator_submit(l->e.translator, &requests[i], &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    for (int i = first; i < first + n; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], WAIT_US, &result), HDL_OK, "sentence %d does not end", i);
        cr_assert_eq(result->status, HDL_OK, "sentence %d: %s", i, result->detail);
        hashes[i] = hash_result(result);
        hdl_ticket_release(tickets[i]);
    }
}

/* Steps of the bucket that a trace tells of. */
static int count_steps(const char *path, int32_t bucket)
{
    char line[1024], computed[32];
    int n = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    snprintf(computed, sizeof computed, "\"computed\":%d,", bucket);
    while (fgets(line, sizeof line, file) != NULL) n += strstr(line, "\"name\":\"step\"") != NULL && strstr(line, computed) != NULL;
    fclose(file);
    return n;
}

/* Together on an engine of so many rows; true when some step computed all of them. */
static bool run_crowd(hdl_compute compute, int32_t rows, const hdl_request *requests, int n, uint64_t *hashes)
{
    char path[] = "/tmp/heddle-company-XXXXXX";
    const lag_device device = road_device(-1, rows, compute);
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    lag_trace_to(path);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
    run_together(&l, requests, 0, n, hashes);
    lag_close(&l);
    lag_trace_to(NULL);
    const int steps = count_steps(path, rows);
    printf("%d steps of %d rows\n", steps, rows);
    unlink(path);
    return steps > 0;
}

/* This thread may lose the processor while it submits, and then they begin in several steps: once more. */
static void fill_step(hdl_compute compute, int32_t rows, const hdl_request *requests, uint64_t *hashes)
{
    enum { TRIES = 5 };
    bool full = false;
    for (int i = 0; i < TRIES && !full; i++) full = run_crowd(compute, rows, requests, rows / BEAM, hashes);
    cr_expect(full, "no step of %d rows", rows);
}

static void check_company(const char *name, hdl_compute compute)
{
    enum { ALONE = 4, MIDDLE = 64 };
    static hdl_request requests[SENTENCES];
    static hdl_search_options options[SENTENCES];
    static uint64_t among_all[SENTENCES], among_some[SENTENCES], alone[SENTENCES];
    if (!road_have(name)) return;
    make_requests(requests, options, strcmp(name, "simt") == 0 ? LENGTH : LENGTH_ON_GPU);
    fill_step(compute, LARGEST, requests, among_all);
    fill_step(compute, MIDDLE, requests, among_some);
    const lag_device device = road_device(-1, LARGEST, compute);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
    for (int i = 0; i < ALONE; i++) run_together(&l, requests, i, 1, alone);
    lag_close(&l);
    for (int i = 0; i < MIDDLE / BEAM; i++) cr_expect_eq(among_some[i], among_all[i], "sentence %d differs in a step of %d rows", i, MIDDLE);
    for (int i = 0; i < ALONE; i++) cr_expect_eq(alone[i], among_all[i], "sentence %d differs alone", i);
}

Test(simt_company, f32) { check_company("simt", HDL_COMPUTE_F32); }
Test(cuda_company, f32) { check_company("cuda", HDL_COMPUTE_F32); }
Test(simt_company, bf16) { check_company("simt", HDL_COMPUTE_BF16); }
Test(cuda_company, bf16) { check_company("cuda", HDL_COMPUTE_BF16); }
Test(simt_company, f16) { check_company("simt", HDL_COMPUTE_F16); }
Test(cuda_company, f16) { check_company("cuda", HDL_COMPUTE_F16); }
Test(simt_company, int8) { check_company("simt", HDL_COMPUTE_INT8); }
Test(cuda_company, int8) { check_company("cuda", HDL_COMPUTE_INT8); }
