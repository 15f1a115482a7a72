/* ct2_format.c - a CTranslate2 model directory as a checkpoint: attributes, scales, canonical names. */
#include "formats/ct2_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES            128
#define DEFAULT_HEADS         8
#define BIG_HEADS             16
#define LEGACY_I16_SCALE      1000.0f    /* int16 weights of the first writers carry no scale */
#define EPS_LAYER_NORM        1e-5f
#define EPS_RMS_NORM          1e-6f
#define REVISION_WITH_HEADS   3          /* before it, the head count follows from the specification's name */
#define REVISION_WITH_SCOPES  5          /* before it, attributes are at the top level */

static const hdl__name_pair layer_names[] = {
    {"self_attention/layer_norm/gamma", "self.norm.gamma", true},
    {"self_attention/layer_norm/beta", "self.norm.beta", false},
    {"self_attention/linear_0/weight", "self.qkv.weight", true},
    {"self_attention/linear_0/bias", "self.qkv.bias", false},
    {"self_attention/linear_1/weight", "self.out.weight", true},
    {"self_attention/linear_1/bias", "self.out.bias", false},
    {"ffn/layer_norm/gamma", "ffn.norm.gamma", true},
    {"ffn/layer_norm/beta", "ffn.norm.beta", false},
    {"ffn/linear_0/weight", "ffn.up.weight", true},
    {"ffn/linear_0/bias", "ffn.up.bias", false},
    {"ffn/linear_0_noact/weight", "ffn.gate.weight", false},
    {"ffn/linear_0_noact/bias", "ffn.gate.bias", false},
    {"ffn/linear_1/weight", "ffn.down.weight", true},
    {"ffn/linear_1/bias", "ffn.down.bias", false},
};
static const hdl__name_pair cross_names[] = {
    {"attention/layer_norm/gamma", "cross.norm.gamma", true},
    {"attention/layer_norm/beta", "cross.norm.beta", false},
    {"attention/linear_0/weight", "cross.q.weight", true},
    {"attention/linear_0/bias", "cross.q.bias", false},
    {"attention/linear_1/weight", "cross.kv.weight", true},
    {"attention/linear_1/bias", "cross.kv.bias", false},
    {"attention/linear_2/weight", "cross.out.weight", true},
    {"attention/linear_2/bias", "cross.out.bias", false},
};
static const hdl__name_pair side_names[] = {
    {"position_encodings/encodings", "positions", false},
    {"layernorm_embedding/gamma", "embed_norm.gamma", false},
    {"layernorm_embedding/beta", "embed_norm.beta", false},
    {"layer_norm/gamma", "final_norm.gamma", false},
    {"layer_norm/beta", "final_norm.beta", false},
};
static const hdl__name_pair output_names[] = {
    {"projection/weight", "output.weight", true},
    {"projection/bias", "output.bias", false},
};

typedef struct side {
    const char        *name;        /* "encoder" */
    const char        *embed;       /* "encoder/embeddings_0", without "/weight" */
    bool               is_decoder;
    hdl__stack_config *stack;
} side;

/* Reads SIDE/NAME, or the top-level NAME of old revisions. */
static hdl_status attribute(const hdl__ct2_file *file, const char *scope, const char *name, int32_t low, int32_t high,
                            int32_t fallback, int32_t *out)
{
    hdl_status status = HDL_OK;
    char scoped[NAME_BYTES];
    if (file->revision < REVISION_WITH_SCOPES)
        HDL_TRY(hdl__ct2_int(file, name, low, high, fallback, &fallback));
    snprintf(scoped, sizeof scoped, "%s/%s", scope, name);
    HDL_TRY(hdl__ct2_int(file, scoped, low, high, fallback, out));
done:
    return status;
}

/* absent: sqrt(E); an i8 flag: sqrt(E) or none; any other dtype: the factor itself. */
static hdl_status embed_scale(const hdl__ct2_file *file, const side *s)
{
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    double value = 1.0;
    snprintf(name, sizeof name, "%s/scale_embeddings", s->name);
    const hdl__raw_tensor *tensor = hdl__tensor_set_find(&file->variables, "%s", name);
    if (tensor == NULL) {
        snprintf(name, sizeof name, "%s/multiply_by_sqrt_depth", s->embed);
        tensor = hdl__tensor_set_find(&file->variables, "%s", name);
    }
    HDL_TRY(hdl__ct2_number(file, name, 1.0, &value));
    bool is_flag = tensor == NULL || tensor->dtype == HDL_I8;
    if (is_flag) value = value != 0.0 ? sqrt((double)s->stack->E) : 1.0;
    s->stack->embed_scale = (float)value;
done:
    return status;
}

