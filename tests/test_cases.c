/* test_cases.c - CTranslate2's published cases for the transliteration model, through the C library (tests/data/ct2/cases.json). */
#include "engine_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_CHARACTERS 4096
#define MOST_SENTENCES 8

/* One case prepared for one beam size. */
typedef struct run {
    hdl_search_options search;
    hdl_request        requests[MOST_SENTENCES];
    hdl_ticket        *tickets[MOST_SENTENCES];
    const hdl_result  *results[MOST_SENTENCES];
    token_list         sources[MOST_SENTENCES], prefixes[MOST_SENTENCES];
    char               characters[2 * MOST_SENTENCES][MOST_CHARACTERS];
    option_store       store;
    size_t             n;
} run;

static run state;       /* too large for the stack; every test is a process of its own */

static void read_case_options(const json_t *item, int beam)
{
    const json_t *opt = json_object_get(item, "opt"), *n_best = json_object_get(opt, "num_hypotheses");
    const json_t *sequences = json_object_get(opt, "suppress_sequences");
    const hdl_search_options defaults = HDL_SEARCH_OPTIONS_INIT;
    hdl_search_options *s = &state.search;
    *s = defaults;
    s->beam = beam;
    s->length_penalty = 1.0f;
    s->alignment = 1;
    s->max_length = (int32_t)number_of(opt, "max_decoding_length");
    s->repetition_penalty = (float)number_of(opt, "repetition_penalty");
    s->alternatives = json_is_true(json_object_get(opt, "return_alternatives"));
    s->n_best = json_is_string(n_best) ? beam : n_best != NULL ? (int32_t)json_integer_value(n_best) : 1;
    if (sequences == NULL) return;
    json_t *as_options = json_pack("{s:O}", "suppress", sequences), *empty = json_pack("{s:s}", "stop", "count");
    hdl_search_options lists;
    read_options(empty, as_options, &state.store, &lists);
    s->suppress = lists.suppress;
    s->n_suppress = lists.n_suppress;
    json_decref(as_options);        /* the store holds copies */
    json_decref(empty);
}

/* Sources, prefixes and special settings of a case; then runs it. */
static void run_case(const engine *e, const json_t *item, int beam)
{
    const json_t *sources = json_object_get(item, "src"), *prefixes = json_object_get(item, "prefix");
    const json_t *prefix_tokens = json_object_get(item, "prefix_tokens");
    const double max_input = number_of(json_object_get(item, "opt"), "max_input_length");
    const char *id = json_string_value(json_object_get(item, "id"));
    read_case_options(item, beam);
    state.search.with_end_token = strcmp(id, "return_end_token") == 0;
    state.search.replace_unknowns = strcmp(id, "replace_unknowns") == 0;
    state.n = json_array_size(sources);
    cr_assert(state.n <= MOST_SENTENCES);
    for (size_t i = 0; i < state.n; i++) {
        list_characters(json_string_value(json_array_get(sources, i)), state.characters[2 * i], MOST_CHARACTERS,
                        &state.sources[i]);
        state.prefixes[i].n = 0;
        if (prefixes != NULL)
            list_characters(json_string_value(json_array_get(prefixes, i)), state.characters[2 * i + 1], MOST_CHARACTERS,
                            &state.prefixes[i]);
        if (prefix_tokens != NULL) list_json(prefix_tokens, &state.prefixes[i]);
        hdl_request *r = &state.requests[i];
        *r = token_request(&state.sources[i]);
        r->search = &state.search;
        r->target_tokens = state.prefixes[i].items;
        r->n_target_tokens = state.prefixes[i].n;
        if (max_input > 0) {
            r->max_source_length = (int32_t)max_input;
            r->overflow = HDL_OVERFLOW_CUT;
        }
        cr_assert_eq(hdl_translator_submit(e->translator, r, &state.tickets[i]), HDL_OK, "%s: %s", id, hdl_error_detail());
    }
    for (size_t i = 0; i < state.n; i++) {
        cr_assert_eq(hdl_ticket_wait(state.tickets[i], -1, &state.results[i]), HDL_OK);
        cr_assert_eq(state.results[i]->status, HDL_OK, "%s: %s", id, state.results[i]->detail);
    }
}

