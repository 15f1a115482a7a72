/*
 * test_simt_road_slow.c - the whole road on the stand-in for CUDA: tokens of f32 are the CPU backend's, scores within 1e-4, and bits do not
 * depend on lag, rows or company.
 */
#include "lag_cases.h"

#include "device/device_state.h"
#include "engine_life.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SCORE_BOUND 1e-4f       /* relative to scores above 1 */
#define F16_SCORE_BOUND 2e-2f   /* tens of roundings of 2^-11 */
#define MOST_BEST 8
#define MOST_TEXT 1024


typedef struct answer { int n; char tokens[MOST_BEST][MOST_TEXT]; float score[MOST_BEST]; } answer;

static void take_answer(int i, const hdl_result *result, void *user)
{
    answer *a = (answer *)user + i;
    a->n = (int)result->n_hypotheses;
    cr_assert_leq(a->n, MOST_BEST);
    for (int j = 0; j < a->n; j++) {
        snprintf(a->tokens[j], MOST_TEXT, "%s", joined(&result->hypotheses[j]));
        a->score[j] = result->hypotheses[j].score;
    }
}

/* What libheddle-simt.so exports for tests (tests/simt/simt_hooks.h). */
static struct {
    uint64_t (*faults)(void);
    void (*set_schedule)(uint64_t seed, const char *policy);
    void (*set_streams)(uint64_t seed, const char *policy);
    void (*fail_next)(const char *function, int error, int after);
    void (*reset)(void);
} hooks;

static void find_hook(void *library, const char *name, void *hook)
{
    void *symbol = dlsym(library, name);
    cr_assert_not_null(symbol, "%s", name);
    memcpy(hook, &symbol, sizeof symbol);
}

static void find_hooks(void)
{
    void *library = dlopen(HEDDLE_BACKENDS "/libheddle-simt.so", RTLD_NOW);
    cr_assert_not_null(library, "%s", dlerror());
    find_hook(library, "simt_faults", &hooks.faults);
    find_hook(library, "simt_set_schedule", &hooks.set_schedule);
    find_hook(library, "simt_set_streams", &hooks.set_streams);
    find_hook(library, "simt_fail_next", &hooks.fail_next);
    find_hook(library, "simt_reset", &hooks.reset);
}

/* Races, early reads and late writes of the road itself are faults of the stand-in. */
static void expect_no_faults(void)
{
    if (hooks.faults != NULL) cr_expect_eq(hooks.faults(), 0u, "%d faults", (int)hooks.faults());
}

static bool have_simt(void)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    places.library_dir = HEDDLE_BACKENDS;
    const bool found = hdl_device_open("simt", &places, &device) == HDL_OK;
    if (!found) printf("skipped: %s\n", hdl_error_detail());
    hdl_device_close(device);
    if (found) find_hooks();
    return found;
}

static lag_device simt(int32_t lag, int32_t max_rows, hdl_compute compute)
{
    return (lag_device){"simt", lag, 0, max_rows, compute, HEDDLE_BACKENDS};
}

/* The CPU backend in f32 and the stand-in in `compute` on the same requests. */
static void compare_as(const char *path, const hdl_request *requests, int n, int32_t max_rows, hdl_compute compute,
                       float score_bound)
{
    static answer wanted[LAG_CASES], got[LAG_CASES];
    const lag_device cpu = {"cpu", 0, 0, max_rows, HDL_COMPUTE_F32, NULL}, device = simt(-1, max_rows, compute);
    lag_engine l = lag_open(path, &cpu);
    lag_run_requests(&l, requests, n, take_answer, wanted);
    lag_close(&l);
    l = lag_open(path, &device);
    lag_run_requests(&l, requests, n, take_answer, got);
    lag_close(&l);
    for (int i = 0; i < n; i++) {
        cr_expect_eq(got[i].n, wanted[i].n, "request %d: %d hypotheses, wanted %d", i, got[i].n, wanted[i].n);
        for (int j = 0; j < wanted[i].n && j < got[i].n; j++) {
            const float score = wanted[i].score[j], bound = score_bound * fmaxf(1.0f, fabsf(score));
            cr_expect_str_eq(got[i].tokens[j], wanted[i].tokens[j], "request %d, hypothesis %d: \"%s\", wanted \"%s\"", i, j,
                             got[i].tokens[j], wanted[i].tokens[j]);
            cr_expect(fabsf(got[i].score[j] - score) <= bound, "request %d, hypothesis %d: score %.6f, wanted %.6f", i, j,
                      (double)got[i].score[j], (double)score);
        }
    }
}

