/* model_load.c - hdl_model: load from a path or from memory, close. */
#include "base/struct_args.h"
#include "model/model_state.h"

#include <string.h>

static bool same_bytes(const hdl__file *a, const hdl__file *b)
{
    return a->n == b->n && (a->data == b->data || memcmp(a->data, b->data, a->n) == 0);
}

/* Special ids are the target's; the other vocabulary may number the same tokens otherwise. -1: it lacks the token. */
static int32_t find_twin(const hdl__checkpoint *c, const hdl__token_map *map, int32_t target_id)
{
    if (target_id < 0) return -1;
    const char *token = c->target_vocabulary.tokens[target_id];
    return hdl__token_map_find(map, token, strlen(token));
}

static hdl_status open_side(hdl_model *model, hdl__asset_role spm, const hdl__vocabulary *vocabulary,
                            const hdl__token_map *map, const hdl_tokenizer *twin, hdl_tokenizer **out)
{
    const hdl__checkpoint *c = &model->checkpoint;
    const int32_t control[] = {find_twin(c, map, c->config.start_id), find_twin(c, map, c->config.end_id),
                               find_twin(c, map, c->config.pad_id), find_twin(c, map, c->config.bos_id)};
    const bool has_spm = c->assets[spm].data != NULL;
    const hdl__tokenizer_source source = {
        .vocabulary = vocabulary,
        .spm = has_spm ? &c->assets[spm] : NULL,
        .bpe = has_spm ? NULL : &c->assets[HDL__ASSET_BPE_CODES],
        .file_name = has_spm ? c->asset_names[spm] : c->asset_names[HDL__ASSET_BPE_CODES],
        .unknown_id = find_twin(c, map, c->config.unknown_id),
        .control_ids = control,
        .n_control = (int32_t)(sizeof control / sizeof control[0]),
        .twin = twin,
    };
    return hdl__tokenizer_open(&source, out);
}

static bool same_vocabulary(const hdl__vocabulary *a, const hdl__vocabulary *b)
{
    if (a->n != b->n) return false;
    for (int32_t i = 0; i < a->n; i++)
        if (strcmp(a->tokens[i], b->tokens[i]) != 0) return false;
    return true;
}

static hdl_status open_text(hdl_model *model)
{
    hdl_status status = HDL_OK;
    hdl__checkpoint *c = &model->checkpoint;
    hdl__token_map *source_map = NULL;
    const hdl__file *source_spm = &c->assets[HDL__ASSET_SOURCE_SPM], *target_spm = &c->assets[HDL__ASSET_TARGET_SPM];
    HDL_TRY(hdl__token_map_open(&c->target_vocabulary, &model->target_map));
    HDL_TRY(open_side(model, HDL__ASSET_TARGET_SPM, &c->target_vocabulary, model->target_map, NULL, &model->target));
    if (same_bytes(source_spm, target_spm) && same_vocabulary(&c->source_vocabulary, &c->target_vocabulary)) {
        model->source = model->target;
    } else {
        HDL_TRY(hdl__token_map_open(&c->source_vocabulary, &source_map));
        HDL_TRY(open_side(model, HDL__ASSET_SOURCE_SPM, &c->source_vocabulary, source_map, model->target,
                          &model->source));
    }
    if (c->assets[HDL__ASSET_VOCAB_MAP].data != NULL)
        HDL_TRY(hdl__vocab_map_open(&c->assets[HDL__ASSET_VOCAB_MAP], c->asset_names[HDL__ASSET_VOCAB_MAP],
                                    model->target_map, &model->vocab_map));
done:
    hdl__token_map_close(source_map);
    return status;
}

/* Sums over distinct tensors: tied ones point at the same bytes and count once. */
static void count_parameters(hdl_model *model)
{
    const hdl__checkpoint *c = &model->checkpoint;
    const hdl__param *largest = NULL;
    uint64_t largest_n = 0;
    bool mixed = false;
    for (int32_t i = 0; i < c->n_params; i++) {
        const hdl__param *p = &c->params[i];
        bool seen = false;
        for (int32_t j = 0; j < i && !seen; j++) seen = c->params[j].data == p->data;
        if (seen) continue;
        uint64_t n = 1;
        for (int32_t r = 0; r < p->rank; r++) n *= (uint64_t)p->shape[r];
        model->n_parameters += n;
        model->weight_bytes += n * hdl_dtype_bytes(p->dtype);
        if (p->rank < 2) continue;
        mixed = mixed || (largest != NULL && largest->dtype != p->dtype);
        if (n > largest_n) {
            largest = p;
            largest_n = n;
        }
    }
    model->weights_dtype = hdl__strdup(mixed ? "mixed" : largest == NULL ? "none" : hdl_dtype_name(largest->dtype));
}

static hdl_status finish_load(hdl_model *model, hdl_model **out)
{
    hdl_status status = HDL_OK;
    HDL_TRY(open_text(model));
    count_parameters(model);
    HDL_CHECK(model->weights_dtype != NULL, HDL_ENOMEM, "no memory for the model's description");
    *out = model;
done:
    return status;
}

static hdl_status load_with(const char *path, const hdl_memory_file *files, size_t n_files,
                            const hdl_model_options *options, hdl_model **out)
{
    hdl_status status = HDL_OK;
    const hdl_model_options defaults = HDL_MODEL_OPTIONS_INIT;
    hdl_model_options whole;
    hdl_model *model = NULL;
    if (options == NULL) options = &defaults;
    options = hdl__struct_read("hdl_model_options", options, &defaults, &whole, sizeof whole);
    if (options == NULL) return HDL_EINVAL;
    model = hdl__calloc(1, sizeof *model);
    HDL_CHECK(model != NULL, HDL_ENOMEM, "no memory for a model");
    pthread_mutex_init(&model->mutex, NULL);
    if (path != NULL)
        HDL_TRY(hdl__checkpoint_load(path, options, &model->checkpoint));
    else
        HDL_TRY(hdl__checkpoint_load_memory(files, n_files, options, &model->checkpoint));
    HDL_TRY(finish_load(model, out));
    model = NULL;
done:
    hdl_model_close(model);
    return status;
}

hdl_status hdl_model_load(const char *path, const hdl_model_options *options, hdl_model **model)
{
    if (path == NULL || model == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_model_load: %s is NULL", path == NULL ? "path" : "model");
    return load_with(path, NULL, 0, options, model);
}

hdl_status hdl_model_load_memory(const hdl_memory_file *files, size_t n_files, const hdl_model_options *options,
                                 hdl_model **model)
{
    if (files == NULL || model == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_model_load_memory: %s is NULL", files == NULL ? "files" : "model");
    return load_with(NULL, files, n_files, options, model);
}

void hdl_model_close(hdl_model *model)
{
    if (model == NULL) return;
    pthread_mutex_lock(&model->mutex);
    const int users = model->users;
    pthread_mutex_unlock(&model->mutex);
    if (users > 0) {
        hdl__log(HDL_LOG_WARNING, "hdl_model_close: %d translators still use the model; it stays open", users);
        return;
    }
    hdl__vocab_map_close(model->vocab_map);
    hdl__token_map_close(model->target_map);
    if (model->source != model->target) hdl__tokenizer_close(model->source);
    hdl__tokenizer_close(model->target);
    hdl__checkpoint_close(&model->checkpoint);
    hdl__free(model->weights_dtype);
    pthread_mutex_destroy(&model->mutex);
    hdl__free(model);
}
