/* test_requests.c - what submit refuses, in which words; what becomes of odd tokens and prefixes. */
#include "engine_fixture.h"

#include <math.h>
#include <string.h>

static engine tiny;

static void open_tiny(void) { tiny = open_engine("tests/data/goldens/tiny-a", NULL); }
static void close_tiny(void) { close_engine(&tiny); }

static void expect_refused(hdl_status got, const char *words)
{
    cr_expect_eq(got, HDL_EINVAL, "%s: %s", words, hdl_status_name(got));
    cr_expect_not_null(strstr(hdl_error_detail(), words), "\"%s\" does not say \"%s\"", hdl_error_detail(), words);
}

/* Sets one field of fresh options, and what the refusal must say. */
#define SET(field, value, words) { hdl_search_options o = HDL_SEARCH_OPTIONS_INIT; o.field = (value); check(&o, words); }

static void check(const hdl_search_options *o, const char *words)
{
    static const char *const source[] = {"w1"};
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket = NULL;
    r.tokens = source;
    r.n_tokens = 1;
    r.search = o;
    expect_refused(hdl_translator_check(tiny.translator, o), words);
    expect_refused(hdl_translator_submit(tiny.translator, &r, &ticket), words);
    cr_expect_null(ticket);
}

Test(options, numbers_out_of_range, .init = open_tiny, .fini = close_tiny)
{
    SET(struct_bytes, 7, "struct_bytes = 7")
    SET(beam, -1, "beam = -1, allowed 1 to 16")
    SET(beam, 17, "beam = 17, allowed 1 to 16")
    SET(beam, INT32_MAX, "beam = 2147483647")
    SET(beam, INT32_MIN, "beam = -2147483648")
    SET(n_best, -1, "n_best = -1")
    SET(n_best, 17, "n_best = 17, allowed 1 to 16")
    SET(n_best, 5, "n_best = 5, allowed 1 to 4: round(beam * patience)")
    SET(length_penalty, -0.5f, "length_penalty = -0.5")
    SET(length_penalty, NAN, "length_penalty = nan")
    SET(length_penalty, INFINITY, "length_penalty = inf")
    SET(length_norm, (hdl_length_norm)2, "length_norm = 2")
    SET(coverage_penalty, -1.0f, "coverage_penalty = -1")
    SET(coverage_penalty, NAN, "coverage_penalty = nan")
    SET(repetition_penalty, -1.0f, "repetition_penalty = -1")
    SET(repetition_penalty, NAN, "repetition_penalty = nan")
    SET(no_repeat_ngram, -1, "no_repeat_ngram = -1")
    SET(patience, -1.0f, "patience = -1")
    SET(patience, NAN, "patience = nan")
    SET(patience, 1e30f, "patience = 1e+30")
    SET(stop, (hdl_stop_rule)3, "stop = 3")
    SET(min_length, -2, "min_length = -2")
    SET(min_length, 65, "min_length = 65, the model allows 64")
    SET(max_length, -1, "max_length = -1")
    SET(prefix_bias, 1.0f, "prefix_bias = 1")
    SET(prefix_bias, -0.1f, "prefix_bias = -0.1")
    SET(prefix_bias, NAN, "prefix_bias = nan")
    SET(min_alternative_prob, 1.5f, "min_alternative_prob = 1.5")
    SET(min_alternative_prob, NAN, "min_alternative_prob = nan")
    SET(top_k, -1, "top_k = -1")
    SET(top_p, -0.5f, "top_p = -0.5")
    SET(top_p, 1.5f, "top_p = 1.5")
    SET(top_p, NAN, "top_p = nan")
    SET(temperature, -2.0f, "temperature = -2")
    SET(temperature, NAN, "temperature = nan")
}

Test(options, combinations, .init = open_tiny, .fini = close_tiny)
{
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    o.sample = o.alternatives = 1;
    check(&o, "sample and alternatives exclude each other");
    o.alternatives = 0;
    o.beam = 2;
    check(&o, "beam = 2, sampling allows 1");
    o.sample = 0;
    o.alternatives = 1;
    o.prefix_bias = 0.5f;
    check(&o, "prefix_bias and alternatives exclude each other");
    o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    o.min_length = 9;
    o.max_length = 8;
    check(&o, "min_length = 9 is above max_length = 8");
    o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    o.stop = HDL_STOP_ALL;
    o.n_best = 5;
    check(&o, "n_best = 5, allowed 1 to 4: the beam");
}

