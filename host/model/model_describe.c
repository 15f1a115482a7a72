/* model_describe.c - what a model is: dimensions, vocabularies, defaults; and saving it. */
#include "base/struct_args.h"
#include "model/model_state.h"

static const char *describe_activation(hdl_activation act)
{
    static const char *const names[HDL_N_ACTIVATIONS] = {
        [HDL_ACT_NONE] = "none", [HDL_ACT_RELU] = "relu", [HDL_ACT_GELU_TANH] = "gelu (tanh)",
        [HDL_ACT_SWISH] = "swish", [HDL_ACT_GELU_ERF] = "gelu (erf)", [HDL_ACT_GELU_SIGMOID] = "gelu (sigmoid)",
        [HDL_ACT_TANH] = "tanh", [HDL_ACT_SIGMOID] = "sigmoid",
    };
    return (unsigned)act < HDL_N_ACTIVATIONS ? names[act] : "?";
}

static const char *describe_positions(hdl__position_kind kind)
{
    switch (kind) {
    case HDL__POSITIONS_NONE: return "none";
    case HDL__POSITIONS_TABLE: return "table";
    case HDL__POSITIONS_HF: return "sinusoidal (Hugging Face)";
    case HDL__POSITIONS_CT2: return "sinusoidal (CTranslate2)";
    case HDL__POSITIONS_MARIAN: return "sinusoidal (Marian)";
    }
    return "?";
}

hdl_status hdl_model_describe(const hdl_model *model, hdl_model_info *info)
{
    if (model == NULL || info == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_model_describe: %s is NULL", model == NULL ? "model" : "info");
    const hdl__config *c = &model->checkpoint.config;
    const hdl_model_info all = {
        .struct_bytes = sizeof all,
        .format = c->format,
        .weights_dtype = model->weights_dtype,
        .encoder_layers = c->encoder.n_layers,
        .decoder_layers = c->decoder.n_layers,
        .d_model = c->decoder.E,
        .encoder_heads = c->encoder.H,
        .decoder_heads = c->decoder.H,
        .encoder_ffn = c->encoder.F,
        .decoder_ffn = c->decoder.F,
        .source_vocabulary = model->checkpoint.source_vocabulary.n,
        .target_vocabulary = model->checkpoint.target_vocabulary.n,
        .max_positions = c->decoder.max_positions,
        .max_source_length = c->max_source_length,
        .start_id = c->start_id,
        .end_id = c->end_id,
        .unknown_id = c->unknown_id,
        .pad_id = c->pad_id,
        .n_parameters = model->n_parameters,
        .weight_bytes = model->weight_bytes,
        .norm_order = c->decoder.pre_norm ? "pre" : "post",
        .activation = describe_activation(c->decoder.activation),
        .positions = describe_positions(c->decoder.positions),
        .tokenizer = hdl_tokenizer_kind(model->source),
        .has_vocab_map = model->vocab_map != NULL,
    };
    const hdl_status status = hdl__struct_room("hdl_model_describe: info", info);
    if (status == HDL_OK) hdl__struct_write(info, &all, sizeof all);
    return status;
}

int hdl_model_default(const hdl_model *model, int i, const char **name, const char **value, const char **file)
{
    if (model == NULL || i < 0 || i >= model->checkpoint.n_defaults) return 0;
    const hdl__default *d = &model->checkpoint.defaults[i];
    if (name != NULL) *name = d->name;
    if (value != NULL) *value = d->value;
    if (file != NULL) *file = d->file;
    return 1;
}

const hdl_tokenizer *hdl_model_tokenizer(const hdl_model *model, int side)
{
    return side == 0 ? model->source : model->target;
}

hdl_status hdl_model_save(const hdl_model *model, const char *directory)
{
    if (model == NULL || directory == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_model_save: %s is NULL", model == NULL ? "model" : "directory");
    return hdl__checkpoint_save(&model->checkpoint, directory);
}
