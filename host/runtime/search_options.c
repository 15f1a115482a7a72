/* search_options.c - hdl_search_options against the model: defaults, ranges, token names to ids. */
#include "base/struct_args.h"
#include "runtime/translator_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BEAM 4

/* A decoding default of the model's own files as a number; false: the files do not give it. */
static bool find_default(const hdl_model *model, const char *name, double *value)
{
    const char *found, *text;
    for (int i = 0; hdl_model_default(model, i, &found, &text, NULL); i++) {
        if (strcmp(found, name) != 0) continue;
        char *end;
        *value = strtod(text, &end);
        return end != text && *end == '\0' && isfinite(*value);
    }
    return false;
}

static int32_t resolve_beam(const hdl_model *model, const hdl_search_options *o)
{
    double value;
    if (o->beam != 0) return o->beam;
    if (o->sample) return 1;
    return find_default(model, "beam", &value) && value >= 1 && value <= HDL_MAX_BEAM ? (int32_t)value : DEFAULT_BEAM;
}

static float resolve_length_penalty(const hdl_model *model, const hdl_search_options *o)
{
    double value;
    if (o->length_penalty == (float)HDL_OFF) return 0.0f;
    if (o->length_penalty != 0.0f) return o->length_penalty;
    return find_default(model, "length-penalty", &value) && value >= 0 ? (float)value : 1.0f;
}

static int32_t resolve_max_length(const hdl_model *model, const hdl_search_options *o, int32_t positions)
{
    double value;
    if (o->max_length != 0) return o->max_length < positions ? o->max_length : positions;
    if (!find_default(model, "max-length", &value) || value < 1) return 0;
    return value < positions ? (int32_t)value : positions;
}

/* What later sums are made from. */
static hdl_status check_sizes(const hdl_translator *t, const hdl_search_options *o, int32_t K, int32_t n_best)
{
    hdl_status status = HDL_OK;
    const int32_t most = t->options.max_beam;
    HDL_CHECK(K >= 1 && K <= most, HDL_EINVAL, "beam = %d, allowed 1 to %d (max_beam)", K, most);
    HDL_CHECK(n_best >= 1 && n_best <= most, HDL_EINVAL, "n_best = %d, allowed 1 to %d (max_beam)", n_best, most);
    HDL_CHECK(o->patience >= 0 && o->patience <= HDL_MAX_BEAM, HDL_EINVAL, "patience = %g, allowed above 0 to %d",
              (double)o->patience, HDL_MAX_BEAM);
    HDL_CHECK(o->end_tokens != NULL || o->n_end_tokens == 0, HDL_EINVAL, "end_tokens is NULL, n_end_tokens = %zu",
              o->n_end_tokens);
    HDL_CHECK(o->suppress != NULL || o->n_suppress == 0, HDL_EINVAL, "suppress is NULL, n_suppress = %zu", o->n_suppress);
    HDL_CHECK(o->n_suppress <= INT32_MAX, HDL_EINVAL, "%zu suppressed sequences, allowed %d", o->n_suppress, INT32_MAX);
done:
    return status;
}

static hdl_status check_numbers(const hdl_translator *t, const hdl_search_options *o, const hdl_slot_options *s)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(isfinite(s->length_penalty) && s->length_penalty >= 0, HDL_EINVAL,
              "length_penalty = %g, allowed 0 or more", (double)s->length_penalty);
    HDL_CHECK(isfinite(s->coverage_penalty) && s->coverage_penalty >= 0, HDL_EINVAL,
              "coverage_penalty = %g, allowed 0 or more", (double)s->coverage_penalty);
    HDL_CHECK(isfinite(s->repetition_penalty) && s->repetition_penalty > 0, HDL_EINVAL,
              "repetition_penalty = %g, allowed above 0", (double)s->repetition_penalty);
    HDL_CHECK(s->ngram >= 0, HDL_EINVAL, "no_repeat_ngram = %d, allowed 0 or more", s->ngram);
    HDL_CHECK(o->stop >= HDL_STOP_COUNT && o->stop <= HDL_STOP_ALL, HDL_EINVAL, "stop = %d, allowed 0 to 2", (int)o->stop);
    HDL_CHECK(o->length_norm == HDL_LENGTH_POWER || o->length_norm == HDL_LENGTH_GNMT, HDL_EINVAL,
              "length_norm = %d, allowed 0 or 1", (int)o->length_norm);
    HDL_CHECK(o->min_length >= HDL_OFF, HDL_EINVAL, "min_length = %d, allowed 0 or more", o->min_length);
    HDL_CHECK(o->max_length >= 0, HDL_EINVAL, "max_length = %d, allowed 1 or more", o->max_length);
    HDL_CHECK(o->max_length == 0 || s->min_length <= o->max_length, HDL_EINVAL,
              "min_length = %d is above max_length = %d", s->min_length, o->max_length);
    HDL_CHECK(s->min_length <= t->network->decoder.n_positions, HDL_EINVAL, "min_length = %d, the model allows %d",
              s->min_length, t->network->decoder.n_positions);
    HDL_CHECK(s->prefix_bias >= 0 && s->prefix_bias < 1, HDL_EINVAL, "prefix_bias = %g, allowed above 0 and below 1",
              (double)s->prefix_bias);