/* queries_scale of every attention of a side: one value, or none. */
static hdl_status attention_scale(const hdl__ct2_file *file, const side *s)
{
    static const char *const kinds[] = {"self_attention", "attention"};
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    bool first = true;
    for (int32_t i = 0; i < s->stack->n_layers; i++) {
        for (int kind = 0; kind < (s->is_decoder ? 2 : 1); kind++) {
            double value = 0.0;
            snprintf(name, sizeof name, "%s/layer_%d/%s/queries_scale", s->name, i, kinds[kind]);
            HDL_TRY(hdl__ct2_number(file, name, 0.0, &value));
            HDL_CHECK(first || (float)value == s->stack->attention_scale, HDL_ENOSUPPORT,
                      "%s: %s is %g, other layers have %g", file->name, name, value,
                      (double)s->stack->attention_scale);
            s->stack->attention_scale = (float)value;
            first = false;
        }
    }
done:
    return status;
}

static hdl_status stack_attributes(const hdl__ct2_file *file, const side *s)
{
    static const hdl_activation activations[] = {HDL_ACT_RELU, HDL_ACT_GELU_TANH, HDL_ACT_SWISH, HDL_ACT_GELU_ERF,
                                                 HDL_ACT_GELU_SIGMOID, HDL_ACT_TANH, HDL_ACT_SIGMOID};
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    int32_t pre_norm = 0, activation = 0, heads = DEFAULT_HEADS, shared_heads = 0;
    if (file->revision < REVISION_WITH_HEADS && strcmp(file->spec, "TransformerBig") == 0) heads = BIG_HEADS;
    HDL_TRY(attribute(file, s->name, "num_heads", 1, INT16_MAX, heads, &s->stack->H));
    HDL_TRY(attribute(file, s->name, "pre_norm", 0, 1, 1, &pre_norm));
    HDL_TRY(attribute(file, s->name, "activation", 0, (int32_t)(sizeof activations / sizeof *activations) - 1, 0,
                      &activation));
    snprintf(name, sizeof name, "%s/multi_query_attention", s->name);
    HDL_TRY(hdl__ct2_int(file, name, 0, 1, 0, &shared_heads));
    HDL_CHECK(shared_heads == 0, HDL_ENOSUPPORT, "%s: %s is not computed", file->name, name);
    s->stack->pre_norm = pre_norm != 0;
    s->stack->activation = activations[activation];
    HDL_TRY(embed_scale(file, s));
    HDL_TRY(attention_scale(file, s));
done:
    return status;
}

/* Dimension `axis` of a stored matrix. */
static hdl_status stored_size(const hdl__ct2_file *file, int axis, int32_t *out, const char *name)
{
    hdl_status status = HDL_OK;
    const hdl__raw_tensor *tensor = hdl__tensor_set_find(&file->variables, "%s", name);
    HDL_CHECK(tensor != NULL, HDL_EFORMAT, "%s: variable %s is missing", file->name, name);
    HDL_CHECK(tensor->rank == 2 && tensor->shape[axis] <= INT32_MAX, HDL_EFORMAT,
              "%s: variable %s has rank %d, expected a matrix", file->name, name, tensor->rank);
    *out = (int32_t)tensor->shape[axis];
done:
    return status;
}

/* Either of two weights tells that a layer is there, so that the absence of one is reported by its name. */
static bool has_layer(const hdl__ct2_file *file, const char *name, int32_t i)
{
    return hdl__tensor_set_find(&file->variables, "%s/layer_%d/self_attention/linear_0/weight", name, i) != NULL
           || hdl__tensor_set_find(&file->variables, "%s/layer_%d/ffn/linear_0/weight", name, i) != NULL;
}

