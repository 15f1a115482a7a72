/* cmd_inspect.c - heddle inspect: what a model is, what it needs, and where the search's values come from. */
#include "cli_commands.h"
#include "engine_setup.h"
#include "json_text.h"

#include <string.h>

typedef struct report {
    const hdl__cli_options *options;
    const hdl_model        *model;
    const char             *path;
    hdl_model_info          info;
    uint64_t                memory_bytes;
} report;

/* The field of an option that stood on the command line, as text. */
static void put_field(const hdl__cli_option *option, const hdl__cli_options *options, hdl__cli_text *text)
{
    const void *field = (const char *)options + option->offset;
    const char *word;
    size_t n;
    if (option->kind == HDL__OPTION_REAL) {
        hdl__cli_text_printf(text, "%g", *(const double *)field);
    } else if (option->kind == HDL__OPTION_CHOICE) {
        if (hdl__cli_word(option->choices, (size_t)*(const int *)field, &word, &n)) hdl__cli_text_add(text, word, n);
    } else {
        hdl__cli_text_printf(text, "%d", *(const int *)field);
    }
}

/* Value and origin of one option of the search. The value is added to `text`. */
static const char *find_value(const report *r, const hdl__cli_option *option, hdl__cli_text *text)
{
    const char *name, *value, *file;
    if (hdl__cli_given(r->options, option->name)) {
        put_field(option, r->options, text);
        return "command line";
    }
    for (int i = 0; hdl_model_default(r->model, i, &name, &value, &file); ++i) {
        if (strcmp(name, option->name) != 0) continue;
        hdl__cli_text_puts(text, value);
        return file;
    }
    hdl__cli_text_puts(text, option->initial ? option->initial : "");
    return "heddle";
}

static bool is_shown(const hdl__cli_option *option)
{
    return option->group == HDL__GROUP_SEARCH && (option->commands & HDL__INSPECT);
}

static json_t *defaults_json(const report *r)
{
    json_t *object = json_object();
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        if (!is_shown(option)) continue;
        hdl__cli_text value = { 0 };
        const char *origin = find_value(r, option, &value);
        json_t *entry = json_object();
        json_object_set_new(entry, "value", hdl__json_string(value.data ? value.data : ""));
        json_object_set_new(entry, "from", hdl__json_string(origin));
        json_object_set_new(object, option->name, entry);
        hdl__cli_text_free(&value);
    }
    return object;
}

/* Names, numbers and texts of a model in the order they are shown; one table for people and for JSON. */
typedef struct fact {
    const char *name, *label;
    const char *text;       /* NULL: the number */
    uint64_t    number;
} fact;

enum { FACTS = 24 };

static size_t list_facts(const report *r, fact facts[FACTS])
{
    const hdl_model_info *i = &r->info;
    const fact all[] = {
        { "model", "Model", r->path, 0 },
        { "format", "Format", i->format, 0 },
        { "weights_dtype", "Weights", i->weights_dtype, 0 },
        { "parameters", "Parameters", NULL, i->n_parameters },
        { "weight_bytes", "Bytes of weights as stored", NULL, i->weight_bytes },
        { "memory_bytes", "Bytes of memory asked for, at most", NULL, r->memory_bytes },
        { "encoder_layers", "Encoder layers", NULL, (uint64_t)i->encoder_layers },
        { "decoder_layers", "Decoder layers", NULL, (uint64_t)i->decoder_layers },
        { "d_model", "Model width", NULL, (uint64_t)i->d_model },
        { "encoder_heads", "Encoder heads", NULL, (uint64_t)i->encoder_heads },
        { "decoder_heads", "Decoder heads", NULL, (uint64_t)i->decoder_heads },
        { "encoder_ffn", "Encoder feed-forward width", NULL, (uint64_t)i->encoder_ffn },
        { "decoder_ffn", "Decoder feed-forward width", NULL, (uint64_t)i->decoder_ffn },
        { "activation", "Activation", i->activation, 0 },
        { "norm_order", "Normalisation", i->norm_order, 0 },
        { "positions", "Positions", i->positions, 0 },
        { "max_positions", "Positions at most (0: no limit)", NULL, (uint64_t)i->max_positions },
        { "max_source_length", "Recommended piece, tokens", NULL, (uint64_t)i->max_source_length },
        { "source_vocabulary", "Source vocabulary", NULL, (uint64_t)i->source_vocabulary },
        { "target_vocabulary", "Target vocabulary", NULL, (uint64_t)i->target_vocabulary },
        { "tokenizer", "Tokenizer", i->tokenizer, 0 },
        { "vocab_map", "Vocabulary map", i->has_vocab_map ? "yes" : "no", 0 },
    };
    _Static_assert(sizeof all / sizeof all[0] <= FACTS, "the caller's table would be too small");
    memcpy(facts, all, sizeof all);
    return sizeof all / sizeof all[0];
}

