/* marianmt_format.c - a Hugging Face MarianMT directory as a checkpoint. */
#include "formats/marianmt_config.h"
#include "formats/safetensors.h"
#include "formats/vocabulary_file.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128

static const hdl__name_pair layer_names[] = {
    {"self_attn.q_proj.weight", "self.q.weight", true},     {"self_attn.q_proj.bias", "self.q.bias", false},
    {"self_attn.k_proj.weight", "self.k.weight", true},     {"self_attn.k_proj.bias", "self.k.bias", false},
    {"self_attn.v_proj.weight", "self.v.weight", true},     {"self_attn.v_proj.bias", "self.v.bias", false},
    {"self_attn.out_proj.weight", "self.out.weight", true}, {"self_attn.out_proj.bias", "self.out.bias", false},
    {"self_attn_layer_norm.weight", "self.norm.gamma", true},
    {"self_attn_layer_norm.bias", "self.norm.beta", false},
    {"fc1.weight", "ffn.up.weight", true},                  {"fc1.bias", "ffn.up.bias", false},
    {"fc2.weight", "ffn.down.weight", true},                {"fc2.bias", "ffn.down.bias", false},
    {"final_layer_norm.weight", "ffn.norm.gamma", true},    {"final_layer_norm.bias", "ffn.norm.beta", false},
};
static const hdl__name_pair cross_names[] = {
    {"encoder_attn.q_proj.weight", "cross.q.weight", true},     {"encoder_attn.q_proj.bias", "cross.q.bias", false},
    {"encoder_attn.k_proj.weight", "cross.k.weight", true},     {"encoder_attn.k_proj.bias", "cross.k.bias", false},
    {"encoder_attn.v_proj.weight", "cross.v.weight", true},     {"encoder_attn.v_proj.bias", "cross.v.bias", false},
    {"encoder_attn.out_proj.weight", "cross.out.weight", true}, {"encoder_attn.out_proj.bias", "cross.out.bias", false},
    {"encoder_attn_layer_norm.weight", "cross.norm.gamma", true},
    {"encoder_attn_layer_norm.bias", "cross.norm.beta", false},
};

/* Names under which tied tensors may be stored a second time, and tables that are computed instead. */
static const char *const repeated_names[] = {
    "model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight",
    "model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight",
};

static hdl_status map_stack(const hdl__tensor_set *set, const char *file, const char *side,
                            const hdl__stack_config *stack, bool has_cross, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    char stored[NAME_BYTES], canonical[NAME_BYTES];
    for (int32_t i = 0; i < stack->n_layers; i++) {
        snprintf(stored, sizeof stored, "model.%s.layers.%d.", side, i);
        snprintf(canonical, sizeof canonical, "%s.%d.", side, i);
        HDL_TRY(hdl__checkpoint_map(out, set, file, stored, canonical, layer_names,
                                    sizeof layer_names / sizeof *layer_names));
        if (has_cross)
            HDL_TRY(hdl__checkpoint_map(out, set, file, stored, canonical, cross_names,
                                        sizeof cross_names / sizeof *cross_names));
    }
done:
    return status;
}

/* The first of the names that is stored, or NULL. */
static hdl__raw_tensor *first_of(const hdl__tensor_set *set, const char *const *names, size_t n)
{
    hdl__raw_tensor *found = NULL;
    for (size_t i = 0; found == NULL && i < n; i++) found = hdl__tensor_set_find(set, "%s", names[i]);
    return found;
}

static hdl_status map_embeddings(const hdl__tensor_set *set, const char *file, const hdl__marianmt_sharing *sharing,
                                 hdl__checkpoint *out)
{
    static const char *const one[] = {"model.shared.weight", "model.encoder.embed_tokens.weight",
                                      "model.decoder.embed_tokens.weight", "lm_head.weight"};
    hdl_status status = HDL_OK;
    hdl__raw_tensor *encoder, *decoder, *output;
    if (sharing->one_embedding) {
        encoder = decoder = first_of(set, one, sharing->tied_output ? 4 : 3);
    } else {
        encoder = first_of(set, &one[1], 1);
        decoder = first_of(set, &one[2], 1);
    }
    output = sharing->tied_output ? decoder : first_of(set, &one[3], 1);
    HDL_CHECK(encoder != NULL, HDL_EFORMAT, "%s: tensor %s is missing", file, one[sharing->one_embedding ? 0 : 1]);
    HDL_CHECK(decoder != NULL, HDL_EFORMAT, "%s: tensor %s is missing", file, one[2]);
    HDL_CHECK(output != NULL, HDL_EFORMAT, "%s: tensor %s is missing", file, one[3]);
    HDL_TRY(hdl__checkpoint_take(out, encoder, "encoder.embed"));
    HDL_TRY(hdl__checkpoint_take(out, decoder, "decoder.embed"));
    HDL_TRY(hdl__checkpoint_take(out, output, "output.weight"));
done:
    return status;
}

static hdl_status map_output_bias(const hdl__tensor_set *set, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor *bias = hdl__tensor_set_find(set, "final_logits_bias");
    if (bias == NULL) goto done;
    HDL_CHECK(bias->rank == 2 && bias->shape[0] == 1, HDL_EFORMAT,
              "%s: tensor final_logits_bias: rank %d, expected shape [1, V]", file, bias->rank);
    bias->rank = 1;
    bias->shape[0] = bias->shape[1];
    HDL_TRY(hdl__checkpoint_take(out, bias, "output.bias"));
done:
    return status;
}

static hdl_status check_leftovers(const hdl__tensor_set *set, const char *file)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof repeated_names / sizeof *repeated_names; i++) {
        hdl__raw_tensor *repeated = hdl__tensor_set_find(set, "%s", repeated_names[i]);
        if (repeated != NULL) repeated->used = true;
    }
    const hdl__raw_tensor *left = hdl__tensor_set_unused(set);
    HDL_CHECK(left == NULL, HDL_EFORMAT, "%s: tensor %s has no place in a MarianMT model of this config.json", file,
              left == NULL ? "" : left->name);
done:
    return status;
}

static hdl_status read_vocabularies(const hdl__source *source, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__vocabulary_open(source, "vocab.json", NULL, &out->source_vocabulary));
    if (hdl__source_has(source, "target_vocab.json"))
        HDL_TRY(hdl__vocabulary_open(source, "target_vocab.json", NULL, &out->target_vocabulary));
    else HDL_TRY(hdl__vocabulary_copy(&out->source_vocabulary, &out->target_vocabulary));
    out->config.unknown_id = hdl__vocabulary_find(&out->target_vocabulary, "<unk>");
done:
    return status;
}

hdl_status hdl__marianmt_load(const hdl__source *source, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__tensor_set set = {0};
    hdl__marianmt_sharing sharing = {0};
    out->config = hdl__config_start();
    HDL_TRY(hdl__checkpoint_set_text(&out->config.format, "MarianMT"));
    HDL_TRY(hdl__marianmt_read_config(source, &out->config, &sharing));
    HDL_TRY(hdl__safetensors_open(source, out, &set, &file));
    HDL_TRY(map_embeddings(&set, file, &sharing, out));
    HDL_TRY(map_output_bias(&set, file, out));
    HDL_TRY(map_stack(&set, file, "encoder", &out->config.encoder, false, out));
    HDL_TRY(map_stack(&set, file, "decoder", &out->config.decoder, true, out));
    HDL_TRY(check_leftovers(&set, file));
    HDL_TRY(read_vocabularies(source, out));
    HDL_TRY(hdl__marianmt_read_defaults(source, out));
done:
    hdl__tensor_set_close(&set);
    return status;
}
