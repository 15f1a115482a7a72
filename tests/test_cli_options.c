/* test_cli_options.c - the table of options and what reads it: names, aliases, ranges, errors, help. */
#include "cli/cli_commands.h"
#include "cli/engine_setup.h"
#include "cli/model_lookup.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

enum { MOST_ARGUMENTS = 16 };

/* Splits "a b c" into words, as a shell would; returns how many. */
static int split(char *line, char *words[MOST_ARGUMENTS])
{
    int n = 0;
    for (char *word = strtok(line, " "); word && n < MOST_ARGUMENTS; word = strtok(NULL, " ")) words[n++] = word;
    return n;
}

static bool parse(unsigned command, const char *line, hdl__cli_options *options, char *error)
{
    static char copies[4][256];
    static int turn;
    char *words[MOST_ARGUMENTS];
    char *copy = copies[turn++ % 4];    /* values point into the arguments */
    snprintf(copy, sizeof copies[0], "%s", line);
    int n = split(copy, words);
    return hdl__cli_parse(command, n, words, options, error);
}

/* A value that every kind of option accepts in its range. */
static const char *some_value(const hdl__cli_option *option)
{
    static char number[32];
    const char *word;
    size_t n;
    switch (option->kind) {
    case HDL__OPTION_INT:
    case HDL__OPTION_SEED: snprintf(number, sizeof number, "%.0f", option->min < 1 ? 1.0 : option->min); return number;
    case HDL__OPTION_REAL: snprintf(number, sizeof number, "%g", (option->min + option->max) / 2); return number;
    case HDL__OPTION_CHOICE:
        hdl__cli_word(option->choices, 1, &word, &n);
        snprintf(number, sizeof number, "%.*s", (int)strcspn(word, " ="), word);
        return number;
    default: return "some-text";
    }
}

static bool stored(const hdl__cli_option *option, const hdl__cli_options *options)
{
    const void *field = (const char *)options + option->offset;
    switch (option->kind) {
    case HDL__OPTION_REAL: return *(const double *)field != 0;
    case HDL__OPTION_SEED: return *(const uint64_t *)field == 1;
    case HDL__OPTION_LIST: return ((const hdl__cli_list *)field)->n == 1;
    case HDL__OPTION_TEXT: return strcmp(*(const char *const *)field, "some-text") == 0;
    case HDL__OPTION_FLAG_TEXT: return *(const char *const *)field != NULL;
    default: return *(const int *)field == 1;
    }
}

static unsigned first_command(const hdl__cli_option *option)
{
    for (unsigned bit = 1; bit <= HDL__ALL; bit *= 2)
        if (option->commands & bit) return bit;
    return 0;
}

/* Reads `line` and expects that exactly this option was set by it. */
static void expect_set(const hdl__cli_option *option, const char *line)
{
    hdl__cli_options options;
    char error[HDL__CLI_ERROR_BYTES];
    cr_expect(parse(first_command(option), line, &options, error), "%s: %s", line, error);
    cr_expect(stored(option, &options), "%s did not reach its field", line);
    for (size_t o = 0; o < hdl__cli_option_count; ++o)
        cr_expect_eq(options.given[o], &hdl__cli_option_table[o] == option, "%s and --%s", line,
                     hdl__cli_option_table[o].name);
    cr_expect_eq(options.words.n, 0, "%s", line);
    hdl__cli_options_free(&options);
}

