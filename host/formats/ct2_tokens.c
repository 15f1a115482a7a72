/* ct2_tokens.c - vocabularies and special tokens of a CTranslate2 model: config.json, or variables before version 6. */
#include "formats/ct2_file.h"
#include "formats/json_file.h"
#include "formats/vocabulary_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_VERSION 6    /* the first binary version that keeps special tokens in config.json */

typedef struct special_tokens {
    char *unknown, *bos, *end, *start;    /* start NULL: the caller puts it in the prefix */
    bool  source_bos, source_eos;
} special_tokens;

static void free_specials(special_tokens *tokens)
{
    hdl__free(tokens->unknown);
    hdl__free(tokens->bos);
    hdl__free(tokens->end);
    hdl__free(tokens->start);
}

static hdl_status specials_from_variables(const hdl__ct2_file *file, special_tokens *tokens)
{
    hdl_status status = HDL_OK;
    int32_t source_bos = 0, source_eos = 0, user_start = 0, target_bos = 0;
    HDL_TRY(hdl__ct2_text(file, "unk_token", "<unk>", &tokens->unknown));
    HDL_TRY(hdl__ct2_text(file, "bos_token", "<s>", &tokens->bos));
    HDL_TRY(hdl__ct2_text(file, "eos_token", "</s>", &tokens->end));
    HDL_TRY(hdl__ct2_int(file, "with_source_bos", 0, 1, 0, &source_bos));
    HDL_TRY(hdl__ct2_int(file, "with_source_eos", 0, 1, 0, &source_eos));
    HDL_TRY(hdl__ct2_int(file, "user_decoder_start_tokens", 0, 1, 0, &user_start));
    HDL_TRY(hdl__ct2_int(file, "with_target_bos", 0, 1, 1, &target_bos));
    tokens->source_bos = source_bos != 0;
    tokens->source_eos = source_eos != 0;
    if (user_start == 0)
        HDL_TRY(hdl__checkpoint_set_text(&tokens->start, target_bos != 0 ? tokens->bos : tokens->end));
done:
    return status;
}

static hdl_status copy_text(const json_t *root, const char *key, const char *fallback, char **out)
{
    const char *text = NULL;
    hdl_status status = hdl__json_text(root, "config.json", key, fallback, &text);
    return status == HDL_OK ? hdl__checkpoint_set_text(out, text) : status;
}

static hdl_status specials_from_config(const json_t *root, special_tokens *tokens)
{
    hdl_status status = HDL_OK;
    int32_t quantization = 0;
    HDL_TRY(copy_text(root, "unk_token", "<unk>", &tokens->unknown));
    HDL_TRY(copy_text(root, "bos_token", "<s>", &tokens->bos));
    HDL_TRY(copy_text(root, "eos_token", "</s>", &tokens->end));
    const json_t *start = json_object_get(root, "decoder_start_token");
    if (start == NULL || !json_is_null(start)) HDL_TRY(copy_text(root, "decoder_start_token", "<s>", &tokens->start));
    HDL_TRY(hdl__json_bool(root, "config.json", "add_source_bos", false, &tokens->source_bos));
    HDL_TRY(hdl__json_bool(root, "config.json", "add_source_eos", false, &tokens->source_eos));
    HDL_TRY(hdl__json_int(root, "config.json", "quantization_type", 0, INT32_MAX, 0, &quantization));
    HDL_CHECK(quantization == 0, HDL_ENOSUPPORT,
              "config.json: quantization_type %d (AWQ) is not computed; 0 is", quantization);
done:
    return status;
}

/* config.json as an object, or NULL when there is none. */
static hdl_status open_config(const hdl__source *source, json_t **root)
{
    hdl_status status = HDL_OK;
    json_t *value = NULL;
    if (!hdl__source_has(source, "config.json")) goto done;
    HDL_TRY(hdl__json_open(source, "config.json", &value));
    HDL_CHECK(json_is_object(value), HDL_EFORMAT, "config.json: expected an object");
    *root = value;
    value = NULL;
done:
    json_decref(value);
    return status;
}

hdl_status hdl__ct2_norm_eps(const hdl__source *source, float *out)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    double eps = 0.0;
    HDL_TRY(open_config(source, &root));
    if (root == NULL) goto done;
    HDL_TRY(hdl__json_number(root, "config.json", "layer_norm_epsilon", 0.0, &eps));
    HDL_CHECK(isfinite(eps) && eps >= 0.0 && eps < 1.0, HDL_EFORMAT,
              "config.json: \"layer_norm_epsilon\" is %g, expected a number from 0 to 1", eps);
    *out = (float)eps;