/* The special tokens with their ids, of the target vocabulary. */
static json_t *special_json(const report *r)
{
    const struct { const char *name; int32_t id; } all[] = {
        { "start", r->info.start_id },
        { "end", r->info.end_id },
        { "unknown", r->info.unknown_id },
        { "pad", r->info.pad_id },
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) {
        const char *token = all[i].id >= 0 ? hdl_tokenizer_token(hdl_model_tokenizer(r->model, 1), all[i].id) : NULL;
        if (!token) continue;
        json_t *entry = json_object();
        json_object_set_new(entry, "token", hdl__json_string(token));
        json_object_set_new(entry, "id", json_integer(all[i].id));
        json_object_set_new(object, all[i].name, entry);
    }
    return object;
}

static void put_json(const report *r, hdl__cli_text *text)
{
    fact facts[FACTS];
    size_t n = list_facts(r, facts);
    json_t *object = json_object();
    for (size_t i = 0; i < n; ++i)
        json_object_set_new(object, facts[i].name, facts[i].text ? hdl__json_string(facts[i].text)
                                                                 : json_integer((json_int_t)facts[i].number));
    json_object_set_new(object, "special_tokens", special_json(r));
    json_object_set_new(object, "defaults", defaults_json(r));
    if (!hdl__json_put(object, false, text)) text->failed = true;
}

static void put_people(const report *r, hdl__cli_text *text)
{
    fact facts[FACTS];
    size_t n = list_facts(r, facts);
    for (size_t i = 0; i < n; ++i) {
        hdl__cli_text_printf(text, "%-36s", facts[i].label);
        if (facts[i].text) hdl__cli_text_printf(text, "%s\n", facts[i].text);
        else hdl__cli_text_printf(text, "%llu\n", (unsigned long long)facts[i].number);
    }
    json_t *special = special_json(r), *entry;
    const char *name;
    json_object_foreach(special, name, entry) {
        const char *token = json_string_value(json_object_get(entry, "token"));
        hdl__cli_text_printf(text, "Token of %-24s%s (%lld)\n", name, token ? token : "",
                             (long long)json_integer_value(json_object_get(entry, "id")));
    }
    json_decref(special);
    hdl__cli_text_puts(text, "\nSearch, with where each value comes from:\n");
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        if (!is_shown(option)) continue;
        hdl__cli_text value = { 0 };
        const char *origin = find_value(r, option, &value);
        hdl__cli_text_printf(text, "  --%-20s %-28s %s\n", option->name, value.data ? value.data : "", origin);
        hdl__cli_text_free(&value);
    }
}

int hdl__cmd_inspect(const hdl__cli_options *options)
{
    hdl__cli_options wanted = *options;
    hdl__engine engine = { 0 };
    hdl__cli_text text = { 0 };
    report r = { .options = options, .info = HDL_MODEL_INFO_INIT };
    int code = hdl__engine_model_word(&wanted);
    if (code == HDL__EXIT_DONE) code = hdl__engine_load(&engine, &wanted);
    if (code == HDL__EXIT_DONE) {
        hdl_translator_options translator;
        hdl__engine_translator_options(&engine, &wanted, &translator);
        r.model = engine.model;
        r.path = engine.path.data;
        hdl_status status = hdl_model_describe(engine.model, &r.info);
        if (status == HDL_OK) status = hdl_translator_bytes(engine.model, &translator, &r.memory_bytes);
        if (status != HDL_OK) code = hdl__engine_refused(&engine, &wanted, status);
    }
    if (code == HDL__EXIT_DONE) {
        if (options->json) put_json(&r, &text);
        else put_people(&r, &text);
        code = hdl__output_print(&text);
    }
    hdl__engine_close(&engine);
    return code;
}