static void compare(const char *path, const hdl_request *requests, int n, int32_t max_rows)
{
    compare_as(path, requests, n, max_rows, HDL_COMPUTE_F32, SCORE_BOUND);
}

TestSuite(simt_road, .fini = expect_no_faults, .timeout = 3600);

Test(simt_road, every_search_option)
{
    static hdl_request requests[LAG_KINDS];
    static hdl_search_options options[LAG_KINDS];
    if (!have_simt()) return;
    for (int i = 0; i < LAG_KINDS; i++) {
        lag_request(i, &requests[i], &options[i]);
        options[i].max_length = options[i].max_length < 24 ? options[i].max_length : 24;
        if (options[i].min_length > 0) options[i].min_length = 16;
    }
    compare("tests/data/goldens/tiny-a", requests, LAG_KINDS, 24);
}

/* Pages of one full sentence of tiny-a (64 positions, 8 beams, 64 source positions) and the scratch page; 2 layers, E = 16, f32. */
#define LEAST_POOL ((uint64_t)(64 * 8 / HDL_PAGE_ROWS + 64 / HDL_PAGE_ROWS + 1) * 2 * 2 * HDL_PAGE_ROWS * 16 * sizeof(float))

/* The same bits for every lag, with few rows and many, and when pages run dry. */
static void check_bits(hdl_compute compute)
{
    enum { N = LAG_KINDS };
    static const struct { int32_t lag, rows; uint64_t pool; } settings[] = {{0, 24, 0}, {1, 24, 0}, {2, 24, 0}, {1, 9, 0}, {1, 64, 0},
                                                                            {1, 24, LEAST_POOL}, {2, 24, LEAST_POOL}};
    uint64_t first[N], hashes[N];
    if (!have_simt()) return;
    for (size_t s = 0; s < sizeof settings / sizeof settings[0]; s++) {
        lag_device device = simt(settings[s].lag, settings[s].rows, compute);
        device.pool_bytes = compute != HDL_COMPUTE_F32 ? settings[s].pool / 2 : settings[s].pool;
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
        lag_run(&l, N, s == 0 ? first : hashes);
        lag_close(&l);
        for (int i = 0; i < N && s > 0; i++)
            cr_expect_eq(hashes[i], first[i], "request %d differs with lag %d, %d rows, %d bytes of pages", i, settings[s].lag,
                         settings[s].rows, (int)settings[s].pool);
    }
}

Test(simt_road, bits_f32) { check_bits(HDL_COMPUTE_F32); }
Test(simt_road, bits_bf16) { check_bits(HDL_COMPUTE_BF16); }
Test(simt_road, bits_f16) { check_bits(HDL_COMPUTE_F16); }

/* The same bits whatever the order of threads, blocks and queued work. */
static void check_seeds(hdl_compute compute)
{
    enum { N = LAG_KINDS, SEEDS = 8 };
    uint64_t first[N], hashes[N];
    if (!have_simt()) return;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const lag_device device = simt(1 + (int32_t)seed % 2, 8, compute);
        hooks.set_schedule(seed, NULL);
        hooks.set_streams(seed, NULL);
        lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
        lag_run(&l, N, seed == 1 ? first : hashes);
        lag_close(&l);
        for (int i = 0; i < N && seed > 1; i++)
            cr_expect_eq(hashes[i], first[i], "request %d differs with seed %d", i, (int)seed);
    }
}

Test(simt_road, seeds_f32) { check_seeds(HDL_COMPUTE_F32); }
Test(simt_road, seeds_bf16) { check_seeds(HDL_COMPUTE_BF16); }

