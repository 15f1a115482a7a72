/*
 * test_simt_road_slow.c - the whole road on the stand-in for CUDA, and on a GPU where there is one: tokens of f32 are the CPU backend's,
 * scores within 1e-4, and bits do not depend on lag, rows or company.
 */
#include "road_fixture.h"

#include "engine_life.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define F16_SCORE_BOUND 2e-2f   /* tens of roundings of 2^-11 */
#define INT8_SCORE_BOUND 0.15f  /* tens of roundings of 2^-8 */

TestSuite(simt_road, .fini = road_expect_no_faults, .timeout = 3600);
TestSuite(cuda_road, .timeout = 600);

static void check_options(const char *name)
{
    static hdl_request requests[LAG_KINDS];
    static hdl_search_options options[LAG_KINDS];
    if (!road_have(name)) return;
    for (int i = 0; i < LAG_KINDS; i++) {
        lag_request(i, &requests[i], &options[i]);
        options[i].max_length = options[i].max_length < 24 ? options[i].max_length : 24;
        if (options[i].min_length > 0) options[i].min_length = 16;
    }
    road_compare("tests/data/goldens/tiny-a", requests, LAG_KINDS, 24, HDL_COMPUTE_F32, ROAD_SCORE_BOUND);
}

Test(simt_road, every_search_option) { check_options("simt"); }
Test(cuda_road, every_search_option) { check_options("cuda"); }

/* Pages of one full sentence of tiny-a (64 positions, 8 beams, 64 source positions) and the scratch page; 2 layers, E = 16, f32. */
#define LEAST_POOL ((uint64_t)(64 * 8 / HDL_PAGE_ROWS + 64 / HDL_PAGE_ROWS + 1) * 2 * 2 * HDL_PAGE_ROWS * 16 * sizeof(float))

/* The same bits for every lag, with few rows and many, and when pages run dry. int8 passes other kernels beyond 64 rows, and leaves out
 * what those share with bf16. Lag 2 with pages enough is for f32 alone: it has no kernels of its own. */
static void check_bits(const char *name, hdl_compute compute)
{
    enum { N = LAG_KINDS };
    static const struct { int32_t lag, rows; uint64_t pool; } settings[] = {{0, 24, 0}, {1, 24, 0}, {2, 24, 0}, {1, 9, 0}, {1, 64, 0},
                                                                            {1, 24, LEAST_POOL}, {2, 24, LEAST_POOL}, {1, 128, 0}};
    static const bool of_int8[sizeof settings / sizeof settings[0]] = {[0] = true, [3] = true, [6] = true, [7] = true};
    uint64_t first[N], hashes[N];
    if (!road_have(name)) return;
    for (size_t s = 0; s < sizeof settings / sizeof settings[0]; s++) {
        if (compute == HDL_COMPUTE_INT8 ? !of_int8[s] : s == 7 || (s == 2 && compute != HDL_COMPUTE_F32)) continue;
        lag_device device = road_device(settings[s].lag, settings[s].rows, compute);
        device.pool_bytes = compute != HDL_COMPUTE_F32 ? settings[s].pool / 2 : settings[s].pool;
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
        lag_run(&l, N, s == 0 ? first : hashes);
        lag_close(&l);
        for (int i = 0; i < N && s > 0; i++)
            cr_expect_eq(hashes[i], first[i], "request %d differs with lag %d, %d rows, %d bytes of pages", i, settings[s].lag,
                         settings[s].rows, (int)settings[s].pool);
    }
}

Test(simt_road, bits_f32) { check_bits("simt", HDL_COMPUTE_F32); }
Test(cuda_road, bits_f32) { check_bits("cuda", HDL_COMPUTE_F32); }
Test(simt_road, bits_bf16) { check_bits("simt", HDL_COMPUTE_BF16); }
Test(cuda_road, bits_bf16) { check_bits("cuda", HDL_COMPUTE_BF16); }
Test(simt_road, bits_f16) { check_bits("simt", HDL_COMPUTE_F16); }
Test(cuda_road, bits_f16) { check_bits("cuda", HDL_COMPUTE_F16); }
Test(simt_road, bits_int8) { check_bits("simt", HDL_COMPUTE_INT8); }
Test(cuda_road, bits_int8) { check_bits("cuda", HDL_COMPUTE_INT8); }

