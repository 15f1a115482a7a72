/* engine_setup.c - from the options of the command line to a loaded model and an open translator. */
#include "engine_setup.h"
#include "line_reader.h"
#include "model_lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY_BEAM 16             /* max_beam's default, translator.h */
#define LIBRARY_POSITIONS 1024      /* max_positions' default, translator.h */

static void warn_from_library(hdl_log_level level, const char *line, void *user)
{
    (void)user;
    if (level == HDL_LOG_WARNING) hdl__cli_warn("%s", line);
}

int hdl__engine_model_word(hdl__cli_options *options)
{
    if (options->words.n == 0) return HDL__EXIT_DONE;
    if (options->model)
        return hdl__cli_misuse("the model is given twice, '%s' and --model %s", options->words.items[0],
                               options->model);
    options->model = options->words.items[0];
    return HDL__EXIT_DONE;
}

/* 0 asks the library for its default, so a zero that was asked for has a value of its own. */
static float or_off(const hdl__cli_options *options, const char *name, double value)
{
    return hdl__cli_given(options, name) && value <= 0 ? (float)HDL_OFF : (float)value;
}

void hdl__engine_search_options(const hdl__cli_options *options, hdl_search_options *search)
{
    *search = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    search->beam = options->beam;
    search->n_best = options->n_best;
    search->length_penalty = or_off(options, "length-penalty", options->length_penalty);
    search->length_norm = options->length_norm == 0 ? HDL_LENGTH_POWER : HDL_LENGTH_GNMT;
    search->coverage_penalty = (float)options->coverage_penalty;
    search->repetition_penalty = (float)options->repetition_penalty;
    search->no_repeat_ngram = options->no_repeat_ngram;
    search->patience = (float)options->patience;
    search->stop = options->stop == 0 ? HDL_STOP_COUNT : options->stop == 1 ? HDL_STOP_BOUND : HDL_STOP_ALL;
    search->min_length = (int32_t)or_off(options, "min-length", options->min_length);
    search->max_length = options->max_length;
    search->prefix_bias = (float)options->prefix_bias;
    search->alternatives = options->alternatives;
    search->min_alternative_prob = (float)options->min_alternative_prob;
    search->sample = options->sample;
    search->top_k = options->top_k;
    search->top_p = (float)options->top_p;
    search->temperature = or_off(options, "temperature", options->temperature);
    search->seed = options->seed;
    search->no_unknown = options->no_unk;
    search->use_vocab_map = options->vocab_map != NULL;
    search->end_tokens = options->end_tokens.items;
    search->n_end_tokens = options->end_tokens.n;
    search->with_end_token = options->with_end_token;
    search->replace_unknowns = options->replace_unknowns;
    search->alignment = options->alignment != HDL__ALIGNMENT_NONE;
}

/* What the model's own files say about an option, as a number; 0: nothing. */
static int model_default(const hdl_model *model, const char *wanted)
{
    const char *name, *value, *file;
    for (int i = 0; model && hdl_model_default(model, i, &name, &value, &file); ++i)
        if (strcmp(name, wanted) == 0) return (int)strtol(value, NULL, 10);
    return 0;
}

static int larger(int a, int b) { return a > b ? a : b; }

void hdl__engine_translator_options(hdl__engine *engine, const hdl__cli_options *options,
                                    hdl_translator_options *translator)
{
    static const hdl_compute computes[] = {
        [HDL__COMPUTE_AUTO] = HDL_COMPUTE_AUTO,
        [HDL__COMPUTE_F32] = HDL_COMPUTE_F32,
        [HDL__COMPUTE_BF16] = HDL_COMPUTE_BF16,
        [HDL__COMPUTE_F16] = HDL_COMPUTE_F16,
        [HDL__COMPUTE_INT8] = HDL_COMPUTE_INT8,
    };
    static const hdl_products products[] = {
        [HDL__PRODUCTS_AUTO] = HDL_PRODUCTS_AUTO,
        [HDL__PRODUCTS_OWN] = HDL_PRODUCTS_OWN,
        [HDL__PRODUCTS_ONEDNN] = HDL_PRODUCTS_ONEDNN,
        [HDL__PRODUCTS_CUBLASLT] = HDL_PRODUCTS_CUBLASLT,
    };
    engine->places = (hdl_device_options)HDL_DEVICE_OPTIONS_INIT;
    engine->places.products = products[options->products];
    *translator = (hdl_translator_options)HDL_TRANSLATOR_OPTIONS_INIT;
    translator->device = options->device;
    translator->device_options = &engine->places;
    translator->compute = computes[options->compute];
    translator->threads = options->threads;
    translator->max_rows = options->max_rows;
    translator->batch_tokens = options->batch_tokens;
    translator->trace = options->trace;
    int beam = options->beam ? options->beam : model_default(engine->model, "beam");
    translator->max_beam = larger(LIBRARY_BEAM, larger(beam, options->n_best));
    int positions = larger(options->max_length, options->max_source_length);
    translator->max_positions = positions > LIBRARY_POSITIONS ? positions : 0;
    /* The table allows 4096 rows at most, and one row is enough unless a beam needs more. */
    if (translator->max_rows && translator->max_rows < translator->max_beam)
        translator->max_beam = larger(larger(beam, options->n_best), 1);
}

