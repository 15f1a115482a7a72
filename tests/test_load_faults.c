/* test_load_faults.c - every allocation of loading, opening and translating fails once: a clean status and line, no crash, no leak. */
#include "base/memory.h"

#include <heddle/heddle.h>

#include <criterion/criterion.h>
#include <string.h>

#define MODEL HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a"
#define MOST_FAULTS 100000

static void expect_clean(hdl_status status, uint64_t n, const char *what)
{
    cr_expect_eq(status, HDL_ENOMEM, "%s, allocation %d: %s, %s", what, (int)n, hdl_status_name(status), hdl_error_detail());
    cr_expect_gt(strlen(hdl_error_detail()), 8u, "%s, allocation %d", what, (int)n);
}

static hdl_translator_options small_options(void)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_rows = 8;
    o.max_beam = 4;
    return o;
}

Test(load_faults, load)
{
    hdl_model *model = NULL;
    uint64_t n = 1;
    for (; model == NULL && n < MOST_FAULTS; n++) {
        hdl__alloc_fail_at(n);
        const hdl_status status = hdl_model_load(MODEL, NULL, &model);
        hdl__alloc_fail_at(0);
        if (status != HDL_OK) {
            cr_assert_null(model);
            expect_clean(status, n, "load");
        }
    }
    cr_expect_gt(n, 20u);
    hdl_model_close(model);
}

Test(load_faults, open)
{
    const hdl_translator_options o = small_options();
    hdl_model *model = NULL;
    hdl_translator *t = NULL;
    uint64_t n = 1;
    cr_assert_eq(hdl_model_load(MODEL, NULL, &model), HDL_OK);
    for (; t == NULL && n < MOST_FAULTS; n++) {
        hdl__alloc_fail_at(n);
        const hdl_status status = hdl_translator_open(model, &o, &t);
        hdl__alloc_fail_at(0);
        if (status != HDL_OK) {
            cr_assert_null(t);
            expect_clean(status, n, "open");
        }
    }
    cr_expect_gt(n, 100u);
    cr_expect_eq(hdl_translator_close(t, 0), HDL_OK);
    hdl_model_close(model);
}

static void spoil_each(hdl_translator *t, const hdl_request *r, const char *what)
{
    bool whole = false;
    uint64_t n = 1, n_refused = 0;
    for (; !whole && n < MOST_FAULTS; n++) {
        hdl_ticket *ticket = NULL;
        const hdl_result *result = NULL;
        hdl__alloc_fail_at(n);
        const uint64_t before = hdl__alloc_count();
        const hdl_status status = hdl_translator_submit(t, r, &ticket);
        if (status != HDL_OK) {
            expect_clean(status, n, what);
            cr_assert_null(ticket);
            n_refused++;
            continue;
        }
        cr_assert_eq(hdl_ticket_wait(ticket, -1, &result), HDL_OK);
        whole = hdl__alloc_count() - before < n;
        hdl__alloc_fail_at(0);
        if (result->status != HDL_OK) {
            cr_expect_eq(result->status, HDL_ENOMEM, "%s, allocation %d: %s", what, (int)n, hdl_status_name(result->status));
            cr_expect_gt(strlen(result->detail), 8u);
            cr_expect_eq(result->n_hypotheses, 0u);
        } else {
            cr_expect(whole, "%s: allocation %d failed and nothing was said", what, (int)n);
        }
        hdl_ticket_release(ticket);
    }
    cr_expect_gt(n_refused, 5u, "%s", what);
    cr_assert_lt(n, (uint64_t)MOST_FAULTS);
}

Test(load_faults, translate)
{
    static const char *const words[] = {"w1", "w2", "nonsense"}, *const ends[] = {"</s>"}, *const suppress[] = {"w3 w4"};
    const hdl_translator_options o = small_options();
    hdl_search_options s = HDL_SEARCH_OPTIONS_INIT;
    hdl_request r = HDL_REQUEST_INIT;
    hdl_model *model = NULL;
    hdl_translator *t = NULL;
    cr_assert_eq(hdl_model_load(MODEL, NULL, &model), HDL_OK);
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK);
    r.tokens = words;
    r.n_tokens = 3;
    r.target_tokens = words;
    r.n_target_tokens = 2;
    r.search = &s;
    s.end_tokens = ends;
    s.suppress = suppress;
    s.n_end_tokens = s.n_suppress = 1;
    s.n_best = 3;
    spoil_each(t, &r, "search");
    s.alignment = s.use_vocab_map = 1;
    spoil_each(t, &r, "alignment and vocabulary map");
    s.use_vocab_map = 0;
    s.alternatives = 1;
    spoil_each(t, &r, "alternatives");
    r.kind = HDL_REQUEST_SCORE;
    spoil_each(t, &r, "score");
    cr_expect_eq(hdl_translator_close(t, 0), HDL_OK);
    hdl_model_close(model);
}

/* Text: the segmenter's own memory is not ours to fail, all else is. */
Test(load_faults, translate_text)
{
    const hdl_translator_options o = small_options();
    hdl_request r = HDL_REQUEST_INIT;
    hdl_model *model = NULL;
    hdl_translator *t = NULL;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/models/en-de", NULL, &model), HDL_OK);
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK);
    r.text = "I came. You saw \xff.";
    r.n_bytes = strlen(r.text);
    r.split = HDL_SPLIT_SENTENCES;
    r.target = "Ich";
    r.n_target_bytes = 3;
    spoil_each(t, &r, "text");
    cr_expect_eq(hdl_translator_close(t, 0), HDL_OK);
    hdl_model_close(model);
}

Test(load_faults, map)
{
    const int32_t ids[] = {3, 4, 5};
    const hdl_translator_options o = small_options();
    hdl_model *model = NULL;
    hdl_translator *t = NULL;
    hdl_map map = {0};
    uint64_t n = 1;
    cr_assert_eq(hdl_model_load(MODEL, NULL, &model), HDL_OK);
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK);
    for (; map.values == NULL && n < MOST_FAULTS; n++) {
        hdl__alloc_fail_at(n);
        const hdl_status status = hdl_translator_map(t, ids, 3, ids, 2, HDL_MAP_CROSS, -1, -1, &map);
        hdl__alloc_fail_at(0);
        if (status != HDL_OK) expect_clean(status, n, "map");
    }
    cr_expect_eq(map.n_rows, 3u);
    cr_expect_eq(map.n_columns, 3u);
    for (size_t i = 0; i < 3; i++) {
        float sum = 0.0f;
        for (size_t j = 0; j < 3; j++) sum += map.values[i * 3 + j];
        cr_expect_float_eq(sum, 1.0f, 1e-5f);
    }
    hdl_map_free(&map);
    cr_expect_eq(hdl_translator_close(t, 0), HDL_OK);
    hdl_model_close(model);
}