/* The same bits whatever the order of threads, blocks and queued work. */
static void check_seeds(hdl_compute compute)
{
    enum { N = LAG_KINDS, SEEDS = 8 };
    const int n = compute == HDL_COMPUTE_INT8 || compute == HDL_COMPUTE_F16 ? N / 4 : N;    /* search and its kernels are those of bf16 */
    uint64_t first[N], hashes[N];
    if (!road_have("simt")) return;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const lag_device device = road_device(1 + (int32_t)seed % 2, 8, compute);
        road_simt.set_schedule(seed, NULL);
        road_simt.set_streams(seed, NULL);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
        lag_run(&l, n, seed == 1 ? first : hashes);
        lag_close(&l);
        for (int i = 0; i < n && seed > 1; i++)
            cr_expect_eq(hashes[i], first[i], "request %d differs with seed %d", i, (int)seed);
    }
}

Test(simt_road, seeds_f32) { check_seeds(HDL_COMPUTE_F32); }
Test(simt_road, seeds_bf16) { check_seeds(HDL_COMPUTE_BF16); }
Test(simt_road, seeds_f16) { check_seeds(HDL_COMPUTE_F16); }
Test(simt_road, seeds_int8) { check_seeds(HDL_COMPUTE_INT8); }

/* A kernel fails: what is pending and what comes later ends with the device's line, and close works. */
Test(simt_road, device_error, .fini = NULL)
{
    enum { N = 16, LAUNCH_FAILURE = 719 };  /* cudaErrorLaunchFailure */
    hdl_ticket *tickets[N];
    size_t n_failed = 0;
    if (!road_have("simt")) return;
    const lag_device device = road_device(-1, 8, HDL_COMPUTE_F32);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
    road_simt.fail_next("kernel", LAUNCH_FAILURE, 300);
    for (int i = 0; i < N; i++) {
        const hdl_request r = simple();
        cr_assert_eq(hdl_translator_submit(l.e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < N; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], 600000000, &result), HDL_OK, "request %d does not end", i);
        cr_expect(result->status == HDL_OK || result->status == HDL_EDEVICE, "%s", hdl_status_name(result->status));
        if (result->status == HDL_EDEVICE) cr_expect_not_null(strstr(result->detail, "cudaErrorLaunchFailure"), "%s", result->detail);
        n_failed += result->status == HDL_EDEVICE;
        hdl_ticket_release(tickets[i]);
    }
    cr_expect_gt(n_failed, 0u);
    lag_close(&l);
    road_simt.reset();
}

typedef struct found { size_t n; char tokens[32][16]; float sum; } found;

static void take_found(int i, const hdl_result *result, void *user)
{
    found *f = (found *)user + i;
    const hdl_hypothesis *h = &result->hypotheses[0];
    cr_assert(h->n_tokens <= 32);
    f->n = h->n_tokens;
    f->sum = h->sum;
    for (size_t j = 0; j < h->n_tokens; j++) snprintf(f->tokens[j], sizeof f->tokens[j], "%s", h->tokens[j]);
}

/* What search says of its tokens is what scoring says of them: steps and passes of given tokens meet the same rows, rounded alike. */
static void check_rescored(const char *name, hdl_compute compute, float bound)
{
    enum { N = 6 };
    static found said[N], scored[N];
    static const char *tokens[N][32];
    static hdl_request requests[N];
    static hdl_search_options options[N];
    if (!road_have(name)) return;
    const lag_device device = road_device(-1, 16, compute);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
    for (int i = 0; i < N; i++) {
        lag_request(i * LAG_KINDS, &requests[i], &options[i]);      /* greedy */
        options[i].max_length = 30;
        options[i].min_length = HDL_OFF;
    }
    lag_run_requests(&l, requests, N, take_found, said);
    for (int i = 0; i < N; i++) {
        for (size_t j = 0; j < said[i].n; j++) tokens[i][j] = said[i].tokens[j];
        requests[i].kind = HDL_REQUEST_SCORE;
        requests[i].target_tokens = tokens[i];
        requests[i].n_target_tokens = said[i].n;
    }
    lag_run_requests(&l, requests, N, take_found, scored);
    for (int i = 0; i < N; i++)
        if (said[i].n < 30)     /* cut ones have no end token to score */
            cr_expect(fabsf(said[i].sum - scored[i].sum) <= bound * (float)(said[i].n + 1), "request %d: search says %.4f, scoring %.4f", i,
                      (double)said[i].sum, (double)scored[i].sum);
    lag_close(&l);
}