/* A kernel fails: what is pending and what comes later ends with the device's line, and close works. */
Test(simt_road, device_error, .fini = NULL)
{
    enum { N = 16, LAUNCH_FAILURE = 719 };  /* cudaErrorLaunchFailure */
    hdl_ticket *tickets[N];
    size_t n_failed = 0;
    if (!have_simt()) return;
    const lag_device device = simt(-1, 8, HDL_COMPUTE_F32);
    lag_engine l = lag_open("tests/data/goldens/tiny-a", &device);
    hooks.fail_next("kernel", LAUNCH_FAILURE, 300);
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
    hooks.reset();
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
static void check_rescored(hdl_compute compute, float bound)
{
    enum { N = 6 };
    static found said[N], scored[N];
    static const char *tokens[N][32];
    static hdl_request requests[N];
    static hdl_search_options options[N];
    if (!have_simt()) return;
    const lag_device device = simt(-1, 16, compute);
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

Test(simt_road, rescored_f32) { check_rescored(HDL_COMPUTE_F32, 1e-4f); }
Test(simt_road, rescored_bf16) { check_rescored(HDL_COMPUTE_BF16, 1e-4f); }
Test(simt_road, rescored_f16) { check_rescored(HDL_COMPUTE_F16, 1e-4f); }

/* Words of the transliteration model, a character a token. */
Test(simt_road, transliteration)
{
    static const char *const names[] = {"\u0622\u062a\u0632\u0645\u0648\u0646", "\u0622\u0646\u064a\u0633\u0629", "\u0645\u062d\u0645\u062f",
                                        "\u0633\u0644\u0627\u0645", "\u0628\u063a\u062f\u0627\u062f"};
    enum { WORDS = sizeof names / sizeof names[0] };
    static token_list tokens[WORDS];
    static char bytes[WORDS][256];
    static hdl_request requests[2 * WORDS];
    static hdl_search_options options[2];
    if (!have_simt()) return;
    for (int i = 0; i < 2 * WORDS; i++) {
        hdl_search_options *o = &options[i / WORDS];
        *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
        o->beam = i < WORDS ? 1 : 4;
        o->n_best = o->beam;
        list_characters(names[i % WORDS], bytes[i % WORDS], sizeof bytes[0], &tokens[i % WORDS]);
        requests[i] = token_request(&tokens[i % WORDS]);
        requests[i].search = o;
    }
    compare("tests/data/ct2/aren-v2", requests, 2 * WORDS, 32);
}

/* Greedy words of it in f16, which rounds to 11 digits: the tokens of f32. */
Test(simt_road, transliteration_f16)
{
    static const char *const names[] = {"\u0622\u062a\u0632\u0645\u0648\u0646", "\u0645\u062d\u0645\u062f", "\u0633\u0644\u0627\u0645"};
    enum { WORDS = sizeof names / sizeof names[0] };
    static token_list tokens[WORDS];
    static char bytes[WORDS][256];
    static hdl_request requests[WORDS];
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    if (!have_simt()) return;
    o.beam = 1;
    for (int i = 0; i < WORDS; i++) {
        list_characters(names[i], bytes[i], sizeof bytes[0], &tokens[i]);
        requests[i] = token_request(&tokens[i]);
        requests[i].search = &o;
    }
    compare_as("tests/data/ct2/aren-v2", requests, WORDS, 32, HDL_COMPUTE_F16, F16_SCORE_BOUND);
}

/* Sentences of the model that ships. */
static void check_sentences(int32_t beam, int n)
{
    static char lines[LAG_CASES][MOST_TEXT];
    static hdl_request requests[LAG_CASES];
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    FILE *f = fopen(HEDDLE_SOURCE_DIR "/tests/data/en-de/test.en", "r");
    if (!have_simt()) return;
    cr_assert_not_null(f);
    o.beam = beam;
    for (int i = 0; i < n; i++) {
        cr_assert_not_null(fgets(lines[i], MOST_TEXT, f));
        lines[i][strcspn(lines[i], "\n")] = '\0';
        requests[i] = (hdl_request)HDL_REQUEST_INIT;
        requests[i].text = lines[i];
        requests[i].n_bytes = strlen(lines[i]);
        requests[i].search = &o;
        requests[i].wait = 1;
    }
    fclose(f);
    compare("models/en-de", requests, n, 80);
}

Test(simt_road, greedy) { check_sentences(1, 20); }
Test(simt_road, beam_4) { check_sentences(4, 20); }