done:
    return status;
}

static hdl_status check_modes(const hdl_search_options *o, const hdl_slot_options *s, int32_t n_best)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(!(o->sample && o->alternatives), HDL_EINVAL, "sample and alternatives exclude each other");
    HDL_CHECK(!o->sample || s->K == 1, HDL_EINVAL, "beam = %d, sampling allows 1", s->K);
    HDL_CHECK(!o->alternatives || s->prefix_bias == 0.0f, HDL_EINVAL, "prefix_bias and alternatives exclude each other");
    HDL_CHECK(o->sample || o->alternatives || o->stop == HDL_STOP_ALL || n_best <= s->n_enough, HDL_EINVAL,
              "n_best = %d, allowed 1 to %d: round(beam * patience)", n_best, s->n_enough);
    HDL_CHECK(o->stop != HDL_STOP_ALL || o->sample || o->alternatives || n_best <= s->K, HDL_EINVAL,
              "n_best = %d, allowed 1 to %d: the beam", n_best, s->K);
    HDL_CHECK(o->top_k >= 0, HDL_EINVAL, "top_k = %d, allowed 0 or more", o->top_k);
    HDL_CHECK(s->top_p > 0 && s->top_p <= 1, HDL_EINVAL, "top_p = %g, allowed above 0 to 1", (double)s->top_p);
    HDL_CHECK(isfinite(s->temperature) && s->temperature >= 0, HDL_EINVAL, "temperature = %g, allowed 0 or more",
              (double)s->temperature);
    HDL_CHECK(o->min_alternative_prob >= 0 && o->min_alternative_prob <= 1, HDL_EINVAL,
              "min_alternative_prob = %g, allowed 0 to 1", (double)o->min_alternative_prob);
done:
    return status;
}

static hdl_status find_ends(const hdl_translator *t, const hdl_search_options *o, hdl__bump *memory, hdl__search *out)
{
    hdl_status status = HDL_OK;
    const hdl_tokenizer *target = t->model->target;
    out->slot.n_end = o->n_end_tokens > 0 ? (int32_t)o->n_end_tokens : 1;
    HDL_CHECK(o->n_end_tokens <= HDL_MAX_BEAM, HDL_EINVAL, "%zu end tokens, allowed 1 to %d", o->n_end_tokens,
              HDL_MAX_BEAM);
    out->ends = hdl__bump_take(memory, (size_t)out->slot.n_end, sizeof(int32_t));
    HDL_CHECK(out->ends != NULL, HDL_ENOMEM, "no memory for end tokens");
    out->ends[0] = t->model->checkpoint.config.end_id;
    for (size_t i = 0; i < o->n_end_tokens; i++) {
        HDL_CHECK(o->end_tokens[i] != NULL, HDL_EINVAL, "end_tokens[%zu] is NULL", i);
        out->ends[i] = hdl_tokenizer_id(target, o->end_tokens[i]);
        HDL_CHECK(out->ends[i] >= 0, HDL_EINVAL, "end token \"%s\" is not in the target vocabulary", o->end_tokens[i]);
    }
done:
    return status;
}

/* Ids of one sequence of tokens joined by spaces; counts them when `ids` is NULL. -1: a token is unknown (named). */
static int32_t read_sequence(const hdl_translator *t, const char *text, int32_t *ids)
{
    int32_t n = 0;
    for (const char *at = text; *at != '\0';) {
        const size_t length = strcspn(at, " ");
        if (length > 0) {
            const int32_t id = hdl__token_map_find(t->model->target_map, at, length);
            if (id < 0) {
                hdl__fail(HDL_EINVAL, "suppressed token \"%.*s\" is not in the target vocabulary", (int)length, at);
                return -1;
            }
            if (ids != NULL) ids[n] = id;
            n++;
        }
        at += length + (at[length] == ' ');
    }
    return n;
}

static hdl_status find_suppressed(const hdl_translator *t, const hdl_search_options *o, hdl__bump *memory,
                                  hdl__search *out)
{
    hdl_status status = HDL_OK;
    size_t total = 0;
    for (size_t i = 0; i < o->n_suppress; i++) {
        HDL_CHECK(o->suppress[i] != NULL, HDL_EINVAL, "suppress[%zu] is NULL", i);
        const int32_t n = read_sequence(t, o->suppress[i], NULL);
        if (n < 0) return HDL_EINVAL;
        HDL_CHECK(n > 0, HDL_EINVAL, "suppressed sequence %zu is empty", i);
        total += (size_t)n + 1;
    }
    HDL_CHECK(total <= INT32_MAX, HDL_EINVAL, "%zu suppressed tokens, allowed %d", total, INT32_MAX);
    out->suppress = hdl__bump_take(memory, total, sizeof(int32_t));
    HDL_CHECK(out->suppress != NULL, HDL_ENOMEM, "no memory for %zu suppressed tokens", total);
    int32_t *at = out->suppress;
    for (size_t i = 0; i < o->n_suppress; i++) {
        at[0] = read_sequence(t, o->suppress[i], at + 1);
        at += at[0] + 1;
    }
    out->slot.n_suppress = (int32_t)o->n_suppress;
    out->n_suppress_ids = (int32_t)total;
done:
    return status;
}