static void release_case(void)
{
    for (size_t i = 0; i < state.n; i++) hdl_ticket_release(state.tickets[i]);
}

/* Tokens put together as the cases write words. */
static const char *spelled(const hdl_hypothesis *h)
{
    static char word[1024];
    word[0] = '\0';
    for (size_t i = 0; i < h->n_tokens; i++) strncat(word, h->tokens[i], sizeof word - strlen(word) - 1);
    return word;
}

static void check_words(const json_t *item, const char *id, int beam)
{
    const json_t *words = json_object_get(item, "tgt"), *first = json_object_get(item, "tgt_first");
    const json_t *tokens = json_object_get(item, "tgt_tokens");
    for (size_t i = 0; words != NULL && i < state.n; i++)
        cr_expect_str_eq(spelled(&state.results[i]->hypotheses[0]), json_string_value(json_array_get(words, i)), "%s, beam %d",
                         id, beam);
    for (size_t i = 0; i < json_array_size(first); i++)
        cr_expect_str_eq(spelled(&state.results[0]->hypotheses[i]), json_string_value(json_array_get(first, i)), "%s", id);
    for (size_t i = 0; i < json_array_size(tokens); i++)
        cr_expect_str_eq(state.results[0]->hypotheses[0].tokens[i], json_string_value(json_array_get(tokens, i)), "%s", id);
}

static void check_shapes(const json_t *item, const char *id)
{
    const json_t *shapes = json_object_get(item, "attention_shape"), *length = json_object_get(item, "len");
    for (size_t i = 0; i < json_array_size(shapes); i++) {
        const hdl_hypothesis *h = &state.results[i]->hypotheses[0];
        cr_expect_eq(h->n_rows, (size_t)json_integer_value(json_array_get(json_array_get(shapes, i), 0)), "%s", id);
        cr_expect_eq(h->n_columns, (size_t)json_integer_value(json_array_get(json_array_get(shapes, i), 1)), "%s", id);
    }
    if (length == NULL) return;
    const hdl_hypothesis *h = &state.results[0]->hypotheses[0];
    const size_t kept = (size_t)number_of(json_object_get(item, "opt"), "max_input_length");
    cr_expect_eq(h->n_tokens, (size_t)json_integer_value(length), "%s", id);
    cr_expect_eq(h->n_columns, state.sources[0].n, "%s", id);
    for (size_t t = 0; t < h->n_rows; t++)
        for (size_t j = kept; j < h->n_columns; j++) cr_expect_eq(h->alignment[t * h->n_columns + j], 0.0f, "%s", id);
}

static void check_properties(const char *id, int beam)
{
    const hdl_hypothesis *h = state.results[0]->hypotheses;
    if (strcmp(id, "repetition_penalty") == 0)
        for (size_t i = 0; i < h->n_tokens; i++)
            for (size_t j = 0; j < i; j++) cr_expect_str_neq(h->tokens[i], h->tokens[j], "%s", id);
    if (strcmp(id, "n_best") == 0) cr_expect_eq(state.results[0]->n_hypotheses, (size_t)beam, "%s", id);
    if (strcmp(id, "alternatives") == 0) cr_expect_eq(state.results[0]->n_hypotheses, 10u, "%s", id);
    if (strcmp(id, "empty-sources") == 0) {
        cr_expect_eq(h->score, 0.0f);
        cr_expect_eq(h->n_rows, 0u);
    }
}

static void check_case(const engine *e, const json_t *item)
{
    const char *id = json_string_value(json_object_get(item, "id"));
    const json_t *beams = json_object_get(item, "beams");
    const size_t n_beams = beams != NULL ? json_array_size(beams) : 1;
    if (json_object_get(item, "src") == NULL) return;      /* "incremental" is a test of the model layer: test_model_layer.c */
    for (size_t b = 0; b < n_beams; b++) {
        const int beam = beams != NULL ? (int)json_integer_value(json_array_get(beams, b)) : 2;
        run_case(e, item, beam);
        check_words(item, id, beam);
        check_shapes(item, id);
        check_properties(id, beam);
        release_case();
    }
}