Test(options, lists, .init = open_tiny, .fini = close_tiny)
{
    static const char *const unknown[] = {"w1", "nonsense"}, *const hole[] = {"w1", NULL}, *const empty[] = {" "};
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    o.end_tokens = unknown;
    o.n_end_tokens = 2;
    check(&o, "\"nonsense\"");
    o.end_tokens = hole;
    check(&o, "end_tokens[1] is NULL");
    o.end_tokens = NULL;
    check(&o, "end_tokens is NULL");
    o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    o.suppress = unknown;
    o.n_suppress = 2;
    check(&o, "\"nonsense\"");
    o.suppress = hole;
    check(&o, "suppress[1] is NULL");
    o.suppress = NULL;
    check(&o, "suppress is NULL");
    o.suppress = empty;
    o.n_suppress = 1;
    check(&o, "sequence 0 is empty");
}

#define REQUEST(field, value, words) { hdl_request r = HDL_REQUEST_INIT; r.tokens = source; r.n_tokens = 1; r.field = (value); \
    hdl_ticket *ticket = NULL; expect_refused(hdl_translator_submit(tiny.translator, &r, &ticket), words); cr_expect_null(ticket); }

Test(requests, fields_out_of_range, .init = open_tiny, .fini = close_tiny)
{
    static const char *const source[] = {"w1"};
    REQUEST(struct_bytes, 0, "struct_bytes = 0")
    REQUEST(kind, (hdl_request_kind)2, "kind = 2")
    REQUEST(tokens, NULL, "tokens is NULL")
    REQUEST(n_target_tokens, 3, "target_tokens is NULL")
    REQUEST(n_source_prefix, 1, "source_prefix is NULL")
    REQUEST(n_source_suffix, 1, "source_suffix is NULL")
    REQUEST(n_tokens, SIZE_MAX, "a line of more than")
    REQUEST(split, (hdl_split)3, "split = 3")
    REQUEST(overflow, (hdl_overflow)2, "overflow = 2")
    REQUEST(max_source_length, -1, "max_source_length = -1")
    REQUEST(deadline_us, -1, "deadline_us = -1")
}

Test(requests, null_arguments, .init = open_tiny, .fini = close_tiny)
{
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket = NULL;
    hdl_results *results = NULL;
    const char *line = NULL;
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    uint64_t bytes;
    expect_refused(hdl_translator_submit(NULL, &r, &ticket), "NULL");
    expect_refused(hdl_translator_submit(tiny.translator, NULL, &ticket), "NULL");
    expect_refused(hdl_translator_submit(tiny.translator, &r, NULL), "NULL");
    expect_refused(hdl_translator_check(NULL, NULL), "NULL");
    cr_expect_eq(hdl_translator_check(tiny.translator, NULL), HDL_OK);
    expect_refused(hdl_translate(tiny.translator, NULL, 1, NULL, &results), "NULL");
    expect_refused(hdl_translate(tiny.translator, &line, 1, NULL, &results), "lines[0] is NULL");
    expect_refused(hdl_translator_get_stats(tiny.translator, NULL), "NULL");
    expect_refused(hdl_translator_get_stats(NULL, &stats), "NULL");
    stats.struct_bytes = 0;
    expect_refused(hdl_translator_get_stats(tiny.translator, &stats), "struct_bytes");
    expect_refused(hdl_translator_bytes(NULL, NULL, &bytes), "NULL");
    expect_refused(hdl_translator_open(NULL, NULL, &tiny.translator), "NULL");
    expect_refused(hdl_translator_open(tiny.model, NULL, NULL), "NULL");
    expect_refused(hdl_ticket_wait(NULL, 0, NULL), "NULL");
    hdl_ticket_cancel(NULL);
    hdl_ticket_release(NULL);
    hdl_results_free(NULL);
    cr_expect_null(hdl_results_get(NULL, 0));
    cr_expect_eq(hdl_translator_close(NULL, 0), HDL_OK);
}

