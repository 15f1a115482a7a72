/* test_invariance.c - the same sentence gives the same bits alone, in any batch, any order, with one thread or two. */
#include "engine_fixture.h"
#include "result_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 24, KINDS = 10 };
/* Sentences of a setting, for the model that ships with narrower loops fewer. The release build compares the bits of all; the
 * address sanitizer, many times slower, meets the same code with one of each kind. */
#ifdef __SANITIZE_ADDRESS__
enum { MOST = KINDS, HALF = KINDS, THIRD = KINDS, FEW = KINDS };
#else
enum { MOST = 120, HALF = MOST / 2, THIRD = MOST / 3, FEW = 2 * KINDS };
#endif

/* Sentences as text (en-de) or tokens (aren-v2), each with options of its own. */
typedef struct corpus {
    bool               text;
    hdl_products       products;
    int                n;
    char               lines[MOST][512];
    const char        *tokens[MOST][WORDS];
    size_t             n_tokens[MOST];
    const char        *prefix[WORDS];
    hdl_search_options options[MOST];
    hdl_request        requests[MOST];
    uint64_t           expected[MOST];
} corpus;

static corpus c;

static void choose_options(int i, hdl_request *r, hdl_search_options *o)
{
    *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    const int kind = i % KINDS;
    o->max_length = c.text ? 0 : 40;
    o->seed = 11;
    if (kind == 1) o->beam = 1;
    if (kind == 2) o->beam = o->n_best = 2;
    if (kind == 3) { o->sample = 1; o->n_best = 3; o->top_p = 0.9f; }
    if (kind == 4) { o->alignment = 1; o->coverage_penalty = 0.2f; }
    if (kind == 5) { o->alternatives = 1; o->n_best = 3; o->beam = 2; }
    if (kind == 6) { o->repetition_penalty = 1.3f; o->no_repeat_ngram = 2; o->stop = HDL_STOP_BOUND; }
    if (kind == 7) { o->prefix_bias = 0.3f; o->beam = 3; }
    if (kind == 9) r->kind = HDL_REQUEST_SCORE;
    if (kind < 7) return;
    r->target_tokens = c.prefix;
    r->n_target_tokens = kind == 7 ? 3 : kind == 8 ? 12 : 20;
}

static void make_requests(void)
{
    for (int i = 0; i < c.n; i++) {
        hdl_request *r = &c.requests[i];
        *r = (hdl_request)HDL_REQUEST_INIT;
        r->wait = 1;
        r->search = &c.options[i];
        r->line = (uint64_t)i;
        r->text = c.text ? c.lines[i] : NULL;
        r->n_bytes = c.text ? strlen(c.lines[i]) : 0;
        r->tokens = c.text ? NULL : c.tokens[i];
        r->n_tokens = c.text ? 0 : c.n_tokens[i];
        choose_options(i, r, &c.options[i]);
    }
}

/* Random names of ordinary target tokens. */
static void choose_prefix(const hdl_model *model, uint64_t *random)
{
    const hdl_tokenizer *target = hdl_model_tokenizer(model, 1);
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    cr_assert_eq(hdl_model_describe(model, &info), HDL_OK);
    for (int i = 0; i < WORDS; i++)
        c.prefix[i] = hdl_tokenizer_token(target, 4 + (int32_t)(next_random(random) % (uint64_t)(info.target_vocabulary - 5)));
}

static void read_lines(int n)
{
    FILE *f = fopen(HEDDLE_SOURCE_DIR "/tests/data/en-de/test.en", "r");
    cr_assert_not_null(f);
    c.text = true;
    for (c.n = 0; c.n < n && fgets(c.lines[c.n], sizeof c.lines[0], f) != NULL; c.n++)
        c.lines[c.n][strcspn(c.lines[c.n], "\n")] = '\0';
    fclose(f);
    cr_assert_eq(c.n, n);
}

