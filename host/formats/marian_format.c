/* marian_format.c - Marian's .npz and .bin as a checkpoint: names, orientation, sizes. */
#include "formats/marian_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128

static const hdl__name_pair self_names[] = {
    {"_self_Wq", ".self.q.weight", true},   {"_self_bq", ".self.q.bias", false},
    {"_self_Wk", ".self.k.weight", true},   {"_self_bk", ".self.k.bias", false},
    {"_self_Wv", ".self.v.weight", true},   {"_self_bv", ".self.v.bias", false},
    {"_self_Wo", ".self.out.weight", true}, {"_self_bo", ".self.out.bias", false},
    {"_self_Wo_ln_scale", ".self.norm.gamma", true}, {"_self_Wo_ln_bias", ".self.norm.beta", false},
    {"_ffn_W1", ".ffn.up.weight", true},    {"_ffn_b1", ".ffn.up.bias", false},
    {"_ffn_W2", ".ffn.down.weight", true},  {"_ffn_b2", ".ffn.down.bias", false},
    {"_ffn_ffn_ln_scale", ".ffn.norm.gamma", true}, {"_ffn_ffn_ln_bias", ".ffn.norm.beta", false},
};
static const hdl__name_pair cross_names[] = {
    {"_context_Wq", ".cross.q.weight", true},   {"_context_bq", ".cross.q.bias", false},
    {"_context_Wk", ".cross.k.weight", true},   {"_context_bk", ".cross.k.bias", false},
    {"_context_Wv", ".cross.v.weight", true},   {"_context_bv", ".cross.v.bias", false},
    {"_context_Wo", ".cross.out.weight", true}, {"_context_bo", ".cross.out.bias", false},
    {"_context_Wo_ln_scale", ".cross.norm.gamma", true}, {"_context_Wo_ln_bias", ".cross.norm.beta", false},
};
static const hdl__name_pair side_names[] = {
    {"_emb_ln_scale_pre", ".embed_norm.gamma", false}, {"_emb_ln_bias_pre", ".embed_norm.beta", false},
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Biases and norms, which are stored as [1, n]. */
static bool is_vector(const char *name)
{
    static const char *const suffixes[] = {"_ln_scale", "_ln_bias", "_ln_scale_pre", "_ln_bias_pre"};
    const char *last = strrchr(name, '_');
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(name, suffixes[i])) return true;
    return last != NULL && last[1] == 'b';
}

/* Weights are stored as [in, out] but for embeddings and `Wt`; a quantised blob is the transpose of what its shape says.
 * Activation multipliers are for another arithmetic and left alone. */
static void orient(hdl__tensor_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        hdl__raw_tensor *t = &set->items[i];
        bool lookup = ends_with(t->name, "Wemb") || ends_with(t->name, "Wpos") || ends_with(t->name, "_Wt");
        bool blob_transposed = t->transposed;
        if (ends_with(t->name, "_QuantMultA")) t->used = true;
        if (t->rank == 2 && t->shape[0] == 1 && t->scale == NULL && is_vector(t->name)) {
            t->rank = 1;
            t->shape[0] = t->shape[1];
        }
        if (t->rank != 2) continue;
        t->transposed = !lookup != blob_transposed;
        if (!blob_transposed) continue;
        int64_t rows = t->shape[0];
        t->shape[0] = t->shape[1];
        t->shape[1] = rows;
    }
}