/* Tokens that the vocabularies lack are the unknown token; special ones asked for by name must exist. */
Test(requests, unknown_tokens, .init = open_tiny, .fini = close_tiny)
{
    static const char *const source[] = {"w1", "nonsense", "</s>"}, *const hole[] = {"w1", NULL}, *const bad[] = {">>xx<<"};
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket;
    r.tokens = source;
    r.n_tokens = 3;
    const hdl_result *result = run_request(&tiny, &r, &ticket);
    cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_str_eq(result->source, "w1 nonsense </s>");
    cr_expect_str_eq(result->source_tokens[1], "nonsense");
    hdl_ticket_release(ticket);
    r.tokens = hole;
    r.n_tokens = 2;
    result = run_request(&tiny, &r, &ticket);
    cr_expect_eq(result->status, HDL_EINVAL);
    cr_expect_not_null(strstr(result->detail, "tokens[1] is NULL"), "%s", result->detail);
    cr_expect_not_null(result->source);
    hdl_ticket_release(ticket);
    r.tokens = source;
    r.source_prefix = bad;
    r.n_source_prefix = 1;
    result = run_request(&tiny, &r, &ticket);
    cr_expect_eq(result->status, HDL_EINVAL);
    cr_expect_not_null(strstr(result->detail, "source prefix token \">>xx<<\""), "%s", result->detail);
    hdl_ticket_release(ticket);
    r.n_source_prefix = 0;
    r.target_language = ">>xx<<";
    result = run_request(&tiny, &r, &ticket);
    cr_expect_not_null(strstr(result->detail, "target language token \">>xx<<\""), "%s", result->detail);
    hdl_ticket_release(ticket);
}

static const hdl_result *run_tokens(const char *const *tokens, size_t n, hdl_request *r, hdl_ticket **ticket)
{
    r->tokens = tokens;
    r->n_tokens = n;
    return run_request(&tiny, r, ticket);
}

/* Language tokens: before and after the source, and first in the target without being part of the result. */
Test(requests, language_tokens, .init = open_tiny, .fini = close_tiny)
{
    static const char *const plain[] = {"w1", "w2"}, *const framed[] = {"w7", "w1", "w2", "w8"}, *const w7[] = {"w7"},
                      *const w8[] = {"w8"};
    hdl_request a = HDL_REQUEST_INIT, b = HDL_REQUEST_INIT;
    hdl_ticket *ta, *tb;
    a.source_prefix = w7;
    a.source_suffix = w8;
    a.n_source_prefix = a.n_source_suffix = 1;
    const hdl_result *with = run_tokens(plain, 2, &a, &ta), *whole = run_tokens(framed, 4, &b, &tb);
    cr_assert_eq(with->status, HDL_OK, "%s", with->detail);
    cr_expect_eq(with->n_source_tokens, 2u);
    cr_expect_eq(with->hypotheses[0].score, whole->hypotheses[0].score);
    hdl_ticket_release(ta);
    hdl_ticket_release(tb);
    hdl_request forced = HDL_REQUEST_INIT, hidden = HDL_REQUEST_INIT;
    forced.target_tokens = w7;
    forced.n_target_tokens = 1;
    hidden.target_language = "w7";
    const hdl_result *shown = run_tokens(plain, 2, &forced, &ta), *not_shown = run_tokens(plain, 2, &hidden, &tb);
    cr_assert_eq(not_shown->status, HDL_OK, "%s", not_shown->detail);
    cr_expect_eq(shown->hypotheses[0].score, not_shown->hypotheses[0].score);
    cr_expect_eq(shown->hypotheses[0].n_tokens, not_shown->hypotheses[0].n_tokens + 1);
    cr_expect_eq(shown->hypotheses[0].n_logprobs, not_shown->hypotheses[0].n_logprobs + 1);
    hdl_ticket_release(ta);
    hdl_ticket_release(tb);
}