static hdl_status stack_sizes(const hdl__ct2_file *file, const side *s, float eps)
{
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    hdl__stack_config *stack = s->stack;
    snprintf(name, sizeof name, "%s/weight", s->embed);
    HDL_TRY(stored_size(file, 0, &stack->V, name));
    HDL_TRY(stored_size(file, 1, &stack->E, name));
    snprintf(name, sizeof name, "%s/layer_0/ffn/linear_0/weight", s->name);
    HDL_TRY(stored_size(file, 0, &stack->F, name));
    while (has_layer(file, s->name, stack->n_layers)) stack->n_layers++;
    const hdl__raw_tensor *table =
        hdl__tensor_set_find(&file->variables, "%s/position_encodings/encodings", s->name);
    stack->positions = table == NULL ? HDL__POSITIONS_CT2 : HDL__POSITIONS_TABLE;
    if (table != NULL && table->rank > 0 && table->shape[0] <= INT32_MAX)
        stack->max_positions = (int32_t)table->shape[0];
    bool has_beta = hdl__tensor_set_find(&file->variables, "%s/layer_0/self_attention/layer_norm/beta", s->name)
                    != NULL;
    stack->norm_kind = has_beta ? HDL_NORM_LAYER : HDL_NORM_RMS;
    if (eps == 0.0f) eps = has_beta ? EPS_LAYER_NORM : EPS_RMS_NORM;
    stack->norm_eps = eps;
done:
    return status;
}

static hdl_status decoder_attributes(const hdl__ct2_file *file, hdl__config *config)
{
    hdl_status status = HDL_OK;
    int32_t from_zero = 0, alibi = 0, ignored = 0;
    double output_scale = 1.0;
    HDL_TRY(attribute(file, "decoder", "alignment_layer", INT16_MIN, INT16_MAX, -1, &config->alignment_layer));
    HDL_TRY(attribute(file, "decoder", "alignment_heads", 0, INT16_MAX, 1, &config->alignment_heads));
    if (config->alignment_layer < 0) config->alignment_layer += config->decoder.n_layers;
    HDL_TRY(hdl__ct2_int(file, "decoder/start_from_zero_embedding", 0, 1, 0, &from_zero));
    HDL_TRY(hdl__ct2_number(file, "decoder/scale_outputs", 1.0, &output_scale));
    HDL_TRY(hdl__ct2_int(file, "decoder/alibi", 0, 1, 0, &alibi));
    HDL_CHECK(alibi == 0, HDL_ENOSUPPORT, "%s: decoder/alibi is not computed", file->name);
    HDL_TRY(hdl__ct2_int(file, "decoder/alibi_use_positive_positions", 0, 1, 0, &ignored));
    HDL_TRY(hdl__ct2_int(file, "decoder/scale_alibi", 0, 1, 0, &ignored));
    HDL_TRY(attribute(file, "encoder", "embeddings_merge", 0, 1, 0, &ignored));
    config->start_is_zero = from_zero != 0;
    config->output_scale = (float)output_scale;
done:
    return status;
}

/* Copies the scales beside quantised weights, aligned, and hangs them on the weights. */
static hdl_status attach_scales(const hdl__ct2_file *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < file->variables.n; i++) {
        hdl__raw_tensor *weight = &file->variables.items[i];
        if (weight->dtype != HDL_I8 && weight->dtype != HDL_I16) continue;
        hdl__raw_tensor *scale = hdl__tensor_set_find(&file->variables, "%s_scale", weight->name);
        if (scale == NULL && (weight->dtype == HDL_I8 || weight->rank != 2)) continue;
        size_t n = scale == NULL ? 1 : scale->bytes / sizeof(float);
        HDL_CHECK(scale == NULL || (scale->dtype == HDL_F32 && scale->rank <= 1 && n > 0), HDL_EFORMAT,
                  "%s: variable %s is %s of rank %d with %zu bytes, expected f32 values", file->name, scale->name,
                  hdl_dtype_name(scale->dtype), scale->rank, scale->bytes);
        float *copy = hdl__calloc(n, sizeof *copy);
        HDL_CHECK(copy != NULL, HDL_ENOMEM, "%s: no memory for %zu scales", file->name, n);
        if (scale != NULL) memcpy(copy, scale->data, n * sizeof *copy);
        else copy[0] = LEGACY_I16_SCALE;
        HDL_TRY(hdl__checkpoint_own(out, copy));
        weight->scale = copy;
        weight->n_scale = (int64_t)n;
        if (scale != NULL) scale->used = true;
    }
done:
    return status;
}