static hdl_status map_embeddings(const hdl__tensor_set *set, const char *file, hdl__checkpoint *out)
{
    static const char *const sides[] = {"encoder", "decoder"};
    hdl_status status = HDL_OK;
    hdl__stack_config *stacks[] = {&out->config.encoder, &out->config.decoder};
    hdl__raw_tensor *positions = hdl__tensor_set_find(set, "Wpos");
    for (int i = 0; i < 2; i++) {
        hdl__raw_tensor *embed = hdl__tensor_set_find(set, "%s_Wemb", sides[i]);
        if (embed == NULL) embed = hdl__tensor_set_find(set, "Wemb");
        HDL_CHECK(embed != NULL, HDL_EFORMAT, "%s: tensor Wemb (or %s_Wemb) is missing", file, sides[i]);
        HDL_CHECK(embed->rank == 2 && embed->shape[0] <= INT32_MAX && embed->shape[1] <= INT32_MAX, HDL_EFORMAT,
                  "%s: tensor %s has rank %d, expected 2", file, embed->name, embed->rank);
        stacks[i]->V = (int32_t)embed->shape[0];
        stacks[i]->E = (int32_t)embed->shape[1];
        stacks[i]->embed_scale = (float)sqrt((double)stacks[i]->E);
        HDL_TRY(hdl__checkpoint_take(out, embed, "%s.embed", sides[i]));
        if (positions == NULL) continue;
        stacks[i]->positions = HDL__POSITIONS_TABLE;
        stacks[i]->embed_scale = 1.0f;    /* Marian scales embeddings only where positions are computed */
        if (positions->shape[0] <= INT32_MAX) stacks[i]->max_positions = (int32_t)positions->shape[0];
        HDL_TRY(hdl__checkpoint_take(out, positions, "%s.positions", sides[i]));
    }
done:
    return status;
}

static hdl_status map_output(const hdl__tensor_set *set, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor *weight = hdl__tensor_set_find(set, "decoder_ff_logit_out_Wt");
    hdl__raw_tensor *bias = hdl__tensor_set_find(set, "decoder_ff_logit_out_b");
    if (weight == NULL) weight = hdl__tensor_set_find(set, "decoder_ff_logit_out_W");
    if (weight == NULL) weight = hdl__tensor_set_find(set, "decoder_Wemb");
    if (weight == NULL) weight = hdl__tensor_set_find(set, "Wemb");
    if (weight != NULL) HDL_TRY(hdl__checkpoint_take(out, weight, "output.weight"));
    if (bias != NULL) HDL_TRY(hdl__checkpoint_take(out, bias, "output.bias"));
done:
    return status;
}

static bool has_layer(const hdl__tensor_set *set, const char *side, int32_t number)
{
    return hdl__tensor_set_find(set, "%s_l%d_ffn_W1", side, number) != NULL
           || hdl__tensor_set_find(set, "%s_l%d_self_Wq", side, number) != NULL;
}

/* Layers count from 1 in the file. Sublayers of other decoders (SSRU, average attention) are named as they are. */
static hdl_status map_stack(const hdl__tensor_set *set, const char *file, const char *side, bool has_cross,
                            hdl__stack_config *stack, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    char stored[NAME_BYTES], canonical[NAME_BYTES];
    HDL_TRY(hdl__checkpoint_map(out, set, file, side, side, side_names, sizeof side_names / sizeof *side_names));
    const hdl__raw_tensor *up = hdl__tensor_set_find(set, "%s_l1_ffn_W1", side);
    if (up != NULL && up->rank == 2) {
        int64_t F = up->shape[up->transposed ? 1 : 0];
        stack->F = F <= INT32_MAX ? (int32_t)F : 0;
    }
    while (has_layer(set, side, stack->n_layers + 1)) {
        int32_t number = stack->n_layers + 1;
        HDL_CHECK(hdl__tensor_set_find(set, "%s_l%d_rnn_W", side, number) == NULL, HDL_ENOSUPPORT,
                  "%s: tensor %s_l%d_rnn_W: SSRU decoders are not computed", file, side, number);
        HDL_CHECK(hdl__tensor_set_find(set, "%s_l%d_aan_W1", side, number) == NULL, HDL_ENOSUPPORT,
                  "%s: tensor %s_l%d_aan_W1: average attention is not computed", file, side, number);
        snprintf(stored, sizeof stored, "%s_l%d", side, number);
        snprintf(canonical, sizeof canonical, "%s.%d", side, stack->n_layers);
        HDL_TRY(hdl__checkpoint_map(out, set, file, stored, canonical, self_names,
                                    sizeof self_names / sizeof *self_names));
        if (has_cross)
            HDL_TRY(hdl__checkpoint_map(out, set, file, stored, canonical, cross_names,
                                        sizeof cross_names / sizeof *cross_names));
        stack->n_layers++;
    }
done:
    return status;
}

