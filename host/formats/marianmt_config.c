/* marianmt_config.c - config.json and generation_config.json of a Hugging Face MarianMT directory. */
#include "formats/marianmt_config.h"

#include "formats/json_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG            "config.json"
#define GENERATION_CONFIG "generation_config.json"
#define MAX_SIZE          16777216    /* config_check.c narrows it per field */
#define DEFAULT_POSITIONS 1024        /* the transformers package's default */
#define NORM_EPS          1e-5f       /* PyTorch's LayerNorm default, which the network was trained with */

hdl_status hdl__marianmt_activation(const char *file, const char *name, hdl_activation *out)
{
    static const struct { const char *name; hdl_activation activation; } table[] = {
        {"swish", HDL_ACT_SWISH},         {"silu", HDL_ACT_SWISH},
        {"relu", HDL_ACT_RELU},           {"gelu", HDL_ACT_GELU_ERF},
        {"gelu_python", HDL_ACT_GELU_ERF}, {"gelu_new", HDL_ACT_GELU_TANH},
        {"gelu_pytorch_tanh", HDL_ACT_GELU_TANH}, {"quick_gelu", HDL_ACT_GELU_SIGMOID},
        {"tanh", HDL_ACT_TANH},           {"sigmoid", HDL_ACT_SIGMOID},
    };
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, name) != 0) continue;
        *out = table[i].activation;
        goto done;
    }
    HDL_CHECK(false, HDL_ENOSUPPORT, "%s: activation_function \"%s\" is not computed", file, name);
done:
    return status;
}

static hdl_status read_size(const json_t *root, const char *key, int64_t fallback, int32_t *out)
{
    return hdl__json_int(root, CONFIG, key, 1, MAX_SIZE, fallback, out);
}

/* Options of other architectures under this model type: they must stand at what MarianMT computes. */
static hdl_status check_architecture(const json_t *root)
{
    static const struct { const char *key; bool expected; } flags[] = {
        {"normalize_before", false}, {"normalize_embedding", false}, {"add_final_layer_norm", false},
        {"static_position_embeddings", true},
    };
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool value = false;
        HDL_TRY(hdl__json_bool(root, CONFIG, flags[i].key, flags[i].expected, &value));
        HDL_CHECK(value == flags[i].expected, HDL_ENOSUPPORT, CONFIG ": \"%s\" is %s, only %s is computed",
                  flags[i].key, value ? "true" : "false", flags[i].expected ? "true" : "false");
    }
done:
    return status;
}

static hdl_status read_stacks(const json_t *root, hdl__config *config)
{
    hdl_status status = HDL_OK;
    hdl__stack_config *encoder = &config->encoder, *decoder = &config->decoder;
    const char *activation = NULL;
    bool scaled = false;
    HDL_TRY(read_size(root, "d_model", HDL__JSON_REQUIRED, &encoder->E));
    HDL_TRY(read_size(root, "vocab_size", HDL__JSON_REQUIRED, &encoder->V));
    HDL_TRY(read_size(root, "decoder_vocab_size", encoder->V, &decoder->V));
    HDL_TRY(read_size(root, "encoder_layers", HDL__JSON_REQUIRED, &encoder->n_layers));
    HDL_TRY(read_size(root, "decoder_layers", HDL__JSON_REQUIRED, &decoder->n_layers));
    HDL_TRY(read_size(root, "encoder_attention_heads", HDL__JSON_REQUIRED, &encoder->H));
    HDL_TRY(read_size(root, "decoder_attention_heads", HDL__JSON_REQUIRED, &decoder->H));
    HDL_TRY(read_size(root, "encoder_ffn_dim", HDL__JSON_REQUIRED, &encoder->F));
    HDL_TRY(read_size(root, "decoder_ffn_dim", HDL__JSON_REQUIRED, &decoder->F));
    HDL_TRY(read_size(root, "max_position_embeddings", DEFAULT_POSITIONS, &encoder->max_positions));
    HDL_TRY(hdl__json_text(root, CONFIG, "activation_function", "gelu", &activation));
    HDL_TRY(hdl__marianmt_activation(CONFIG, activation, &encoder->activation));
    HDL_TRY(hdl__json_bool(root, CONFIG, "scale_embedding", false, &scaled));
    decoder->E = encoder->E;
    decoder->max_positions = encoder->max_positions;
    decoder->activation = encoder->activation;
    encoder->norm_eps = decoder->norm_eps = NORM_EPS;
    encoder->positions = decoder->positions = HDL__POSITIONS_HF;
    encoder->embed_scale = decoder->embed_scale = scaled ? (float)sqrt((double)encoder->E) : 1.0f;
done:
    return status;
}