static void make_words(const hdl_model *model, int n, uint64_t *random)
{
    const hdl_tokenizer *source = hdl_model_tokenizer(model, 0);
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    cr_assert_eq(hdl_model_describe(model, &info), HDL_OK);
    c.text = false;
    c.n = n;
    for (int i = 0; i < n; i++) {
        c.n_tokens[i] = 1 + next_random(random) % (WORDS - 1);
        for (size_t j = 0; j < c.n_tokens[i]; j++)
            c.tokens[i][j] = hdl_tokenizer_token(source, 3 + (int32_t)(next_random(random) % (uint64_t)(info.source_vocabulary - 3)));
    }
}

typedef enum order { FORWARD, REVERSED, SHUFFLED, ALONE } order;
typedef struct setting { int32_t max_rows, batch_tokens, threads; order order; } setting;

static void list_order(order how, int *at)
{
    uint64_t random = 99;
    for (int i = 0; i < c.n; i++) at[i] = how == REVERSED ? c.n - 1 - i : i;
    for (int i = c.n - 1; how == SHUFFLED && i > 0; i--) {
        const int j = (int)(next_random(&random) % (uint64_t)(i + 1)), t = at[i];
        at[i] = at[j];
        at[j] = t;
    }
}

static int collect(hdl_ticket *ticket, int i, bool first, const setting *s)
{
    const hdl_result *result;
    cr_assert_eq(hdl_ticket_wait(ticket, -1, &result), HDL_OK);
    cr_assert_eq(result->status, HDL_OK, "sentence %d: %s", i, result->detail);
    const uint64_t hash = hash_result(result);
    if (first) c.expected[i] = hash;
    const int differs = hash != c.expected[i];
    if (differs)
        cr_log_error("sentence %d (kind %d) differs at max_rows %d, batch_tokens %d, threads %d, order %d: %s", i, i % KINDS, s->max_rows,
                     s->batch_tokens, s->threads, (int)s->order, joined(&result->hypotheses[0]));
    hdl_ticket_release(ticket);
    return differs;
}

static hdl_translator *open_setting(hdl_model *model, hdl_compute compute, hdl_isa isa, const setting *s)
{
    hdl_device_options d = HDL_DEVICE_OPTIONS_INIT;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator *t = NULL;
    d.isa = isa;
    d.products = c.products;
    o.device = "cpu";
    o.device_options = &d;
    o.compute = compute;
    o.max_rows = s->max_rows;
    o.batch_tokens = s->batch_tokens;
    o.threads = s->threads;
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK, "%s", hdl_error_detail());
    return t;
}

static void run_setting(hdl_translator *t, const setting *s, bool first)
{
    static hdl_ticket *tickets[MOST];
    int at[MOST], n_differ = 0;
    list_order(s->order, at);
    for (int i = 0; i < c.n; i++) {
        cr_assert_eq(hdl_translator_submit(t, &c.requests[at[i]], &tickets[at[i]]), HDL_OK, "%s", hdl_error_detail());
        if (s->order == ALONE) n_differ += collect(tickets[at[i]], at[i], first, s);
    }
    for (int i = 0; i < c.n && s->order != ALONE; i++) n_differ += collect(tickets[i], i, first, s);
    cr_expect_eq(n_differ, 0, "%d of %d sentences differ", n_differ, c.n);
}

