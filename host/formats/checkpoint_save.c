/* checkpoint_save.c - writes a checkpoint as a heddle directory: safetensors, config.json, vocabularies, assets. */
#define _GNU_SOURCE
#include "formats/heddle_config.h"
#include "formats/vocabulary_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_ALIGN 8    /* the header is filled with spaces so that data starts on a multiple of it */

/* A file in the making; every write is checked, a failed one is removed. */
typedef struct output { FILE *file; char *path; } output;

static hdl_status open_output(const char *directory, const char *name, output *out)
{
    hdl_status status = HDL_OK;
    hdl__str path = {0};
    hdl__str_printf(&path, "%s/%s", directory, name);
    HDL_CHECK(!path.failed, HDL_ENOMEM, "%s: no memory for its path", name);
    FILE *file = fopen(path.data, "wbxe");
    HDL_CHECK(file != NULL, HDL_EIO, "%s: %s", path.data, strerror(errno));
    *out = (output){.file = file, .path = path.data};
    path = (hdl__str){0};
done:
    hdl__str_free(&path);
    return status;
}

static hdl_status put_bytes(const output *out, const void *data, size_t n)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(n == 0 || fwrite(data, 1, n, out->file) == n, HDL_EIO, "%s: %s", out->path, strerror(errno));
done:
    return status;
}

/* Closes; `status` is what happened so far and is returned unless closing is the first failure. */
static hdl_status close_output(output *out, hdl_status status)
{
    if (out->file == NULL) return status;
    if (fclose(out->file) != 0 && status == HDL_OK) status = hdl__fail(HDL_EIO, "%s: %s", out->path, strerror(errno));
    if (status != HDL_OK) unlink(out->path);
    hdl__free(out->path);
    *out = (output){0};
    return status;
}

static hdl_status save_bytes(const char *directory, const char *name, const void *data, size_t n)
{
    hdl_status status = HDL_OK;
    output out = {0};
    HDL_TRY(open_output(directory, name, &out));
    HDL_TRY(put_bytes(&out, data, n));
done:
    return close_output(&out, status);
}

static hdl_status save_json(const char *directory, const char *name, const json_t *root)
{
    hdl_status status = HDL_OK;
    output out = {0};
    HDL_TRY(open_output(directory, name, &out));
    HDL_CHECK(json_dumpf(root, out.file, JSON_INDENT(1)) == 0, HDL_EIO, "%s: %s", out.path, strerror(errno));
    HDL_TRY(put_bytes(&out, "\n", 1));
done:
    return close_output(&out, status);
}

static size_t param_bytes(const hdl__param *p)
{
    size_t bytes = 0;
    return hdl__shape_bytes(p->shape, p->rank, hdl_dtype_bytes(p->dtype), &bytes) ? bytes : 0;
}

/* The first parameter with the same stored data, which may be the parameter itself. */
static const hdl__param *owner_of(const hdl__checkpoint *checkpoint, const hdl__param *p)
{
    for (const hdl__param *q = checkpoint->params; q < p; q++)
        if (q->data == p->data && q->dtype == p->dtype && q->rank == p->rank && q->transposed == p->transposed
            && memcmp(q->shape, p->shape, sizeof q->shape[0] * (size_t)q->rank) == 0)
            return q;
    return p;
}

static const char *stored_dtype(hdl_dtype dtype)
{
    switch (dtype) {
    case HDL_F32: return "F32";
    case HDL_F16: return "F16";
    case HDL_BF16: return "BF16";
    case HDL_I8: return "I8";
    case HDL_I16: return "I16";
    case HDL_I32:
    case HDL_U8:
    case HDL_I64: break;    /* no parameter has them */
    }
    return NULL;
}

static void add_entry(hdl__str *header, const char *name, const char *suffix, const char *dtype, size_t *at,
                      size_t bytes)
{
    hdl__str_printf(header, "%s\"%s%s\":{\"dtype\":\"%s\",\"data_offsets\":[%zu,%zu],\"shape\":[",
                    header->n > 1 ? "," : "", name, suffix, dtype, *at, *at + bytes);
    *at += bytes;
}

static hdl_status make_header(const hdl__checkpoint *checkpoint, hdl__str *header)
{
    hdl_status status = HDL_OK;
    size_t at = 0;
    hdl__str_puts(header, "{");
    for (int32_t i = 0; i < checkpoint->n_params; i++) {
        const hdl__param *p = &checkpoint->params[i];
        if (owner_of(checkpoint, p) != p) continue;
        HDL_CHECK(stored_dtype(p->dtype) != NULL, HDL_EDTYPE, "tensor %s: %s cannot be saved", p->name,
                  hdl_dtype_name(p->dtype));
        add_entry(header, p->name, "", stored_dtype(p->dtype), &at, param_bytes(p));
        for (int32_t k = 0; k < p->rank; k++) hdl__str_printf(header, "%s%" PRId64, k == 0 ? "" : ",", p->shape[k]);
        hdl__str_puts(header, "]}");
        if (p->scale == NULL) continue;
        add_entry(header, p->name, ".scale", "F32", &at, (size_t)p->n_scale * sizeof *p->scale);
        hdl__str_printf(header, "%" PRId64 "]}", p->n_scale);
    }
    hdl__str_puts(header, "}");
    while (!header->failed && header->n % HEADER_ALIGN != 0) hdl__str_puts(header, " ");
    HDL_CHECK(!header->failed, HDL_ENOMEM, "no memory for the header of %d tensors", checkpoint->n_params);
done:
    return status;
}