static engine open_with(const char *model, hdl_compute compute)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_beam = 32;
    o.compute = compute;
    return open_engine(model, &o);
}

static void check_all(const char *model, hdl_compute compute)
{
    size_t i;
    json_t *item, *root = load_json("tests/data/ct2/cases.json");
    engine e = open_with(model, compute);
    cr_assert(json_array_size(json_object_get(root, "translate")) >= 15);
    json_array_foreach(json_object_get(root, "translate"), i, item) check_case(&e, item);
    close_engine(&e);
    json_decref(root);
}

Test(cases, f32) { check_all("tests/data/ct2/aren-v2", HDL_COMPUTE_F32); }
Test(cases, i16_weights) { check_all("tests/data/ct2/aren-v2-i16", HDL_COMPUTE_F32); }

/* Score divided by its length equals the score without length penalty. */
Test(cases, length_penalty)
{
    static const int beams[] = {1, 4};
    engine e = open_with("tests/data/ct2/aren-v2", HDL_COMPUTE_F32);
    json_t *item = json_pack("{s:s,s:[s]}", "id", "length_penalty", "src", "آتزمون");
    for (size_t i = 0; i < sizeof beams / sizeof beams[0]; i++) {
        run_case(&e, item, beams[i]);
        const double normalised = (double)state.results[0]->hypotheses[0].score;
        release_case();
        hdl_ticket *ticket;
        state.search.length_penalty = HDL_OFF;
        const hdl_result *plain = run_request(&e, &state.requests[0], &ticket);
        const double length = (double)(plain->hypotheses[0].n_tokens + 1);
        cr_expect(fabs(normalised - (double)plain->hypotheses[0].score / length) < 1e-6, "beam %d", beams[i]);
        hdl_ticket_release(ticket);
    }
    json_decref(item);
    close_engine(&e);
}

/* Published log-probabilities of forced targets. */
static void check_scores(const char *model, hdl_compute compute, double bound)
{
    size_t i, j;
    json_t *item, *value, *root = load_json("tests/data/ct2/cases.json");
    engine e = open_with(model, compute);
    json_array_foreach(json_object_get(json_object_get(root, "score"), "cases"), i, item) {
        hdl_ticket *ticket;
        list_characters(json_string_value(json_object_get(item, "src")), state.characters[0], MOST_CHARACTERS, &state.sources[0]);
        list_characters(json_string_value(json_object_get(item, "tgt")), state.characters[1], MOST_CHARACTERS,
                        &state.prefixes[0]);
        hdl_request r = token_request(&state.sources[0]);
        r.kind = HDL_REQUEST_SCORE;
        r.target_tokens = state.prefixes[0].items;
        r.n_target_tokens = state.prefixes[0].n;
        const hdl_result *result = run_request(&e, &r, &ticket);
        cr_assert_eq(result->status, HDL_OK, "%s", result->detail);
        const hdl_hypothesis *h = &result->hypotheses[0];
        cr_expect_eq(h->n_logprobs, json_array_size(json_object_get(item, "logp")));
        json_array_foreach(json_object_get(item, "logp"), j, value)
            cr_expect(fabs(json_number_value(value) - (double)h->logprobs[j]) < bound, "%s: log-probability %zu is %f, wanted %f",
                      model, j, (double)h->logprobs[j], json_number_value(value));
        hdl_ticket_release(ticket);
    }
    close_engine(&e);
    json_decref(root);
}

Test(scores, f32) { check_scores("tests/data/ct2/aren-v2", HDL_COMPUTE_F32, 1e-5); }
Test(scores, i16_weights) { check_scores("tests/data/ct2/aren-v2-i16", HDL_COMPUTE_F32, 1e-2); }
Test(scores, int8) { check_scores("tests/data/ct2/aren-v2", HDL_COMPUTE_INT8, 3e-2); }