done:
    json_decref(root);
    return status;
}

/* Reads STEM.json, or STEM.txt; *found says whether there was one. */
static hdl_status read_vocabulary(const hdl__source *source, const char *stem, const char *unknown, bool *found,
                                  hdl__vocabulary *out)
{
    static const char *const suffixes[] = {".json", ".txt"};
    hdl_status status = HDL_OK;
    char name[64];
    *found = false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes && !*found; i++) {
        snprintf(name, sizeof name, "%s%s", stem, suffixes[i]);
        if (!hdl__source_has(source, name)) continue;
        HDL_TRY(hdl__vocabulary_open(source, name, unknown, out));
        *found = true;
    }
done:
    return status;
}

static hdl_status read_vocabularies(const hdl__source *source, const char *unknown, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    bool found = false;
    HDL_TRY(read_vocabulary(source, "target_vocabulary", unknown, &found, &out->target_vocabulary));
    if (!found) {
        HDL_TRY(read_vocabulary(source, "shared_vocabulary", unknown, &found, &out->target_vocabulary));
        HDL_CHECK(found, HDL_EIO, "neither shared_vocabulary nor target_vocabulary (.json or .txt) is here");
        HDL_TRY(hdl__vocabulary_copy(&out->target_vocabulary, &out->source_vocabulary));
        goto done;
    }
    HDL_TRY(read_vocabulary(source, "source_vocabulary", unknown, &found, &out->source_vocabulary));
    if (found) goto done;
    HDL_TRY(read_vocabulary(source, "source_1_vocabulary", unknown, &found, &out->source_vocabulary));
    HDL_CHECK(!found, HDL_ENOSUPPORT, "source_1_vocabulary: several source features are not computed");
    HDL_TRY(read_vocabulary(source, "shared_vocabulary", unknown, &found, &out->source_vocabulary));
    HDL_CHECK(found, HDL_EIO, "neither source_vocabulary nor shared_vocabulary (.json or .txt) is here");
done:
    return status;
}

static hdl_status set_ids(const special_tokens *tokens, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__config *config = &out->config;
    const hdl__vocabulary *target = &out->target_vocabulary;
    config->unknown_id = hdl__vocabulary_find(target, tokens->unknown);
    config->bos_id = hdl__vocabulary_find(target, tokens->bos);
    config->end_id = hdl__vocabulary_find(target, tokens->end);
    HDL_CHECK(config->end_id >= 0, HDL_EFORMAT, "the end token \"%s\" is not in the target vocabulary", tokens->end);
    if (tokens->start != NULL) {
        config->start_id = hdl__vocabulary_find(target, tokens->start);
        /* Any id does where the first input is the zero vector: Marian's vocabularies have no <s>. */
        if (config->start_id < 0 && config->start_is_zero) config->start_id = config->unknown_id;
        HDL_CHECK(config->start_id >= 0, HDL_EFORMAT, "the start token \"%s\" is not in the target vocabulary",
                  tokens->start);
    }
    config->source_bos = tokens->source_bos;
    config->source_eos = tokens->source_eos;
    HDL_CHECK(!config->source_bos || hdl__vocabulary_find(&out->source_vocabulary, tokens->bos) >= 0, HDL_EFORMAT,
              "the token \"%s\" before every source is not in the source vocabulary", tokens->bos);
    HDL_CHECK(!config->source_eos || hdl__vocabulary_find(&out->source_vocabulary, tokens->end) >= 0, HDL_EFORMAT,
              "the token \"%s\" after every source is not in the source vocabulary", tokens->end);
    /* Models that came from Marian were trained with the end token after every source, and their tokenizers add it. */
    config->text_source_eos = config->source_eos || config->start_is_zero || config->start_id == config->end_id;
done:
    return status;
}

hdl_status hdl__ct2_load_tokens(const hdl__source *source, const hdl__ct2_file *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    special_tokens tokens = {0};
    if (file->version >= CONFIG_VERSION) {
        HDL_TRY(open_config(source, &root));
        HDL_CHECK(root != NULL, HDL_EIO, "config.json: missing beside model.bin of version %d", CONFIG_VERSION);
        HDL_TRY(specials_from_config(root, &tokens));
    } else {
        HDL_TRY(specials_from_variables(file, &tokens));
    }
    HDL_TRY(read_vocabularies(source, tokens.unknown, out));
    HDL_TRY(set_ids(&tokens, out));
done:
    free_specials(&tokens);
    json_decref(root);
    return status;
}