/* special:model.yml, the options that the model was trained with. */
static hdl_status read_options(const hdl__tensor_set *set, const char *file, hdl__config *config)
{
    hdl_status status = HDL_OK;
    hdl__yaml options = {0};
    hdl__raw_tensor *item = hdl__tensor_set_find(set, HDL__MARIAN_OPTIONS_ITEM);
    HDL_CHECK(item != NULL, HDL_EFORMAT, "%s: item " HDL__MARIAN_OPTIONS_ITEM " is missing", file);
    HDL_CHECK(item->dtype == HDL_I8 && item->bytes > 0, HDL_EFORMAT, "%s: item " HDL__MARIAN_OPTIONS_ITEM
              " is %s of %zu bytes, expected text", file, hdl_dtype_name(item->dtype), item->bytes);
    const uint8_t *end = memchr(item->data, '\0', item->bytes);
    size_t n = end == NULL ? item->bytes : (size_t)(end - item->data);
    HDL_TRY(hdl__yaml_parse(item->data, n, HDL__MARIAN_OPTIONS_ITEM, &options));
    HDL_TRY(hdl__marian_read_options(&options, HDL__MARIAN_OPTIONS_ITEM, config));
    item->used = true;
done:
    hdl__yaml_close(&options);
    return status;
}

static hdl_status map_all(hdl__tensor_set *set, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    HDL_TRY(read_options(set, file, &out->config));
    orient(set);
    HDL_TRY(map_embeddings(set, file, out));
    HDL_TRY(map_output(set, out));
    HDL_TRY(map_stack(set, file, "encoder", false, &out->config.encoder, out));
    HDL_TRY(map_stack(set, file, "decoder", true, &out->config.decoder, out));
    const hdl__raw_tensor *left = hdl__tensor_set_unused(set);
    HDL_CHECK(left == NULL, HDL_ENOSUPPORT, "%s: tensor %s belongs to an architecture that is not computed", file,
              left == NULL ? "" : left->name);
done:
    return status;
}

/* Opens the container. An .npz is unpacked into buffers and not kept; a .bin stays mapped. */
static hdl_status read_container(const hdl__source *source, const char *name, hdl__checkpoint *out,
                                 hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    hdl__file bytes = {0};
    HDL_TRY(hdl__source_open(source, name, &bytes));
    bool zip = bytes.n >= 4 && memcmp(bytes.data, "PK\3\4", 4) == 0;
    HDL_TRY(hdl__checkpoint_set_text(&out->config.format, zip ? "Marian npz" : "Marian bin"));
    if (zip) {
        HDL_TRY(hdl__marian_read_npz(&bytes, name, out, set));
    } else {
        const hdl__file view = bytes;    /* the bytes stay where they are when the checkpoint takes the file */
        HDL_TRY(hdl__checkpoint_keep_file(out, &bytes));
        HDL_TRY(hdl__marian_read_bin(&view, name, out, set));
    }
done:
    hdl__file_close(&bytes);
    return status;
}

hdl_status hdl__marian_load(const hdl__source *source, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__tensor_set set = {0};
    hdl__yaml decoder = {0};
    char *found = NULL, *yml = NULL;
    out->config = hdl__config_start();
    HDL_TRY(hdl__marian_find_decoder_yml(source, file, &decoder, &yml));
    if (file == NULL) {
        HDL_TRY(hdl__marian_find_model(source, &decoder, &found));
        file = found;
    }
    HDL_TRY(read_container(source, file, out, &set));
    HDL_TRY(map_all(&set, file, out));
    HDL_TRY(hdl__marian_load_vocabularies(source, &decoder, out));
    HDL_TRY(hdl__marian_add_defaults(&decoder, yml, out));
done:
    hdl__free(found);
    hdl__free(yml);
    hdl__yaml_close(&decoder);
    hdl__tensor_set_close(&set);
    return status;
}
