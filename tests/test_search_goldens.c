/* test_search_goldens.c - every search option against an independent float64 search, on tiny random MarianMT models. */
#include "engine_fixture.h"

#include <math.h>
#include <string.h>

#define BOUND 2e-4      /* f32 engine against float64, sums of up to 24 terms; goldens are printed with six digits */

static int compare_hypothesis(const json_t *wanted, const hdl_hypothesis *got, const char *label, size_t case_number)
{
    size_t i;
    json_t *value;
    const char *finished = json_string_value(json_object_get(wanted, "finished"));
    const double score = number_of(wanted, "score");
    if (!same_tokens(wanted, got) || fabs(score - (double)got->score) > BOUND * fmax(1.0, fabs(score))
        || (strcmp(finished, "end") == 0) != (got->finish == HDL_FINISH_END)) {
        char *text = json_dumps(wanted, JSON_COMPACT);
        cr_log_error("case %zu (%s): got \"%s\" %.6f %s, wanted %s", case_number, label, joined(got), (double)got->score,
                     got->finish == HDL_FINISH_END ? "end" : "length", text);
        free(text);
        return 0;
    }
    json_array_foreach(json_object_get(wanted, "logprobs"), i, value) {
        if (i < got->n_logprobs && fabs(json_number_value(value) - (double)got->logprobs[i]) <= BOUND * 10) continue;
        cr_log_error("case %zu (%s): log-probability %zu", case_number, label, i);
        return 0;
    }
    return json_array_size(json_object_get(wanted, "logprobs")) == got->n_logprobs;
}

static int compare_alignment(const json_t *wanted, const hdl_hypothesis *got, size_t n_source)
{
    size_t t, j;
    json_t *row, *value;
    const json_t *rows = json_object_get(wanted, "alignment");
    if (rows == NULL) return 1;
    if (json_array_size(rows) != got->n_rows || got->n_columns != n_source) return 0;
    json_array_foreach(rows, t, row)
        json_array_foreach(row, j, value)
            if (fabs(json_number_value(value) - (double)got->alignment[t * got->n_columns + j]) > BOUND) return 0;
    return 1;
}

/* Targets of "forced" cases: log-probabilities, their sum, perplexity. */
static int check_forced(const engine *e, const json_t *item)
{
    token_list source, target;
    hdl_ticket *ticket;
    size_t i;
    json_t *value;
    list_json(json_object_get(item, "source"), &source);
    list_json(json_object_get(item, "target"), &target);
    hdl_request request = token_request(&source);
    request.kind = HDL_REQUEST_SCORE;
    request.target_tokens = target.items;
    request.n_target_tokens = target.n;
    const hdl_result *result = run_request(e, &request, &ticket);
    int good = result->status == HDL_OK && result->hypotheses[0].n_logprobs == target.n + 1;
    if (!good) cr_log_error("forced: %s", result->detail);
    json_array_foreach(json_object_get(item, "logprobs"), i, value)
        good = good && fabs(json_number_value(value) - (double)result->hypotheses[0].logprobs[i]) < 1e-4;
    good = good && fabs(number_of(item, "sum") - (double)result->hypotheses[0].sum) < 1e-3
           && fabs(number_of(item, "perplexity") / (double)result->perplexity - 1.0) < 1e-3;
    hdl_ticket_release(ticket);
    return good;
}

static int check_case(const engine *e, const json_t *base, const json_t *item, size_t number)
{
    static option_store store;
    token_list source, prefix;
    hdl_search_options search;
    hdl_ticket *ticket;
    size_t i;
    json_t *wanted;
    const char *label = json_string_value(json_object_get(item, "label"));
    const json_t *options = json_object_get(item, "options");
    if (strcmp(label, "forced") == 0) return check_forced(e, item);
    read_options(base, options, &store, &search);
    search.alignment = strcmp(label, "alignment") == 0;
    list_json(json_object_get(item, "source"), &source);
    list_json(json_object_get(options, "prefix"), &prefix);
    hdl_request request = token_request(&source);
    request.search = &search;
    request.target_tokens = prefix.items;
    request.n_target_tokens = prefix.n;
    const hdl_result *result = run_request(e, &request, &ticket);
    const json_t *hypotheses = json_object_get(item, "hypotheses");
    int good = result->status == HDL_OK && json_array_size(hypotheses) == result->n_hypotheses;
    if (!good)
        cr_log_error("case %zu (%s): %zu hypotheses, wanted %zu; %s", number, label, result->n_hypotheses,
                     json_array_size(hypotheses), result->detail);
    for (i = 0; good && i < result->n_hypotheses; i++) {
        wanted = json_array_get(hypotheses, i);
        good = compare_hypothesis(wanted, &result->hypotheses[i], label, number);
        if (good && !compare_alignment(wanted, &result->hypotheses[i], source.n)) {
            cr_log_error("case %zu (%s): alignment", number, label);
            good = 0;
        }
    }
    hdl_ticket_release(ticket);
    return good;
}

static void check_model(const char *name)
{
    char path[256];
    size_t i, n = 0, n_good = 0;
    json_t *item, *root = load_json("tests/data/goldens/options.json");
    snprintf(path, sizeof path, "tests/data/goldens/%s", name);
    engine e = open_engine(path, NULL);
    json_array_foreach(json_object_get(root, "cases"), i, item) {
        if (strcmp(json_string_value(json_object_get(item, "model")), name) != 0) continue;
        n++;
        n_good += (size_t)check_case(&e, json_object_get(root, "base"), item, i);
    }
    cr_assert(n >= 20, "%s has only %zu cases", name, n);
    cr_assert_eq(n, n_good, "%s: %zu of %zu cases are right", name, n_good, n);
    close_engine(&e);
    json_decref(root);
}

Test(search_goldens, tiny_a) { check_model("tiny-a"); }
Test(search_goldens, tiny_b) { check_model("tiny-b"); }
Test(search_goldens, tiny_c) { check_model("tiny-c"); }
Test(search_goldens, tiny_d) { check_model("tiny-d"); }
Test(search_goldens, tiny_e) { check_model("tiny-e"); }