static void check(const char *path, hdl_compute compute, hdl_isa isa, int n)
{
    static const setting settings[] = {
        {128, 4096, 1, FORWARD}, {33, 4096, 1, ALONE}, {8, 64, 1, REVERSED}, {33, 16, 2, SHUFFLED}, {128, 4096, 2, SHUFFLED},
    };
    char full[512];
    uint64_t random = 5;
    hdl_model *model;
    hdl_device *device = NULL;
    hdl_device_options d = HDL_DEVICE_OPTIONS_INIT;
    d.isa = isa;
    d.products = c.products;
    if (hdl_device_open("cpu", &d, &device) == HDL_ENOSUPPORT) {
        printf("skipped: %s\n", hdl_error_detail());
        return;
    }
    hdl_device_close(device);
    snprintf(full, sizeof full, "%s/%s", HEDDLE_SOURCE_DIR, path);
    cr_assert_eq(hdl_model_load(full, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    choose_prefix(model, &random);
    if (strstr(path, "en-de") != NULL) read_lines(n);
    else make_words(model, n, &random);
    make_requests();
    hdl_translator *const first = open_setting(model, compute, isa, &settings[0]);      /* its packed weights serve the others too */
    run_setting(first, &settings[0], true);
    for (size_t i = 1; i < sizeof settings / sizeof settings[0]; i++) {
        hdl_translator *const t = open_setting(model, compute, isa, &settings[i]);
        run_setting(t, &settings[i], false);
        cr_assert_eq(hdl_translator_close(t, 1), HDL_OK);
    }
    cr_assert_eq(hdl_translator_close(first, 1), HDL_OK);
    hdl_model_close(model);
}

static void check_library(const char *path, hdl_compute compute)
{
    c.products = HDL_PRODUCTS_ONEDNN;
    check(path, compute, HDL_ISA_AUTO, MOST);
}

#define EN_DE "models/en-de"
#define AREN "tests/data/ct2/aren-v2"

Test(en_de, f32_avx512) { check(EN_DE, HDL_COMPUTE_F32, HDL_ISA_AVX512, MOST); }
Test(en_de, bf16_avx512) { check(EN_DE, HDL_COMPUTE_BF16, HDL_ISA_AVX512, MOST); }
Test(en_de, int8_avx512) { check(EN_DE, HDL_COMPUTE_INT8, HDL_ISA_AVX512, MOST); }
Test(en_de, f32_avx2) { check(EN_DE, HDL_COMPUTE_F32, HDL_ISA_AVX2, HALF); }
Test(en_de, bf16_avx2) { check(EN_DE, HDL_COMPUTE_BF16, HDL_ISA_AVX2, THIRD); }
Test(en_de, int8_avx2) { check(EN_DE, HDL_COMPUTE_INT8, HDL_ISA_AVX2, HALF); }
Test(en_de, f32_plain) { check(EN_DE, HDL_COMPUTE_F32, HDL_ISA_PLAIN, FEW); }
Test(en_de, bf16_plain) { check(EN_DE, HDL_COMPUTE_BF16, HDL_ISA_PLAIN, KINDS); }
Test(en_de, int8_plain) { check(EN_DE, HDL_COMPUTE_INT8, HDL_ISA_PLAIN, FEW); }
Test(aren, f32_avx512) { check(AREN, HDL_COMPUTE_F32, HDL_ISA_AVX512, MOST); }
Test(aren, bf16_avx512) { check(AREN, HDL_COMPUTE_BF16, HDL_ISA_AVX512, MOST); }
Test(aren, int8_avx512) { check(AREN, HDL_COMPUTE_INT8, HDL_ISA_AVX512, MOST); }
Test(aren, f32_avx2) { check(AREN, HDL_COMPUTE_F32, HDL_ISA_AVX2, MOST); }
Test(aren, bf16_avx2) { check(AREN, HDL_COMPUTE_BF16, HDL_ISA_AVX2, MOST); }
Test(aren, int8_avx2) { check(AREN, HDL_COMPUTE_INT8, HDL_ISA_AVX2, MOST); }
Test(aren, f32_plain) { check(AREN, HDL_COMPUTE_F32, HDL_ISA_PLAIN, MOST); }
Test(aren, bf16_plain) { check(AREN, HDL_COMPUTE_BF16, HDL_ISA_PLAIN, MOST); }
Test(aren, f32_library) { check_library(AREN, HDL_COMPUTE_F32); }
Test(aren, bf16_library) { check_library(AREN, HDL_COMPUTE_BF16); }
Test(aren, int8_library) { check_library(AREN, HDL_COMPUTE_INT8); }
Test(aren, int8_plain) { check(AREN, HDL_COMPUTE_INT8, HDL_ISA_PLAIN, MOST); }