static hdl_status map_side(const hdl__ct2_file *file, const side *s, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    char stored[NAME_BYTES], canonical[NAME_BYTES];
    hdl__raw_tensor *embed = hdl__tensor_set_find(&file->variables, "%s/weight", s->embed);
    HDL_CHECK(embed != NULL, HDL_EFORMAT, "%s: variable %s/weight is missing", file->name, s->embed);
    HDL_TRY(hdl__checkpoint_take(out, embed, "%s.embed", s->name));
    snprintf(stored, sizeof stored, "%s/", s->name);
    snprintf(canonical, sizeof canonical, "%s.", s->name);
    HDL_TRY(hdl__checkpoint_map(out, &file->variables, file->name, stored, canonical, side_names,
                                sizeof side_names / sizeof *side_names));
    HDL_CHECK(s->stack->pre_norm || hdl__tensor_set_find(&file->variables, "%s/layer_norm/gamma", s->name) == NULL,
              HDL_ENOSUPPORT, "%s: %s/layer_norm after a post-norm stack is not computed", file->name, s->name);
    for (int32_t i = 0; i < s->stack->n_layers; i++) {
        snprintf(stored, sizeof stored, "%s/layer_%d/", s->name, i);
        snprintf(canonical, sizeof canonical, "%s.%d.", s->name, i);
        HDL_TRY(hdl__checkpoint_map(out, &file->variables, file->name, stored, canonical, layer_names,
                                    sizeof layer_names / sizeof *layer_names));
        if (s->is_decoder)
            HDL_TRY(hdl__checkpoint_map(out, &file->variables, file->name, stored, canonical, cross_names,
                                        sizeof cross_names / sizeof *cross_names));
    }
    if (s->is_decoder)
        HDL_TRY(hdl__checkpoint_map(out, &file->variables, file->name, "decoder/", "", output_names,
                                    sizeof output_names / sizeof *output_names));
done:
    return status;
}

/* What is left over belongs to an architecture that is not computed; multiple source features are the commonest. */
static hdl_status check_leftovers(const hdl__ct2_file *file)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(hdl__tensor_set_find(&file->variables, "encoder/embeddings_1/weight") == NULL, HDL_ENOSUPPORT,
              "%s: several source features (encoder/embeddings_1) are not computed", file->name);
    const hdl__raw_tensor *left = hdl__tensor_set_unused(&file->variables);
    HDL_CHECK(left == NULL, HDL_ENOSUPPORT, "%s: variable %s belongs to an architecture that is not computed",
              file->name, left == NULL ? "" : left->name);
done:
    return status;
}

static hdl_status fill(const hdl__source *source, const hdl__ct2_file *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    float eps = 0.0f;
    char format[32];
    out->config = hdl__config_start();
    bool numbered = hdl__tensor_set_find(&file->variables, "encoder/embeddings_0/weight") != NULL;
    const side sides[] = {
        {"encoder", numbered ? "encoder/embeddings_0" : "encoder/embeddings", false, &out->config.encoder},
        {"decoder", "decoder/embeddings", true, &out->config.decoder},
    };
    snprintf(format, sizeof format, "CTranslate2 %u", file->version);
    HDL_TRY(hdl__checkpoint_set_text(&out->config.format, format));
    HDL_TRY(hdl__ct2_norm_eps(source, &eps));
    HDL_TRY(attach_scales(file, out));
    for (int i = 0; i < 2; i++) {
        HDL_TRY(stack_sizes(file, &sides[i], eps));
        HDL_TRY(stack_attributes(file, &sides[i]));
    }
    HDL_TRY(decoder_attributes(file, &out->config));
    for (int i = 0; i < 2; i++) HDL_TRY(map_side(file, &sides[i], out));
    HDL_TRY(hdl__ct2_load_tokens(source, file, out));
    HDL_TRY(check_leftovers(file));
done:
    return status;
}

hdl_status hdl__ct2_load(const hdl__source *source, const char *file_name, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__file bytes = {0};
    hdl__ct2_file file = {0};
    const char *name = file_name == NULL ? "model.bin" : file_name;
    HDL_TRY(hdl__source_open(source, name, &bytes));
    const hdl__file view = bytes;    /* the mapping stays where it is when the checkpoint takes it */
    HDL_TRY(hdl__checkpoint_keep_file(out, &bytes));
    HDL_TRY(hdl__ct2_read(&view, name, &file));
    HDL_TRY(fill(source, &file, out));
done:
    hdl__ct2_close(&file);
    return status;
}
