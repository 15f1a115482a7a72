/* test_model_goldens.c - the model that ships: 1,000 sentences as ctranslate2 and transformers translate them, 200 as a numpy pass scores them. */
#include "engine_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of them in a release build; the address sanitizer, many times slower, looks at the code and not at the numbers. */
#ifdef __SANITIZE_ADDRESS__
enum { N_SENTENCES = 100, N_REFERENCES = 20 };
#else
enum { N_SENTENCES = 1000, N_REFERENCES = 200 };
#endif
#define BOUND 1e-4          /* between f32 engines: scores of a line, or of two lines that both claim the best place */

/* The next line of a file that must have one. */
static char *next_line(FILE *file, char *line, size_t room)
{
    cr_assert_not_null(fgets(line, (int)room, file), "file ends early");
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static FILE *open_file(const char *path)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", HEDDLE_SOURCE_DIR, path);
    FILE *file = fopen(full, "r");
    cr_assert_not_null(file, "%s", full);
    return file;
}

static hdl_request text_request(const char *text, const hdl_search_options *search)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.text = text;
    r.n_bytes = strlen(text);
    r.split = HDL_SPLIT_NEVER;
    r.search = search;
    r.wait = 1;
    return r;
}

/* A golden is [pieces, score of ctranslate2, score of transformers], or two [pieces, score] where the two systems differ. */
static void compare(const json_t *golden, const hdl_hypothesis *got, const char *name, size_t line, size_t *n_differ)
{
    const json_t *first = json_array_get(golden, 0);
    const bool split = json_is_array(first);
    const char *pieces = json_string_value(split ? json_array_get(first, 0) : first);
    const double score = json_number_value(split ? json_array_get(first, 1) : json_array_get(golden, 1));
    cr_expect(fabs(score - (double)got->score) < BOUND, "%s, line %zu: score %f, wanted %f", name, line, (double)got->score,
              score);
    if (strcmp(pieces, joined(got)) == 0) return;
    (*n_differ)++;
    printf("%s, line %zu differs: %.6f \"%s\" here, %.6f \"%s\" there\n", name, line, (double)got->score, joined(got), score,
           pieces);
}

static void check_goldens(const char *name, int beam)
{
    static char line[1 << 16];
    static hdl_ticket *tickets[N_SENTENCES];
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    search.beam = beam;
    search.length_penalty = 1.0f;
    search.min_length = HDL_OFF;
    engine e = open_engine("models/en-de", NULL);
    FILE *sources = open_file("tests/data/en-de/test.en"), *goldens = open_file("tests/data/en-de/goldens.jsonl");
    json_t *note = json_loads(next_line(goldens, line, sizeof line), 0, NULL);
    search.max_length = (int32_t)number_of(note, "max_length");
    json_decref(note);
    for (size_t i = 0; i < N_SENTENCES; i++) {
        const hdl_request r = text_request(next_line(sources, line, sizeof line), &search);
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    size_t n_differ = 0;
    for (size_t i = 0; i < N_SENTENCES; i++) {
        const hdl_result *result;
        json_t *golden = json_loads(next_line(goldens, line, sizeof line), 0, NULL);
        cr_assert_not_null(golden);
        cr_assert_eq(hdl_ticket_wait(tickets[i], -1, &result), HDL_OK);
        cr_assert_eq(result->status, HDL_OK, "line %zu: %s", i, result->detail);
        compare(json_object_get(golden, name), &result->hypotheses[0], name, i, &n_differ);
        json_decref(golden);
        hdl_ticket_release(tickets[i]);
    }
    cr_expect(n_differ <= 2, "%zu lines differ", n_differ);      /* near-ties only: their scores were compared above */
    fclose(sources);
    fclose(goldens);
    close_engine(&e);
}

Test(model_goldens, greedy) { check_goldens("greedy", 1); }
Test(model_goldens, beam4) { check_goldens("beam4", 4); }

static void compare_logprobs(const json_t *wanted, const hdl_hypothesis *got, const char *what, size_t line)
{
    size_t i;
    json_t *value;
    cr_expect_eq(json_array_size(wanted), got->n_logprobs, "%s, line %zu", what, line);
    json_array_foreach(wanted, i, value)
        cr_expect(fabs(json_number_value(value) - (double)got->logprobs[i]) < BOUND, "%s, line %zu, token %zu: %f, wanted %f", what,
                  line, i, (double)got->logprobs[i], json_number_value(value));
}

/* Greedy tokens and forced reference translations, from an independent numpy forward pass. */
Test(model_goldens, numpy_reference)
{
    static char line[1 << 16];
    engine e = open_engine("models/en-de", NULL);
    FILE *file = open_file("tests/data/en-de/reference.jsonl");
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    search.beam = 1;
    search.min_length = HDL_OFF;
    size_t n = 0;
    for (; n < N_REFERENCES && fgets(line, sizeof line, file) != NULL; n++) {
        json_t *item = json_loads(line, 0, NULL);
        cr_assert_not_null(item);
        hdl_ticket *ticket;
        hdl_request r = text_request(json_string_value(json_object_get(item, "source")), &search);
        const hdl_result *result = run_request(&e, &r, &ticket);
        cr_expect_str_eq(result->hypotheses[0].text, json_string_value(json_object_get(item, "greedy")), "line %zu", n);
        compare_logprobs(json_object_get(item, "greedy_logprobs"), &result->hypotheses[0], "greedy", n);
        hdl_ticket_release(ticket);
        r.kind = HDL_REQUEST_SCORE;
        r.target = json_string_value(json_object_get(item, "reference"));
        r.n_target_bytes = strlen(r.target);
        result = run_request(&e, &r, &ticket);
        compare_logprobs(json_object_get(item, "reference_logprobs"), &result->hypotheses[0], "forced", n);
        hdl_ticket_release(ticket);
        json_decref(item);
    }
    cr_assert_eq(n, (size_t)N_REFERENCES);
    fclose(file);
    close_engine(&e);
}