/* A prefix at least as long as max_length is cut to it and is the whole result, whatever is asked besides. */
Test(requests, prefix_as_long_as_max_length, .init = open_tiny, .fini = close_tiny)
{
    static const char *const source[] = {"w1", "w2", "w3"};
    const char *prefix[40];
    for (size_t i = 0; i < 40; i++) prefix[i] = i % 2 ? "w5" : "w6";
    for (int mode = 0; mode < 3; mode++)
        for (size_t n = 1; n <= 40; n += 13) {
            hdl_request r = HDL_REQUEST_INIT;
            hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
            hdl_ticket *ticket;
            o.max_length = n > 3 ? (int32_t)n - 2 : 1;
            o.n_best = 3;
            o.alternatives = mode == 1;
            o.sample = mode == 2;
            r.search = &o;
            r.target_tokens = prefix;
            r.n_target_tokens = n;
            const hdl_result *result = run_tokens(source, 3, &r, &ticket);
            cr_assert_eq(result->status, HDL_OK, "%s", result->detail);
            cr_expect_eq(result->n_hypotheses, 3u, "mode %d, prefix %zu: %zu", mode, n, result->n_hypotheses);
            for (size_t i = 0; i < result->n_hypotheses; i++) {
                cr_expect_eq(result->hypotheses[i].n_tokens, (size_t)o.max_length);
                cr_expect_eq(result->hypotheses[i].score, 0.0f);
                cr_expect_eq(result->hypotheses[i].finish, HDL_FINISH_LENGTH);
                cr_expect_str_eq(result->hypotheses[i].tokens[0], "w6");
            }
            hdl_ticket_release(ticket);
        }
}

/* As many alternatives as asked for, however many end tokens are more probable. */
Test(requests, alternatives_with_many_end_tokens, .init = open_tiny, .fini = close_tiny)
{
    static const char *const source[] = {"w1", "w2", "w3"};
    const char *ends[12];
    hdl_request r = HDL_REQUEST_INIT;
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *first, *ticket;
    o.alternatives = 1;
    o.n_best = 16;
    r.search = &o;
    const hdl_result *all = run_tokens(source, 3, &r, &first);
    cr_assert_eq(all->n_hypotheses, 16u, "%s", all->detail);
    for (int i = 0; i < 12; i++) ends[i] = all->hypotheses[i].tokens[0];
    o.n_best = 3;
    o.end_tokens = ends;
    o.n_end_tokens = 12;
    const hdl_result *result = run_tokens(source, 3, &r, &ticket);
    cr_assert_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_eq(result->n_hypotheses, 3u, "%zu", result->n_hypotheses);
    for (size_t i = 0; i < result->n_hypotheses; i++) {
        const char *wanted = all->hypotheses[12 + i].tokens[0];
        /* the model's own end token is an ordinary one here, and may come anywhere */
        if (strcmp(result->hypotheses[i].tokens[0], "</s>") == 0) break;
        cr_expect_str_eq(result->hypotheses[i].tokens[0], wanted);
    }
    hdl_ticket_release(first);
    hdl_ticket_release(ticket);
}

/* Scoring against a source of no tokens: the model has no end token to add in token mode, so nothing can be attended to. */
Test(requests, empty_sources, .init = open_tiny, .fini = close_tiny)
{
    static const char *const target[] = {"w5", "w6"}, *const end[] = {"</s>"};
    for (int kind = 0; kind < 2; kind++)
        for (size_t n_target = 0; n_target <= 2; n_target += 2)
            for (size_t n = 0; n < 2; n++) {
                hdl_request r = HDL_REQUEST_INIT;
                hdl_ticket *ticket;
                r.kind = (hdl_request_kind)kind;
                r.target_tokens = target;
                r.n_target_tokens = n_target;
                const hdl_result *result = run_tokens(end, n, &r, &ticket);
                cr_assert_eq(result->status, HDL_OK, "kind %d, %zu target tokens: %s", kind, n_target, result->detail);
                cr_assert_eq(result->n_hypotheses, 1u);
                const hdl_hypothesis *h = &result->hypotheses[0];
                cr_expect_eq(h->n_tokens, n_target);
                cr_expect(isfinite(h->score));
                if (kind == 1) cr_expect_eq(h->n_logprobs, n_target + 1);
                if (kind == 0) cr_expect_eq(h->score, 0.0f);
                for (size_t i = 0; i < h->n_logprobs; i++) cr_expect(isfinite(h->logprobs[i]));
                hdl_ticket_release(ticket);
            }
}