Test(simt_road, rescored_f32) { check_rescored("simt", HDL_COMPUTE_F32, 1e-4f); }
Test(cuda_road, rescored_f32) { check_rescored("cuda", HDL_COMPUTE_F32, 1e-4f); }
Test(simt_road, rescored_bf16) { check_rescored("simt", HDL_COMPUTE_BF16, 1e-4f); }
Test(cuda_road, rescored_bf16) { check_rescored("cuda", HDL_COMPUTE_BF16, 1e-4f); }
Test(simt_road, rescored_f16) { check_rescored("simt", HDL_COMPUTE_F16, 1e-4f); }
Test(cuda_road, rescored_f16) { check_rescored("cuda", HDL_COMPUTE_F16, 1e-4f); }
Test(simt_road, rescored_int8) { check_rescored("simt", HDL_COMPUTE_INT8, 1e-4f); }
Test(cuda_road, rescored_int8) { check_rescored("cuda", HDL_COMPUTE_INT8, 1e-4f); }

/* Words of the transliteration model, a character a token. */
static void check_both_searches(const char *name)
{
    static const char *const names[] = {"\u0622\u062a\u0632\u0645\u0648\u0646", "\u0622\u0646\u064a\u0633\u0629", "\u0645\u062d\u0645\u062f",
                                        "\u0633\u0644\u0627\u0645", "\u0628\u063a\u062f\u0627\u062f"};
    enum { WORDS = sizeof names / sizeof names[0] };
    static token_list tokens[WORDS];
    static char bytes[WORDS][256];
    static hdl_request requests[2 * WORDS];
    static hdl_search_options options[2];
    if (!road_have(name)) return;
    for (int i = 0; i < 2 * WORDS; i++) {
        hdl_search_options *o = &options[i / WORDS];
        *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
        o->beam = i < WORDS ? 1 : 4;
        o->n_best = o->beam;
        list_characters(names[i % WORDS], bytes[i % WORDS], sizeof bytes[0], &tokens[i % WORDS]);
        requests[i] = token_request(&tokens[i % WORDS]);
        requests[i].search = o;
    }
    road_compare("tests/data/ct2/aren-v2", requests, 2 * WORDS, 32, HDL_COMPUTE_F32, ROAD_SCORE_BOUND);
}

Test(simt_road, transliteration) { check_both_searches("simt"); }
Test(cuda_road, transliteration) { check_both_searches("cuda"); }

/* Greedy words of it in 16 bits or int8: the tokens of f32. */
static void check_words(const char *name, hdl_compute compute, float score_bound)
{
    static const char *const names[] = {"\u0622\u062a\u0632\u0645\u0648\u0646", "\u0645\u062d\u0645\u062f", "\u0633\u0644\u0627\u0645"};
    enum { WORDS = sizeof names / sizeof names[0] };
    static token_list tokens[WORDS];
    static char bytes[WORDS][256];
    static hdl_request requests[WORDS];
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    if (!road_have(name)) return;
    o.beam = 1;
    for (int i = 0; i < WORDS; i++) {
        list_characters(names[i], bytes[i], sizeof bytes[0], &tokens[i]);
        requests[i] = token_request(&tokens[i]);
        requests[i].search = &o;
    }
    road_compare("tests/data/ct2/aren-v2", requests, WORDS, 32, compute, score_bound);
}

Test(simt_road, transliteration_f16) { check_words("simt", HDL_COMPUTE_F16, F16_SCORE_BOUND); }
Test(cuda_road, transliteration_f16) { check_words("cuda", HDL_COMPUTE_F16, F16_SCORE_BOUND); }
Test(simt_road, transliteration_int8) { check_words("simt", HDL_COMPUTE_INT8, INT8_SCORE_BOUND); }
Test(cuda_road, transliteration_int8) { check_words("cuda", HDL_COMPUTE_INT8, INT8_SCORE_BOUND); }