static hdl_status save_weights(const hdl__checkpoint *checkpoint, const char *directory)
{
    hdl_status status = HDL_OK;
    hdl__str header = {0};
    output out = {0};
    HDL_TRY(make_header(checkpoint, &header));
    HDL_TRY(open_output(directory, "model.safetensors", &out));
    uint64_t n_header = header.n;
    HDL_TRY(put_bytes(&out, &n_header, sizeof n_header));
    HDL_TRY(put_bytes(&out, header.data, header.n));
    for (int32_t i = 0; i < checkpoint->n_params; i++) {
        const hdl__param *p = &checkpoint->params[i];
        if (owner_of(checkpoint, p) != p) continue;
        HDL_TRY(put_bytes(&out, p->data, param_bytes(p)));
        if (p->scale != NULL) HDL_TRY(put_bytes(&out, p->scale, (size_t)p->n_scale * sizeof *p->scale));
    }
done:
    hdl__str_free(&header);
    return close_output(&out, status);
}

static hdl_status save_config(const hdl__checkpoint *checkpoint, const char *directory)
{
    hdl_status status = HDL_OK;
    bool added = true;
    json_t *root = NULL, *tied = json_object(), *transposed = json_array(), *defaults = json_object();
    HDL_TRY(hdl__heddle_config_write(&checkpoint->config, &root));
    for (int32_t i = 0; i < checkpoint->n_params; i++) {
        const hdl__param *p = &checkpoint->params[i], *owner = owner_of(checkpoint, p);
        if (owner != p) added &= json_object_set_new(tied, p->name, json_string(owner->name)) == 0;
        else if (p->transposed) added &= json_array_append_new(transposed, json_string(p->name)) == 0;
    }
    for (int32_t i = 0; i < checkpoint->n_defaults; i++)
        added &= json_object_set_new(defaults, checkpoint->defaults[i].name,
                                     json_string(checkpoint->defaults[i].value)) == 0;
    added &= json_object_set(root, "tied", tied) == 0;
    added &= json_object_set(root, "transposed", transposed) == 0;
    added &= json_object_set(root, "defaults", defaults) == 0;
    HDL_CHECK(added, HDL_ENOMEM, "config.json: no memory");
    HDL_TRY(save_json(directory, "config.json", root));
done:
    json_decref(root);
    json_decref(tied);
    json_decref(transposed);
    json_decref(defaults);
    return status;
}

static hdl_status save_vocabulary(const hdl__vocabulary *vocabulary, const char *directory, const char *name)
{
    hdl_status status = HDL_OK;
    json_t *tokens = json_array();
    for (int32_t i = 0; i < vocabulary->n; i++)
        HDL_CHECK(json_array_append_new(tokens, json_string(vocabulary->tokens[i])) == 0, HDL_ENOMEM,
                  "%s: no memory for token %d", name, i);
    HDL_TRY(save_json(directory, name, tokens));
done:
    json_decref(tokens);
    return status;
}

static hdl_status save_vocabularies(const hdl__checkpoint *checkpoint, const char *directory)
{
    hdl_status status = HDL_OK;
    const hdl__vocabulary *source = &checkpoint->source_vocabulary, *target = &checkpoint->target_vocabulary;
    bool same = source->n == target->n;
    for (int32_t i = 0; same && i < source->n; i++) same = strcmp(source->tokens[i], target->tokens[i]) == 0;
    if (same) {
        HDL_TRY(save_vocabulary(source, directory, "shared_vocabulary.json"));
    } else {
        HDL_TRY(save_vocabulary(source, directory, "source_vocabulary.json"));
        HDL_TRY(save_vocabulary(target, directory, "target_vocabulary.json"));
    }
done:
    return status;
}

static hdl_status save_assets(const hdl__checkpoint *checkpoint, const char *directory)
{
    static const char *const names[HDL__N_ASSETS] = {
        [HDL__ASSET_SOURCE_SPM] = "source.spm", [HDL__ASSET_TARGET_SPM] = "target.spm",
        [HDL__ASSET_BPE_CODES] = "bpe.codes", [HDL__ASSET_VOCAB_MAP] = "vmap.txt",
    };
    hdl_status status = HDL_OK;
    const hdl__file *source = &checkpoint->assets[HDL__ASSET_SOURCE_SPM];
    bool shared = source->data != NULL && source->data == checkpoint->assets[HDL__ASSET_TARGET_SPM].data;
    if (shared) HDL_TRY(save_bytes(directory, "spm.model", source->data, source->n));
    for (int role = 0; role < HDL__N_ASSETS; role++) {
        const hdl__file *file = &checkpoint->assets[role];
        if (file->data == NULL || (shared && file->data == source->data)) continue;
        HDL_TRY(save_bytes(directory, names[role], file->data, file->n));
    }
done:
    return status;
}

/* Makes the directory, or accepts an empty one. */
static hdl_status prepare_directory(const char *directory)
{
    hdl_status status = HDL_OK;
    DIR *listing = NULL;
    if (mkdir(directory, 0777) == 0) goto done;
    HDL_CHECK(errno == EEXIST, HDL_EIO, "%s: %s", directory, strerror(errno));
    listing = opendir(directory);
    HDL_CHECK(listing != NULL, HDL_EIO, "%s: %s", directory, strerror(errno));
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        HDL_CHECK(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0, HDL_EINVAL,
                  "%s: exists and is not empty (it holds %s)", directory, entry->d_name);
done:
    if (listing != NULL) closedir(listing);
    return status;
}

hdl_status hdl__checkpoint_save(const hdl__checkpoint *checkpoint, const char *directory)
{
    hdl_status status = HDL_OK;
    HDL_TRY(prepare_directory(directory));
    HDL_TRY(save_weights(checkpoint, directory));
    HDL_TRY(save_config(checkpoint, directory));
    HDL_TRY(save_vocabularies(checkpoint, directory));
    HDL_TRY(save_assets(checkpoint, directory));
done:
    return status;
}