Test(cli_options, every_name_and_alias_in_every_spelling)
{
    char line[256];
    const char *alias;
    size_t n, n_names = 0;
    cr_assert_leq(hdl__cli_option_count, HDL__CLI_MAX_OPTIONS);
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        bool valued = option->kind != HDL__OPTION_FLAG && option->kind != HDL__OPTION_FLAG_TEXT;
        char names[256];
        snprintf(names, sizeof names, "%s %s", option->name, option->aliases);
        for (size_t i = 0; hdl__cli_word(names, i, &alias, &n); ++i, ++n_names) {
            const char *dashes = n == 1 ? "-" : "--";
            snprintf(line, sizeof line, "%s%.*s%s%s", dashes, (int)n, alias, valued ? " " : "",
                     valued ? some_value(option) : "");
            expect_set(option, line);
            if (option->kind != HDL__OPTION_FLAG) {
                snprintf(line, sizeof line, "%s%.*s=%s", dashes, (int)n, alias, some_value(option));
                expect_set(option, line);
            }
            for (char *c = line + 2; *c != '\0' && *c != ' ' && *c != '='; ++c)
                if (*c == '-') *c = '_';
            expect_set(option, line);
        }
    }
    cr_expect_geq(n_names, 90);
}

Test(cli_options, names_are_unique)
{
    const char *alias;
    size_t n;
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        cr_expect_eq(hdl__cli_find(option->name, strlen(option->name)), option, "--%s", option->name);
        for (size_t i = 0; hdl__cli_word(option->aliases, i, &alias, &n); ++i)
            cr_expect_eq(n == 1 ? hdl__cli_find_letter(alias[0]) : hdl__cli_find(alias, n), option, "%.*s", (int)n,
                         alias);
    }
}

