/* engine_fixture.c - models, requests and JSON goldens for the engine's tests. */
#include "engine_fixture.h"

#include <stdio.h>
#include <string.h>

static void repository_path(const char *path, char *out, size_t room)
{
    snprintf(out, room, "%s/%s", HEDDLE_SOURCE_DIR, path);
}

engine open_engine(const char *path, const hdl_translator_options *options)
{
    engine e = {0};
    char full[1024];
    hdl_translator_options defaults = HDL_TRANSLATOR_OPTIONS_INIT;
    defaults.device = "cpu";
    defaults.threads = 1;
    defaults.compute = HDL_COMPUTE_F32;     /* as the goldens; the default is bf16 where the processor has tiles */
    repository_path(path, full, sizeof full);
    cr_assert_eq(hdl_model_load(full, NULL, &e.model), HDL_OK, "%s: %s", path, hdl_error_detail());
    cr_assert_eq(hdl_translator_open(e.model, options != NULL ? options : &defaults, &e.translator), HDL_OK, "%s: %s",
                 path, hdl_error_detail());
    return e;
}

void close_engine(engine *e)
{
    cr_assert_eq(hdl_translator_close(e->translator, 0), HDL_OK, "%s", hdl_error_detail());
    hdl_model_close(e->model);
}

void list_json(const json_t *array, token_list *out)
{
    size_t i;
    json_t *item;
    out->n = 0;
    json_array_foreach(array, i, item) {
        cr_assert(out->n < MOST_TOKENS);
        out->items[out->n++] = json_string_value(item);
    }
}

void list_characters(const char *word, char *bytes, size_t room, token_list *out)
{
    out->n = 0;
    for (size_t i = 0, at = 0; word[i] != '\0';) {
        size_t length = 1;
        while (((unsigned char)word[i + length] & 0xC0) == 0x80) length++;
        cr_assert(at + length + 1 <= room && out->n < MOST_TOKENS);
        memcpy(bytes + at, word + i, length);
        bytes[at + length] = '\0';
        out->items[out->n++] = bytes + at;
        at += length + 1;
        i += length;
    }
}

hdl_request token_request(const token_list *source)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.tokens = source->items;
    r.n_tokens = source->n;
    r.split = HDL_SPLIT_NEVER;
    r.wait = 1;
    return r;
}

const hdl_result *run_request(const engine *e, const hdl_request *request, hdl_ticket **ticket)
{
    const hdl_result *result = NULL;
    cr_assert_eq(hdl_translator_submit(e->translator, request, ticket), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_ticket_wait(*ticket, -1, &result), HDL_OK, "%s", hdl_error_detail());
    return result;
}

json_t *load_json(const char *path)
{
    char full[1024];
    json_error_t error;
    repository_path(path, full, sizeof full);
    json_t *root = json_load_file(full, 0, &error);
    cr_assert_not_null(root, "%s: %s", path, error.text);
    return root;
}

double number_of(const json_t *object, const char *name) { return json_number_value(json_object_get(object, name)); }

/* A value of `object`, else of `base`. */
static const json_t *option_of(const json_t *base, const json_t *object, const char *name)
{
    const json_t *own = json_object_get(object, name);
    return own != NULL ? own : json_object_get(base, name);
}

static double real_option(const json_t *base, const json_t *object, const char *name)
{
    return json_number_value(option_of(base, object, name));
}

static void read_lists(const json_t *base, const json_t *object, option_store *store, hdl_search_options *out)
{
    size_t i, j, at = 0;
    json_t *sequence, *token;
    list_json(option_of(base, object, "end_tokens"), &store->ends);
    out->end_tokens = store->ends.items;
    out->n_end_tokens = store->ends.n;
    store->suppress.n = 0;
    json_array_foreach(option_of(base, object, "suppress"), i, sequence) {
        store->suppress.items[store->suppress.n++] = store->text + at;
        json_array_foreach(sequence, j, token)
            at += (size_t)snprintf(store->text + at, sizeof store->text - at, "%s%s", j > 0 ? " " : "",
                                   json_string_value(token));
        at++;
    }
    out->suppress = store->suppress.items;
    out->n_suppress = store->suppress.n;
}

void read_options(const json_t *base, const json_t *object, option_store *store, hdl_search_options *out)
{
    const hdl_search_options defaults = HDL_SEARCH_OPTIONS_INIT;
    const char *stop = json_string_value(option_of(base, object, "stop"));
    const char *norm = json_string_value(option_of(base, object, "length_norm"));
    const int alternatives = (int)real_option(base, object, "alternatives");
    *out = defaults;
    out->beam = (int32_t)real_option(base, object, "beam");
    out->n_best = alternatives > 0 ? alternatives : (int32_t)real_option(base, object, "n_best");
    out->alternatives = alternatives > 0;
    out->length_penalty = (float)real_option(base, object, "length_penalty");
    if (out->length_penalty == 0.0f) out->length_penalty = HDL_OFF;
    out->length_norm = norm != NULL && strcmp(norm, "gnmt") == 0 ? HDL_LENGTH_GNMT : HDL_LENGTH_POWER;
    out->coverage_penalty = (float)real_option(base, object, "coverage_penalty");
    out->repetition_penalty = (float)real_option(base, object, "repetition_penalty");
    out->no_repeat_ngram = (int32_t)real_option(base, object, "no_repeat_ngram");
    out->patience = (float)real_option(base, object, "patience");
    out->stop = strcmp(stop, "bound") == 0 ? HDL_STOP_BOUND : strcmp(stop, "all") == 0 ? HDL_STOP_ALL : HDL_STOP_COUNT;
    out->min_length = (int32_t)real_option(base, object, "min_length");
    if (out->min_length == 0) out->min_length = HDL_OFF;
    out->max_length = (int32_t)real_option(base, object, "max_length");
    out->prefix_bias = (float)real_option(base, object, "prefix_bias");
    out->min_alternative_prob = (float)real_option(base, object, "min_alternative_prob");
    out->no_unknown = json_is_true(option_of(base, object, "no_unk"));
    out->use_vocab_map = option_of(base, object, "vocab_map") != NULL;
    read_lists(base, object, store, out);
}

bool same_tokens(const json_t *wanted, const hdl_hypothesis *got)
{
    token_list tokens;
    list_json(json_object_get(wanted, "tokens"), &tokens);
    if (tokens.n != got->n_tokens) return false;
    for (size_t i = 0; i < tokens.n; i++)
        if (strcmp(tokens.items[i], got->tokens[i]) != 0) return false;
    return true;
}

const char *joined(const hdl_hypothesis *h)
{
    static char text[16384];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < h->n_tokens && at + 64 < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? " " : "", h->tokens[i]);
    return text;
}