static hdl_status read_ids(const json_t *root, hdl__config *config)
{
    hdl_status status = HDL_OK;
    int64_t last = config->decoder.V - 1;
    HDL_TRY(hdl__json_int(root, CONFIG, "pad_token_id", 0, last, -1, &config->pad_id));
    HDL_TRY(hdl__json_int(root, CONFIG, "eos_token_id", 0, last, HDL__JSON_REQUIRED, &config->end_id));
    HDL_TRY(hdl__json_int(root, CONFIG, "bos_token_id", 0, last, -1, &config->bos_id));
    HDL_TRY(hdl__json_int(root, CONFIG, "decoder_start_token_id", 0, last,
                          config->pad_id >= 0 ? config->pad_id : HDL__JSON_REQUIRED, &config->start_id));
    HDL_TRY(hdl__json_int(root, CONFIG, "max_source_length", 0, MAX_SIZE, 0, &config->max_source_length));
    config->text_source_eos = true;
done:
    return status;
}

hdl_status hdl__marianmt_read_config(const hdl__source *source, hdl__config *config, hdl__marianmt_sharing *sharing)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    HDL_TRY(hdl__json_open(source, CONFIG, &root));
    HDL_CHECK(json_is_object(root), HDL_EFORMAT, CONFIG ": expected an object");
    HDL_TRY(check_architecture(root));
    HDL_TRY(read_stacks(root, config));
    HDL_TRY(read_ids(root, config));
    HDL_TRY(hdl__json_bool(root, CONFIG, "share_encoder_decoder_embeddings", true, &sharing->one_embedding));
    HDL_TRY(hdl__json_bool(root, CONFIG, "tie_word_embeddings", true, &sharing->tied_output));
    HDL_CHECK(!sharing->one_embedding || config->encoder.V == config->decoder.V, HDL_EFORMAT,
              CONFIG ": shared embeddings, but vocab_size %d and decoder_vocab_size %d", config->encoder.V,
              config->decoder.V);
done:
    json_decref(root);
    return status;
}

hdl_status hdl__marianmt_read_defaults(const hdl__source *source, hdl__checkpoint *out)
{
    static const struct { const char *key, *option; bool integer; } keys[] = {
        {"num_beams", "beam", true}, {"length_penalty", "length-penalty", false}, {"max_length", "max-length", true},
    };
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    const char *file = hdl__source_has(source, GENERATION_CONFIG) ? GENERATION_CONFIG : CONFIG;
    HDL_TRY(hdl__json_open(source, file, &root));
    HDL_CHECK(json_is_object(root), HDL_EFORMAT, "%s: expected an object", file);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[32];
        int32_t integer = 0;
        double number = 0.0;
        const json_t *value = json_object_get(root, keys[i].key);
        if (value == NULL || json_is_null(value)) continue;
        if (keys[i].integer) {
            HDL_TRY(hdl__json_int(root, file, keys[i].key, 1, INT32_MAX, 1, &integer));
            snprintf(text, sizeof text, "%d", integer);
        } else {
            HDL_TRY(hdl__json_number(root, file, keys[i].key, 0.0, &number));
            /* Not printf, whose decimal point follows the program's locale. */
            size_t n = json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
            HDL_CHECK(n > 0 && n < sizeof text, HDL_EFORMAT, "%s: \"%s\" cannot be written as text", file, keys[i].key);
            text[n] = '\0';
        }
        HDL_TRY(hdl__checkpoint_add_default(out, keys[i].option, text, file));
    }
done:
    json_decref(root);
    return status;
}