/* What users of marian-decoder and ct2-translator type, and what it means here. */
Test(cli_options, foreign_names)
{
    static const struct { const char *foreign, *ours; } rows[] = {
        { "--beam-size", "beam" }, { "--beam_size", "beam" }, { "--normalize", "length-penalty" },
        { "--num_hypotheses", "n-best" }, { "--max_decoding_length", "max-length" }, { "--models", "model" },
        { "--min_decoding_length", "min-length" }, { "--compute_type", "compute" }, { "--src", "input" },
        { "--out", "output" }, { "--no_repeat_ngram_size", "no-repeat-ngram" }, { "--sampling_topk", "top-k" },
        { "--sampling_topp", "top-p" }, { "--sampling_temperature", "temperature" }, { "--use_vmap", "vocab-map" },
        { "--disable_unk", "no-unk" }, { "--suppress_sequences", "suppress" }, { "--cpu-threads", "threads" },
        { "--prefix_bias_beta", "prefix-bias" }, { "--return_alternatives", "alternatives" },
        { "--min_alternative_expansion_prob", "min-alternative-prob" }, { "--max_input_length", "max-source-length" },
        { "--return_end_token", "with-end-token" }, { "--inter_threads", "threads" },
        { "--mini-batch-words", "batch-tokens" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        const hdl__cli_option *option = hdl__cli_find(rows[i].foreign + 2, strlen(rows[i].foreign) - 2);
        cr_assert_not_null(option, "%s", rows[i].foreign);
        cr_expect_str_eq(option->name, rows[i].ours, "%s", rows[i].foreign);
    }
}

/* Exact messages: they are what a user sees. */
Test(cli_options, errors)
{
    static const struct { unsigned command; const char *line, *error; } rows[] = {
        { HDL__TRANSLATE, "--bean 3", "unknown option --bean; did you mean --beam?" },
        { HDL__TRANSLATE, "--bema=3", "unknown option --bema; did you mean --beam?" },
        { HDL__TRANSLATE, "--length-pen 1", "unknown option --length-pen; did you mean --length-penalty?" },
        { HDL__TRANSLATE, "--no_repeat_ngrams 1",
          "unknown option --no_repeat_ngrams; did you mean --no-repeat-ngram?" },
        { HDL__TRANSLATE, "--qqqqqqqq", "unknown option --qqqqqqqq" },
        { HDL__TRANSLATE, "-beam 4", "unknown option -beam; did you mean --beam?" },
        { HDL__TRANSLATE, "-x", "unknown option -x" },
        { HDL__TRANSLATE, "--beam", "option --beam needs a value" },
        { HDL__TRANSLATE, "--beam --json", "option --beam needs a value" },
        { HDL__TRANSLATE, "--beam=", "option --beam needs a value, not nothing" },
        { HDL__TRANSLATE, "--beam 0", "option --beam is a whole number from 1 to 64, not '0'" },
        { HDL__TRANSLATE, "--beam 65", "option --beam is a whole number from 1 to 64, not '65'" },
        { HDL__TRANSLATE, "-b 4x", "option -b is a whole number from 1 to 64, not '4x'" },
        { HDL__TRANSLATE, "-b 99999999999999999999",
          "option -b is a whole number from 1 to 64, not '99999999999999999999'" },
        { HDL__TRANSLATE, "--beam 2.5", "option --beam is a whole number from 1 to 64, not '2.5'" },
        { HDL__TRANSLATE, "--beam +4", "option --beam is a whole number from 1 to 64, not '+4'" },
        { HDL__TRANSLATE, "--length-penalty -1", "option --length-penalty is a number from 0 to 100, not '-1'" },
        { HDL__TRANSLATE, "--length-penalty nan", "option --length-penalty is a number from 0 to 100, not 'nan'" },
        { HDL__TRANSLATE, "--length-penalty 0x1", "option --length-penalty is a number from 0 to 100, not '0x1'" },
        { HDL__TRANSLATE, "--length-penalty 1e999", "option --length-penalty is a number from 0 to 100, not '1e999'" },
        { HDL__TRANSLATE, "--top-p 0", "option --top-p is a number above 0 to 1, not '0'" },
        { HDL__TRANSLATE, "--top-p 1e-99", "option --top-p is a number above 0 to 1, not '1e-99'" },
        { HDL__TRANSLATE, "--prefix-bias 1", "option --prefix-bias is a number above 0 and below 1, not '1'" },
        { HDL__TRANSLATE, "--prefix-bias 0.99999999999",
          "option --prefix-bias is a number above 0 and below 1, not '0.99999999999'" },
        { HDL__TRANSLATE, "--seed -1", "option --seed is a whole number from 0 to 18446744073709551615, not '-1'" },
        { HDL__TRANSLATE, "--compute fp8", "option --compute is auto|f32|bf16|f16|int8, not 'fp8'" },
        { HDL__TRANSLATE, "--json=yes", "option --json takes no value, but has 'yes'" },
        { HDL__TRANSLATE, "--svg x", "option --svg does not belong to this command" },
        { HDL__SCORE, "--beam 4", "option --beam does not belong to this command" },
        { HDL__ALIGN, "--layer -1", "option --layer is a whole number from 0 to 1023 or last, not '-1'" },
        { HDL__ALIGN, "--head median", "option --head is a whole number from 0 to 1023 or mean, not 'median'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        hdl__cli_options options;
        char error[HDL__CLI_ERROR_BYTES];
        cr_expect_not(parse(rows[i].command, rows[i].line, &options, error), "%s", rows[i].line);
        cr_expect_str_eq(error, rows[i].error, "%s: %s", rows[i].line, error);
        hdl__cli_options_free(&options);
    }
}

Test(cli_options, values)
{
    hdl__cli_options o;
    char error[HDL__CLI_ERROR_BYTES];
    const char *line = "-b6 -n=0.6 --compute=FLOAT32 --stop all --seed 18446744073709551615";
    cr_assert(parse(HDL__TRANSLATE, line, &o, error), "%s", error);
    cr_expect_eq(o.beam, 6);
    cr_expect_eq(o.length_penalty, 0.6);
    cr_expect_eq(o.compute, HDL__COMPUTE_F32);
    cr_expect_eq(o.stop, 2);
    cr_expect_eq(o.seed, UINT64_MAX);
    hdl__cli_options_free(&o);

    line = "a - --end-token x --beam 3 --end-token=y -b 5 -- --json -b";
    cr_assert(parse(HDL__TRANSLATE, line, &o, error), "%s", error);
    cr_assert_eq(o.words.n, 4);
    cr_expect_str_eq(o.words.items[1], "-");
    cr_expect_str_eq(o.words.items[3], "-b");
    cr_assert_eq(o.end_tokens.n, 2);
    cr_expect_str_eq(o.end_tokens.items[1], "y");
    cr_expect_eq(o.beam, 5, "the last one counts");
    cr_expect_eq(o.json, 0, "after -- nothing is an option");
    hdl__cli_options_free(&o);

    cr_assert(parse(HDL__TRANSLATE, "--vocab-map", &o, error));
    cr_expect_str_eq(o.vocab_map, "");
    hdl__cli_options_free(&o);
    cr_assert(parse(HDL__TRANSLATE, "--vocab-map=f", &o, error));
    cr_expect_str_eq(o.vocab_map, "f");
    hdl__cli_options_free(&o);

    cr_assert(parse(HDL__ALIGN, "", &o, error));
    cr_expect(o.layer == -1 && o.head == -1);
    hdl__cli_options_free(&o);
    cr_assert(parse(HDL__ALIGN, "--layer 0 --head mean", &o, error));
    cr_expect(o.layer == 0 && o.head == -1);
    hdl__cli_options_free(&o);
}

/* A zero that was asked for is not the library's "default". */
Test(cli_options, zero_is_not_default)
{
    static const struct { const char *line; float penalty; int32_t least; float temperature; } rows[] = {
        { "", 0, 0, 0 },
        { "--length-penalty 0 --min-length 0 --temperature 0", HDL_OFF, HDL_OFF, HDL_OFF },
        { "--length-penalty 0.5 --min-length 3 --temperature 2", 0.5f, 3, 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        hdl__cli_options options;
        hdl_search_options search;
        char error[HDL__CLI_ERROR_BYTES];
        cr_assert(parse(HDL__TRANSLATE, rows[i].line, &options, error), "%s", error);
        hdl__engine_search_options(&options, &search);
        cr_expect_eq(search.length_penalty, rows[i].penalty, "%s", rows[i].line);
        cr_expect_eq(search.min_length, rows[i].least, "%s", rows[i].line);
        cr_expect_eq(search.temperature, rows[i].temperature, "%s", rows[i].line);
        hdl__cli_options_free(&options);
    }
}

/* Distances worked out by hand; the swap of neighbours counts as one change. */
Test(cli_options, distance)
{
    static const struct { const char *a, *b; size_t changes; } rows[] = {
        { "", "", 0 }, { "beam", "beam", 0 }, { "", "beam", 4 }, { "beam", "bean", 1 }, { "beam", "bema", 1 },
        { "beam", "bea", 1 }, { "beam", "bbeam", 1 }, { "kitten", "sitting", 3 }, { "abcd", "badc", 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        cr_expect_eq(hdl__cli_distance(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b)), rows[i].changes,
                     "%s %s", rows[i].a, rows[i].b);
        cr_expect_eq(hdl__cli_distance(rows[i].b, strlen(rows[i].b), rows[i].a, strlen(rows[i].a)), rows[i].changes);
    }
    char huge[200];
    memset(huge, 'a', sizeof huge);
    cr_expect_null(hdl__cli_nearest_option(HDL__ALL, huge, sizeof huge));
}

Test(cli_options, nearest_command)
{
    static const struct { const char *typed, *nearest; } rows[] = {
        { "transalte", "translate" }, { "tranlsate", "translate" }, { "trans", "translate" }, { "inspekt", "inspect" },
        { "devcies", "devices" }, { "hlep", "help" }, { "banana", NULL }, { "x", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        const char *nearest = hdl__cli_nearest_command(rows[i].typed);
        const char *wanted = rows[i].nearest ? rows[i].nearest : "none";
        cr_expect_str_eq(nearest ? nearest : "none", wanted, "%s", rows[i].typed);
    }
}

/* Help and manual name every option of a command and no other; help fits 80 columns. */
Test(cli_options, help_and_manual_follow_the_table)
{
    for (size_t c = 0; c < hdl__cli_command_count; ++c) {
        const hdl__cli_command *command = &hdl__cli_command_table[c];
        hdl__cli_text help = { 0 }, man = { 0 };
        hdl__cli_help_command(command, &help);
        hdl__cli_man_command(command, &man);
        cr_assert(help.data && man.data && !help.failed && !man.failed);
        for (size_t o = 0; o < hdl__cli_option_count; ++o) {
            const hdl__cli_option *option = &hdl__cli_option_table[o];
            char shown[64];
            snprintf(shown, sizeof shown, "  --%s", option->name);
            char shown_after[64];
            snprintf(shown_after, sizeof shown_after, ", --%s", option->name);
            bool found = false;
            for (const char *names[] = { shown, shown_after }, **name = names; name < names + 2; ++name)
                for (const char *at = help.data; (at = strstr(at, *name)) != NULL; ++at)
                    found = found || strchr(" \n[", at[strlen(*name)]) != NULL;
            cr_expect_eq(found, (option->commands & command->bit) != 0, "%s --%s", command->name, option->name);
        }
        for (const char *line = help.data; *line != '\0'; line += strcspn(line, "\n") + 1)
            if (strncmp(line, "      ", 6) != 0 && strncmp(line, "  heddle", 8) != 0)    /* examples are not wrapped */
                cr_expect_leq(strcspn(line, "\n"), 80, "%s: %.90s", command->name, line);
        cr_expect_eq(strncmp(man.data, ".Dd ", 4), 0);
        hdl__cli_text_free(&help);
        hdl__cli_text_free(&man);
    }
}

Test(cli_options, model_lookup)
{
    hdl__cli_text path = { 0 };
    cr_expect_eq(hdl__model_lookup_name(NULL, "/no/such/place/heddle", &path), HDL__EXIT_FAILED);
    hdl__cli_text_free(&path);
    cr_expect_eq(hdl__model_lookup_name(NULL, HEDDLE_SOURCE_DIR "/tests/heddle", &path), HDL__EXIT_DONE);
    cr_assert_not_null(path.data);
    cr_expect_str_eq(path.data, HEDDLE_SOURCE_DIR "/tests/../models/en-de");
    hdl__cli_text_free(&path);
    cr_expect_eq(hdl__model_lookup_name("en-de", HEDDLE_SOURCE_DIR "/tests/heddle", &path), HDL__EXIT_DONE);
    hdl__cli_text_free(&path);
    cr_expect_eq(hdl__model_lookup_name("de-xx", HEDDLE_SOURCE_DIR "/tests/heddle", &path), HDL__EXIT_FAILED);
    hdl__cli_text_free(&path);
    const char *text_file = HEDDLE_SOURCE_DIR "/tests/test_cli_options.c";
    cr_expect_eq(hdl__model_lookup_name(text_file, "/x/heddle", &path), HDL__EXIT_USAGE);
    hdl__cli_text_free(&path);
    cr_expect_eq(hdl__model_lookup_name("/no/such/place", "/x/heddle", &path), HDL__EXIT_FAILED);
    hdl__cli_text_free(&path);
}

Test(cli_options, refusals_name_options)
{
    static const struct { const char *detail, *words; } rows[] = {
        { "n_best = 9, allowed 1 to 4: round(beam * patience)", "option --n-best: 9, allowed 1 to 4: round(beam * patience)" },
        { "min_length = 20 is above max_length = 5", "option --min-length: 20 is above --max-length 5" },
        { "use_vocab_map = 1: the model has none", "option --vocab-map: the model has none" },
        { "layer = 5, allowed -1 to 1", "option --layer: 5, allowed -1 to 1" },
        { "max_queue = 0, allowed 1 or more", "max_queue = 0, allowed 1 or more" },    /* no option sets it */
        { "gemm: K = 3, beam", "gemm: K = 3, beam" },
        { "end token \"x\" is not in the target vocabulary", "end token \"x\" is not in the target vocabulary" },
        { "", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl__cli_text words = { 0 };
        hdl__cli_refusal_words(rows[i].detail, &words);
        if (rows[i].words == NULL) cr_expect_null(words.data);
        else cr_expect_str_eq(words.data, rows[i].words);
        hdl__cli_text_free(&words);
    }
}
