/* heddle_format.c - reads the directories that checkpoint_save.c writes: canonical names, nothing to translate. */
#include "formats/heddle_config.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "formats/vocabulary_file.h"

#include <string.h>

#define CONFIG "config.json"

static hdl_status attach_scales(const hdl__tensor_set *set, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < set->n; i++) {
        hdl__raw_tensor *scale = hdl__tensor_set_find(set, "%s.scale", set->items[i].name);
        if (scale == NULL) continue;
        size_t n = scale->bytes / sizeof(float);
        HDL_CHECK(scale->dtype == HDL_F32 && scale->rank == 1 && n > 0, HDL_EFORMAT,
                  "%s: tensor %s: %s of rank %d, expected f32 values", file, scale->name,
                  hdl_dtype_name(scale->dtype), scale->rank);
        float *copy = hdl__calloc(n, sizeof *copy);
        HDL_CHECK(copy != NULL, HDL_ENOMEM, "%s: no memory for %zu scales", file, n);
        memcpy(copy, scale->data, n * sizeof *copy);
        HDL_TRY(hdl__checkpoint_own(out, copy));
        set->items[i].scale = copy;
        set->items[i].n_scale = (int64_t)n;
        scale->used = true;
    }
done:
    return status;
}

static hdl_status mark_transposed(const hdl__tensor_set *set, const json_t *root)
{
    hdl_status status = HDL_OK;
    const json_t *names = json_object_get(root, "transposed");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        hdl__raw_tensor *tensor = name == NULL ? NULL : hdl__tensor_set_find(set, "%s", name);
        HDL_CHECK(tensor != NULL, HDL_EFORMAT, CONFIG ": \"transposed\" names %s, which is no tensor",
                  name == NULL ? "(no string)" : name);
        tensor->transposed = true;
    }
done:
    return status;
}

static hdl_status take_all(const hdl__tensor_set *set, const json_t *root, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    const char *name;
    json_t *value;
    for (size_t i = 0; i < set->n; i++)
        if (!set->items[i].used) HDL_TRY(hdl__checkpoint_take(out, &set->items[i], "%s", set->items[i].name));
    json_object_foreach(json_object_get(root, "tied"), name, value) {
        const char *target = json_string_value(value);
        hdl__raw_tensor *tensor = target == NULL ? NULL : hdl__tensor_set_find(set, "%s", target);
        HDL_CHECK(tensor != NULL, HDL_EFORMAT, CONFIG ": \"%s\" is tied to %s, which is no tensor", name,
                  target == NULL ? "(no string)" : target);
        HDL_TRY(hdl__checkpoint_take(out, tensor, "%s", name));
    }
done:
    return status;
}

static hdl_status read_defaults(const json_t *root, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(root, "defaults"), name, value) {
        const char *text = json_string_value(value);
        HDL_CHECK(text != NULL, HDL_EFORMAT, CONFIG ": default \"%s\" is not a string", name);
        HDL_TRY(hdl__checkpoint_add_default(out, name, text, CONFIG));
    }
done:
    return status;
}

static hdl_status read_vocabularies(const hdl__source *source, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    if (hdl__source_has(source, "shared_vocabulary.json")) {
        HDL_TRY(hdl__vocabulary_open(source, "shared_vocabulary.json", NULL, &out->source_vocabulary));
        HDL_TRY(hdl__vocabulary_copy(&out->source_vocabulary, &out->target_vocabulary));
        goto done;
    }
    HDL_TRY(hdl__vocabulary_open(source, "source_vocabulary.json", NULL, &out->source_vocabulary));
    HDL_TRY(hdl__vocabulary_open(source, "target_vocabulary.json", NULL, &out->target_vocabulary));
done:
    return status;
}

hdl_status hdl__heddle_load(const hdl__source *source, const char *file, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__tensor_set set = {0};
    json_t *root = NULL;
    HDL_TRY(hdl__json_open(source, CONFIG, &root));
    out->config = hdl__config_start();
    HDL_TRY(hdl__heddle_config_read(root, &out->config));
    HDL_TRY(hdl__checkpoint_set_text(&out->config.format, "heddle"));
    HDL_TRY(hdl__safetensors_open(source, out, &set, &file));
    HDL_TRY(mark_transposed(&set, root));
    HDL_TRY(attach_scales(&set, file, out));
    HDL_TRY(take_all(&set, root, out));
    HDL_TRY(read_vocabularies(source, out));
    HDL_TRY(read_defaults(root, out));
done:
    json_decref(root);
    hdl__tensor_set_close(&set);
    return status;
}