static void fill_slot(const hdl_translator *t, const hdl_search_options *o, hdl__search *out)
{
    const hdl__config *c = &t->model->checkpoint.config;
    hdl_slot_options *s = &out->slot;
    s->n_best = out->n_best;
    s->n_enough = (int32_t)floorf((float)s->K * (o->patience > 0 ? o->patience : 1.0f) + 0.5f);
    if (s->n_enough < 1 || s->K == 1) s->n_enough = 1;      /* one beam is greedy, whatever the patience */
    s->n_pool = s->n_enough + s->K;
    s->length_penalty = resolve_length_penalty(t->model, o);
    s->coverage_penalty = o->coverage_penalty;
    s->repetition_penalty = o->repetition_penalty != 0.0f ? o->repetition_penalty : 1.0f;
    s->prefix_bias = o->prefix_bias;
    s->ngram = o->no_repeat_ngram;
    s->min_length = o->min_length == HDL_OFF ? 0 : o->min_length == 0 ? 1 : o->min_length;
    s->stop_rule = (uint8_t)o->stop;
    s->length_norm = (uint8_t)o->length_norm;
    s->top_k = o->top_k;
    s->top_p = o->top_p != 0.0f ? o->top_p : 1.0f;
    s->temperature = o->temperature == (float)HDL_OFF ? 0.0f : o->temperature != 0.0f ? o->temperature : 1.0f;
    if (s->temperature > 0.0f && !isfinite(1.0f / s->temperature)) s->temperature = 0.0f;   /* the limit is greedy */
    s->seed = o->seed;
    s->unknown_id = c->unknown_id;
    s->pad_id = c->pad_id;
    s->flags = (uint16_t)((o->no_unknown ? HDL_SLOT_NO_UNKNOWN : 0) | (o->sample ? HDL_SLOT_SAMPLE : 0));
    if (o->alignment || o->replace_unknowns || o->coverage_penalty != 0.0f) s->flags |= HDL_SLOT_ALIGN;
}

hdl_status hdl__search_resolve(hdl_translator *translator, const hdl_search_options *options, hdl__bump *memory,
                               hdl__search *out)
{
    hdl_status status = HDL_OK;
    const hdl_search_options defaults = HDL_SEARCH_OPTIONS_INIT;
    const hdl_search_options *o = options != NULL ? options : &defaults;
    hdl_search_options whole;
    o = hdl__struct_read("hdl_search_options", o, &defaults, &whole, sizeof whole);
    if (o == NULL) return HDL_EINVAL;
    *out = (hdl__search){
        .n_best = o->n_best != 0 ? o->n_best : 1,
        .sample = o->sample != 0,
        .alternatives = o->alternatives != 0,
        .alignment = o->alignment != 0,
        .with_end = o->with_end_token != 0,
        .replace_unknowns = o->replace_unknowns != 0,
        .use_vocab_map = o->use_vocab_map != 0,
        .min_alternative_prob = o->min_alternative_prob,
    };
    out->slot.K = resolve_beam(translator->model, o);
    HDL_TRY(check_sizes(translator, o, out->slot.K, out->n_best));
    fill_slot(translator, o, out);
    HDL_TRY(check_numbers(translator, o, &out->slot));
    HDL_TRY(check_modes(o, &out->slot, out->n_best));
    HDL_CHECK(!out->use_vocab_map || translator->model->vocab_map != NULL, HDL_EINVAL,
              "use_vocab_map = 1: the model has no vocabulary map (vmap.txt)");
    out->max_length = resolve_max_length(translator->model, o, translator->network->decoder.n_positions);
    HDL_CHECK(out->max_length == 0 || out->slot.min_length <= out->max_length, HDL_EINVAL,
              "min_length = %d is above max_length = %d, the model's default", out->slot.min_length, out->max_length);
    HDL_TRY(find_ends(translator, o, memory, out));
    HDL_TRY(find_suppressed(translator, o, memory, out));
done:
    return status;
}

hdl_status hdl_translator_check(hdl_translator *translator, const hdl_search_options *search)
{
    hdl__bump memory = {0};
    hdl__search resolved;
    if (translator == NULL) return hdl__fail(HDL_EINVAL, "hdl_translator_check: translator is NULL");
    hdl_status status = hdl__check_process(translator->pid, "hdl_translator_check");
    if (status == HDL_OK) status = hdl__search_resolve(translator, search, &memory, &resolved);
    hdl__bump_free(&memory);
    return status;
}
