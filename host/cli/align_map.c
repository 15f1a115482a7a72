/* align_map.c - the attention matrix that heddle align shows for one line. */
#include "align_map.h"

#include <stdlib.h>

static const char *const map_names[] = { "cross-attention", "encoder self-attention", "decoder self-attention" };
static const hdl_map_kind map_kinds[] = { HDL_MAP_CROSS, HDL_MAP_ENCODER, HDL_MAP_DECODER };

bool hdl__align_map_wanted(const hdl__cli_options *options)
{
    return hdl__cli_given(options, "map") || hdl__cli_given(options, "layer") || hdl__cli_given(options, "head");
}

static void describe(hdl__cli_text *about, const hdl__cli_options *options)
{
    hdl__cli_text_printf(about, "%s, ", map_names[options->map]);
    if (options->layer < 0) hdl__cli_text_puts(about, "last layer, ");
    else hdl__cli_text_printf(about, "layer %d, ", options->layer);
    if (options->head < 0) hdl__cli_text_puts(about, "mean of heads");
    else hdl__cli_text_printf(about, "head %d", options->head);
}

/* Tokens of the source as ids; those that the vocabulary does not hold are its unknown token. */
static int32_t *source_ids(const hdl_model *model, const hdl_result *result)
{
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    const hdl_tokenizer *tokenizer = hdl_model_tokenizer(model, 0);
    int32_t *ids = calloc(result->n_source_tokens + 1, sizeof *ids);
    if (!ids || hdl_model_describe(model, &info) != HDL_OK) return ids;
    for (size_t i = 0; i < result->n_source_tokens; ++i) {
        ids[i] = hdl_tokenizer_id(tokenizer, result->source_tokens[i]);
        if (ids[i] < 0) ids[i] = info.unknown_id;
    }
    return ids;
}

static int ask_map(hdl__align_map *made, const hdl__engine *engine, const hdl__cli_options *options,
                   const hdl_result *result)
{
    const hdl_hypothesis *hypothesis = &result->hypotheses[0];
    int32_t *ids = source_ids(engine->model, result);
    if (!ids) return hdl__cli_error("out of memory");
    hdl_status status = hdl_translator_map(engine->translator, ids, result->n_source_tokens, hypothesis->ids,
                                           hypothesis->n_tokens, map_kinds[options->map], options->layer,
                                           options->head, &made->map);
    free(ids);
    if (status != HDL_OK) return hdl__cli_refused(status);
    made->picture.rows = made->map.row_tokens;
    made->picture.columns = made->map.column_tokens;
    made->picture.n_rows = made->map.n_rows;
    made->picture.n_columns = made->map.n_columns;
    made->picture.values = made->map.values;
    return HDL__EXIT_DONE;
}

/* A scored target has tokens but perhaps no text of its own. */
static const char *target_text(hdl__align_map *made, const hdl_hypothesis *hypothesis)
{
    if (hypothesis->text && hypothesis->text[0] != '\0') return hypothesis->text;
    for (size_t i = 0; i < hypothesis->n_tokens; ++i)
        hdl__cli_text_printf(&made->target, "%s%s", i ? " " : "", hypothesis->tokens[i]);
    return made->target.data ? made->target.data : "";
}

int hdl__align_map_make(hdl__align_map *made, const hdl__engine *engine, const hdl__cli_options *options,
                        const hdl_result *result)
{
    *made = (hdl__align_map){ 0 };
    made->picture.source = result->source ? result->source : "";
    made->picture.target = made->picture.about = "";
    if (result->n_hypotheses == 0) return HDL__EXIT_DONE;
    const hdl_hypothesis *hypothesis = &result->hypotheses[0];
    made->picture.target = target_text(made, hypothesis);
    if (result->n_source_tokens == 0 || hypothesis->n_tokens == 0) return HDL__EXIT_DONE;
    int code = HDL__EXIT_DONE;
    if (hdl__align_map_wanted(options) || !hypothesis->alignment) {
        describe(&made->about, options);
        code = ask_map(made, engine, options, result);
    } else {
        hdl__cli_text_puts(&made->about, "the model's alignment");
        made->picture.rows = hypothesis->tokens;
        made->picture.columns = result->source_tokens;
        made->picture.n_rows = hypothesis->n_rows < hypothesis->n_tokens ? hypothesis->n_rows : hypothesis->n_tokens;
        made->picture.n_columns = hypothesis->n_columns;
        made->picture.values = hypothesis->alignment;
    }
    made->picture.about = made->about.data ? made->about.data : "";
    return code;
}

void hdl__align_map_free(hdl__align_map *made)
{
    hdl_map_free(&made->map);
    hdl__cli_text_free(&made->about);
    hdl__cli_text_free(&made->target);
    *made = (hdl__align_map){ 0 };
}