/* Adds one line of the suppress file: its tokens joined by single spaces, then NUL. False: it has none. */
static bool add_sequence(hdl__cli_text *text, const char *line, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        while (i + length < n && line[i + length] != ' ') ++length;
        if (length > 0) {
            if (any) hdl__cli_text_add(text, " ", 1);
            hdl__cli_text_add(text, line + i, length);
            any = true;
        }
        i += length + 1;
    }
    if (any) hdl__cli_text_add(text, "", 1);
    return any;
}

static int read_suppress(hdl__engine *engine, const char *path)
{
    hdl__reader reader;
    const char *line;
    size_t n, n_sequences = 0;
    if (!hdl__reader_open(&reader, path)) return hdl__cli_error("cannot open %s: %s", path, strerror(errno));
    hdl__line got;
    while ((got = hdl__reader_next(&reader, &line, &n)) == HDL__LINE_OK)
        n_sequences += add_sequence(&engine->suppress, line, n);
    int code = got == HDL__LINE_ERROR ? hdl__cli_error("%s", reader.error) : HDL__EXIT_DONE;
    hdl__reader_close(&reader);
    if (code != HDL__EXIT_DONE || n_sequences == 0) return code;
    engine->suppress_items = calloc(n_sequences, sizeof *engine->suppress_items);
    if (!engine->suppress_items || engine->suppress.failed) return hdl__cli_error("out of memory");
    const char *at = engine->suppress.data;
    for (size_t i = 0; i < n_sequences; ++i, at += strlen(at) + 1) engine->suppress_items[i] = at;
    engine->search.suppress = engine->suppress_items;
    engine->search.n_suppress = n_sequences;
    return HDL__EXIT_DONE;
}

int hdl__engine_load(hdl__engine *engine, const hdl__cli_options *options)
{
    *engine = (hdl__engine){ 0 };
    hdl_log_set(warn_from_library, HDL_LOG_WARNING, NULL);
    int code = hdl__model_lookup(options, &engine->path);
    if (code != HDL__EXIT_DONE) return code;
    if (engine->path.failed) return hdl__cli_error("out of memory");
    hdl_model_options wanted = HDL_MODEL_OPTIONS_INIT;
    wanted.source_spm = options->source_spm;
    wanted.target_spm = options->target_spm;
    wanted.spm = options->spm;
    wanted.vocab_map = options->vocab_map && options->vocab_map[0] != '\0' ? options->vocab_map : NULL;
    wanted.tokens_only = options->tokens;
    hdl_status status = hdl_model_load(engine->path.data, &wanted, &engine->model);
    return status == HDL_OK ? HDL__EXIT_DONE : hdl__cli_failed(status);
}

/* f16 is a matter of GPUs: asked for by name on the CPU, or on "auto" where that is the CPU, it is wrong usage. */
static bool is_f16_on_cpu(const hdl__engine *engine, const hdl__cli_options *options)
{
    hdl_device *device = NULL;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    if (options->compute != HDL__COMPUTE_F16) return false;
    if (hdl_device_open(options->device ? options->device : "auto", &engine->places, &device) != HDL_OK) return false;
    const bool cpu = hdl_device_describe(device, &info) == HDL_OK && info.kind == HDL_DEVICE_CPU;
    hdl_device_close(device);
    return cpu;
}

int hdl__engine_refused(const hdl__engine *engine, const hdl__cli_options *options, hdl_status status)
{
    if (status == HDL_ENOSUPPORT && is_f16_on_cpu(engine, options))
        return hdl__cli_misuse("option --compute: f16 on the device cpu, allowed there auto, f32, bf16, int8");
    return hdl__cli_refused(status);
}

int hdl__engine_open(hdl__engine *engine, const hdl__cli_options *options)
{
    hdl__engine_search_options(options, &engine->search);
    if (options->suppress) {
        int code = read_suppress(engine, options->suppress);
        if (code != HDL__EXIT_DONE) return code;
    }
    hdl_translator_options wanted;
    hdl__engine_translator_options(engine, options, &wanted);
    if (wanted.max_rows && wanted.max_rows < wanted.max_beam)
        return hdl__cli_misuse("option --max-rows: %d rows are fewer than the %d hypotheses of --beam or --n-best",
                               wanted.max_rows, wanted.max_beam);
    hdl_status status = hdl_translator_open(engine->model, &wanted, &engine->translator);
    if (status != HDL_OK) return hdl__engine_refused(engine, options, status);
    status = hdl_translator_check(engine->translator, &engine->search);
    return status == HDL_OK ? HDL__EXIT_DONE : hdl__cli_refused(status);
}

int hdl__engine_close(hdl__engine *engine)
{
    const hdl_status status = hdl_translator_close(engine->translator, 0);
    const int code = status == HDL_OK ? HDL__EXIT_DONE : hdl__cli_failed(status);
    hdl_model_close(engine->model);
    hdl__cli_text_free(&engine->path);
    hdl__cli_text_free(&engine->suppress);
    free((void *)engine->suppress_items);
    *engine = (hdl__engine){ 0 };
    return code;
}
