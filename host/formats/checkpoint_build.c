/* checkpoint_build.c - filling a checkpoint: parameters, owned blocks, files, defaults. */
#include "formats/checkpoint_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 256

/* The array with room for one more; it doubles whenever n is a power of two, so no capacity is stored. */
static void *grow_one(void *items, int32_t n, size_t item_bytes)
{
    size_t count = (size_t)n;
    if ((count & (count - 1)) != 0) return items;
    return hdl__regrow(items, count * item_bytes, (count == 0 ? 1 : count * 2) * item_bytes);
}

hdl_status hdl__checkpoint_take(hdl__checkpoint *checkpoint, hdl__raw_tensor *raw, const char *format, ...)
{
    hdl_status status = HDL_OK;
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    HDL_CHECK(n >= 0 && (size_t)n < sizeof name, HDL_EFORMAT, "tensor name too long: %.60s...", raw->name);
    hdl__param *grown = grow_one(checkpoint->params, checkpoint->n_params, sizeof *grown);
    HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %d tensors", checkpoint->n_params + 1);
    checkpoint->params = grown;
    char *copy = hdl__strndup(name, (size_t)n);
    HDL_CHECK(copy != NULL, HDL_ENOMEM, "no memory for tensor name %s", name);
    hdl__param *param = &checkpoint->params[checkpoint->n_params++];
    *param = (hdl__param){.name = copy, .data = raw->data, .dtype = raw->dtype, .rank = raw->rank,
                          .scale = raw->scale, .n_scale = raw->n_scale, .transposed = raw->transposed};
    memcpy(param->shape, raw->shape, sizeof param->shape);
    raw->used = true;
done:
    return status;
}

hdl_status hdl__checkpoint_map(hdl__checkpoint *checkpoint, const hdl__tensor_set *set, const char *file,
                               const char *stored_prefix, const char *canonical_prefix,
                               const hdl__name_pair *pairs, size_t n_pairs)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < n_pairs; i++) {
        hdl__raw_tensor *raw = hdl__tensor_set_find(set, "%s%s", stored_prefix, pairs[i].stored);
        HDL_CHECK(raw != NULL || !pairs[i].required, HDL_EFORMAT, "%s: tensor %s%s is missing", file, stored_prefix,
                  pairs[i].stored);
        if (raw != NULL)
            HDL_TRY(hdl__checkpoint_take(checkpoint, raw, "%s%s", canonical_prefix, pairs[i].canonical));
    }
done:
    return status;
}

hdl_status hdl__checkpoint_own(hdl__checkpoint *checkpoint, void *block)
{
    hdl_status status = HDL_OK;
    void **grown = grow_one(checkpoint->buffers, checkpoint->n_buffers, sizeof *grown);
    HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %d buffers", checkpoint->n_buffers + 1);
    checkpoint->buffers = grown;
    checkpoint->buffers[checkpoint->n_buffers++] = block;
    block = NULL;
done:
    hdl__free(block);
    return status;
}

hdl_status hdl__checkpoint_keep_file(hdl__checkpoint *checkpoint, hdl__file *file)
{
    hdl_status status = HDL_OK;
    hdl__file *grown = grow_one(checkpoint->files, checkpoint->n_files, sizeof *grown);
    HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %d files", checkpoint->n_files + 1);
    checkpoint->files = grown;
    checkpoint->files[checkpoint->n_files++] = *file;
    *file = (hdl__file){0};
done:
    hdl__file_close(file);
    return status;
}

hdl_status hdl__checkpoint_set_text(char **field, const char *text)
{
    hdl_status status = HDL_OK;
    *field = hdl__strdup(text);
    HDL_CHECK(*field != NULL, HDL_ENOMEM, "no memory for \"%s\"", text);
done:
    return status;
}

hdl_status hdl__checkpoint_add_default(hdl__checkpoint *checkpoint, const char *name, const char *value,
                                       const char *file)
{
    hdl_status status = HDL_OK;
    hdl__default *grown = grow_one(checkpoint->defaults, checkpoint->n_defaults, sizeof *grown);
    HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %d defaults", checkpoint->n_defaults + 1);
    checkpoint->defaults = grown;
    hdl__default *entry = &checkpoint->defaults[checkpoint->n_defaults++];
    *entry = (hdl__default){0};
    HDL_TRY(hdl__checkpoint_set_text(&entry->name, name));
    HDL_TRY(hdl__checkpoint_set_text(&entry->value, value));
    HDL_TRY(hdl__checkpoint_set_text(&entry->file, file));
done:
    return status;
}

hdl__config hdl__config_start(void)
{
    hdl__config config = {.output_scale = 1.0f, .start_id = -1, .end_id = -1, .unknown_id = -1, .pad_id = -1,
                          .bos_id = -1, .alignment_layer = -1};
    config.encoder.embed_scale = config.decoder.embed_scale = 1.0f;
    return config;
}
