/* test_draws.c - sampling through the engine: greedy limits, seeds, and the distribution of what is drawn. */
#include "engine_fixture.h"
#include "result_hash.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 64, LINES = 100, V = 40, LEAST_EXPECTED = 5 };

static const char *const words[] = {"w1", "w2", "w3"};
static engine e;

static void open_wide(void)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_beam = DRAWS;
    e = open_engine("tests/data/goldens/tiny-a", &o);
}

static void close_wide(void) { close_engine(&e); }

static const hdl_result *run(const hdl_search_options *o, uint64_t line, hdl_ticket **ticket)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.tokens = words;
    r.n_tokens = 3;
    r.search = o;
    r.line = line;
    const hdl_result *result = run_request(&e, &r, ticket);
    cr_assert_eq(result->status, HDL_OK, "%s", result->detail);
    return result;
}

static uint64_t hash_of(const hdl_search_options *o, uint64_t line)
{
    hdl_ticket *ticket;
    const uint64_t hash = hash_result(run(o, line, &ticket));
    hdl_ticket_release(ticket);
    return hash;
}

Test(draws, the_limits_are_greedy, .init = open_wide, .fini = close_wide)
{
    hdl_search_options greedy = HDL_SEARCH_OPTIONS_INIT, o = HDL_SEARCH_OPTIONS_INIT;
    greedy.beam = 1;
    const uint64_t wanted = hash_of(&greedy, 0);
    o.sample = 1;
    o.seed = 3;
    o.top_k = 1;
    cr_expect_eq(hash_of(&o, 0), wanted);
    o.top_k = 0;
    o.temperature = HDL_OFF;
    cr_expect_eq(hash_of(&o, 0), wanted);
    o.temperature = 1e-40f;     /* its reciprocal is not finite */
    cr_expect_eq(hash_of(&o, 0), wanted);
    o.temperature = 1e-4f;
    cr_expect_eq(hash_of(&o, 0), wanted);
    o.temperature = 0.0f;       /* 1: not greedy */
    o.n_best = 8;
    cr_expect_neq(hash_of(&o, 0), wanted);
}

/* A file's line n draws as seed + n would on line 0; draws of one request differ. */
Test(draws, seeds, .init = open_wide, .fini = close_wide)
{
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *ticket;
    o.sample = 1;
    o.n_best = 16;
    o.temperature = 1.5f;
    o.seed = 10;
    const uint64_t first = hash_of(&o, 0), fifth = hash_of(&o, 5);
    cr_expect_eq(hash_of(&o, 0), first);
    cr_expect_neq(first, fifth);
    o.seed = 15;
    cr_expect_eq(hash_of(&o, 0), fifth);
    const hdl_result *result = run(&o, 0, &ticket);
    size_t n_like_first = 0;
    for (size_t i = 0; i < result->n_hypotheses; i++) {
        n_like_first += result->hypotheses[i].sum == result->hypotheses[0].sum;
        if (i > 0) cr_expect_leq(result->hypotheses[i].score, result->hypotheses[i - 1].score);
    }
    cr_expect_lt(n_like_first, result->n_hypotheses);
    hdl_ticket_release(ticket);
}

/* Pieces of one line draw numbers of their own: the same sentence three times does not give the same draw three times. */
Test(draws, pieces_differ)
{
    engine text = open_engine("models/en-de", NULL);
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket;
    o.sample = 1;
    o.temperature = 2.0f;
    o.seed = 1;
    o.min_length = o.max_length = 6;
    r.text = "We saw it. We saw it. We saw it.";
    r.n_bytes = strlen(r.text);
    r.split = HDL_SPLIT_SENTENCES;
    r.search = &o;
    const hdl_result *result = run_request(&text, &r, &ticket);
    cr_assert_eq(result->n_pieces, 3u, "%s", result->detail);
    cr_assert_eq(result->hypotheses[0].n_tokens, 18u);
    cr_expect_neq(memcmp(result->hypotheses[0].ids, result->hypotheses[0].ids + 6, 6 * sizeof(int32_t)), 0);
    cr_expect_neq(memcmp(result->hypotheses[0].ids, result->hypotheses[0].ids + 12, 6 * sizeof(int32_t)), 0);
    hdl_ticket_release(ticket);
    close_engine(&text);
}

/* Probabilities of the first token: of all but the end token as alternatives, the end token's as what is left. */
static void first_probabilities(double *p)
{
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *ticket;
    double left = 1.0;
    o.alternatives = o.beam = 1;
    o.n_best = V;
    o.min_length = HDL_OFF;
    o.max_length = 1;
    const hdl_result *result = run(&o, 0, &ticket);
    cr_assert_eq(result->n_hypotheses, (size_t)V - 2);      /* neither pad nor the end token */
    for (size_t i = 0; i < result->n_hypotheses; i++) {
        p[result->hypotheses[i].ids[0]] = exp((double)result->hypotheses[i].logprobs[0]);
        left -= p[result->hypotheses[i].ids[0]];
    }
    p[0] = left;
    hdl_ticket_release(ticket);
}

/* Chi-square of the first token over 6,400 draws, against those probabilities flattened by the temperature, at a fixed seed. */
static void check_distribution(float temperature)
{
    double p[V] = {0}, counts[V] = {0}, total = 0.0, chi = 0.0, rest_count = 0.0, rest_p = 0.0;
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    int n_cells = 0;
    first_probabilities(p);
    for (int v = 0; v < V; v++) total += p[v] = pow(p[v] > 0 ? p[v] : 0, 1.0 / (double)temperature);
    o.sample = 1;
    o.n_best = DRAWS;
    o.temperature = temperature;
    o.min_length = HDL_OFF;
    o.max_length = 1;
    o.seed = 2024;
    for (uint64_t line = 0; line < LINES; line++) {
        hdl_ticket *ticket;
        const hdl_result *result = run(&o, line * 1000, &ticket);
        for (size_t i = 0; i < result->n_hypotheses; i++)
            counts[result->hypotheses[i].n_tokens > 0 ? result->hypotheses[i].ids[0] : 0] += 1;
        hdl_ticket_release(ticket);
    }
    for (int v = 0; v < V; v++) {
        const double expected = p[v] / total * DRAWS * LINES;
        if (expected < LEAST_EXPECTED) {
            rest_count += counts[v];
            rest_p += expected;
            continue;
        }
        chi += (counts[v] - expected) * (counts[v] - expected) / expected;
        n_cells++;
    }
    if (rest_p >= LEAST_EXPECTED) {
        chi += (rest_count - rest_p) * (rest_count - rest_p) / rest_p;
        n_cells++;
    }
    const double freedom = n_cells - 1.0;
    cr_assert_geq(n_cells, 5);
    /* mean + 4 standard deviations of the chi-square distribution: beyond one in ten thousand */
    cr_expect_lt(chi, freedom + 4.0 * sqrt(2.0 * freedom), "chi-square %g with %g degrees of freedom", chi, freedom);
}

Test(draws, distribution, .init = open_wide, .fini = close_wide) { check_distribution(2.0f); }
Test(draws, distribution_flat, .init = open_wide, .fini = close_wide) { check_distribution(4.0f); }
