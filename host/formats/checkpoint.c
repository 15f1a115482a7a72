/* checkpoint.c - finds a model's format by content, runs its loader and the shared checks, closes what was loaded. */
#include "formats/checkpoint_build.h"
#include "formats/json_file.h"
#include "formats/vocabulary_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES 256

const hdl__param *hdl__checkpoint_find(const hdl__checkpoint *checkpoint, const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof name) return NULL;
    int32_t low = 0, high = checkpoint->n_params;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        int order = strcmp(checkpoint->params[middle].name, name);
        if (order == 0) return &checkpoint->params[middle];
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

void hdl__checkpoint_close(hdl__checkpoint *checkpoint)
{
    hdl__free(checkpoint->config.format);
    for (int32_t i = 0; i < checkpoint->n_params; i++) hdl__free(checkpoint->params[i].name);
    hdl__free(checkpoint->params);
    hdl__vocabulary_close(&checkpoint->source_vocabulary);
    hdl__vocabulary_close(&checkpoint->target_vocabulary);
    for (int32_t i = 0; i < checkpoint->n_defaults; i++) {
        hdl__free(checkpoint->defaults[i].name);
        hdl__free(checkpoint->defaults[i].value);
        hdl__free(checkpoint->defaults[i].file);
    }
    hdl__free(checkpoint->defaults);
    for (int i = 0; i < HDL__N_ASSETS; i++) {
        hdl__file_close(&checkpoint->assets[i]);
        hdl__free(checkpoint->asset_names[i]);
    }
    for (int32_t i = 0; i < checkpoint->n_files; i++) hdl__file_close(&checkpoint->files[i]);
    hdl__free(checkpoint->files);
    for (int32_t i = 0; i < checkpoint->n_buffers; i++) hdl__free(checkpoint->buffers[i]);
    hdl__free(checkpoint->buffers);
    *checkpoint = (hdl__checkpoint){0};
}

/* A CTranslate2 file starts with u32 version, then the length of a name or a count, never zero; Marian's with a u64
 * version below 3; a zip with PK. */
static hdl__loader loader_of_container(const hdl__file *file)
{
    uint32_t words[2];
    if (file->n < sizeof words) return NULL;
    memcpy(words, file->data, sizeof words);
    if (memcmp(file->data, "PK\3\4", 4) == 0) return hdl__marian_load;
    if (words[1] == 0) return words[0] == 1 || words[0] == 2 ? hdl__marian_load : NULL;
    return hdl__ct2_load;
}

static hdl_status loader_of_config(const hdl__source *source, hdl__loader *loader)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    const char *type = NULL;
    HDL_TRY(hdl__json_open(source, "config.json", &root));
    HDL_CHECK(json_is_object(root), HDL_EFORMAT, "config.json: expected an object");
    HDL_TRY(hdl__json_text(root, "config.json", "model_type", NULL, &type));
    HDL_CHECK(type != NULL, HDL_EFORMAT, "config.json: \"model_type\" is missing");
    bool own = strcmp(type, "heddle") == 0;
    HDL_CHECK(own || strcmp(type, "marian") == 0, HDL_ENOSUPPORT,
              "config.json: model_type \"%s\" is not computed; marian and heddle are", type);
    *loader = own ? hdl__heddle_load : hdl__marianmt_load;
done:
    json_decref(root);
    return status;
}

static hdl_status detect_directory(const hdl__source *source, hdl__loader *loader)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    char *name = NULL;
    size_t n_npz = 0, n_bin = 0;
    if (hdl__source_has(source, "model.bin")) {
        HDL_TRY(hdl__source_open(source, "model.bin", &file));
        *loader = loader_of_container(&file);
        HDL_CHECK(*loader != NULL, HDL_EFORMAT, "model.bin: neither a CTranslate2 nor a Marian model (%zu bytes)",
                  file.n);
        goto done;
    }
    if (hdl__source_has(source, "config.json")) {
        HDL_TRY(loader_of_config(source, loader));
        goto done;
    }
    HDL_TRY(hdl__source_match(source, ".npz", 0, &name, &n_npz));
    hdl__free(name);
    name = NULL;
    HDL_TRY(hdl__source_match(source, ".bin", 0, &name, &n_bin));
    HDL_CHECK(hdl__source_has(source, "decoder.yml") || n_npz + n_bin > 0, HDL_EFORMAT,
              "no model here: expected model.bin, config.json with model.safetensors, or a Marian .npz or .bin");
    *loader = hdl__marian_load;
done:
    hdl__free(name);
    hdl__file_close(&file);
    return status;
}

static int compare_params(const void *a, const void *b)
{
    const hdl__param *first = a, *second = b;
    return strcmp(first->name, second->name);
}

static hdl_status load_source(const hdl__source *source, const char *file, hdl__loader loader,
                              const hdl_model_options *options, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__checkpoint checkpoint = {0};
    if (loader == NULL) HDL_TRY(detect_directory(source, &loader));
    HDL_TRY(loader(source, file, &checkpoint));
    if (checkpoint.n_params > 1)
        qsort(checkpoint.params, (size_t)checkpoint.n_params, sizeof *checkpoint.params, compare_params);
    HDL_TRY(hdl__checkpoint_check(&checkpoint));
    HDL_TRY(hdl__checkpoint_find_assets(&checkpoint, source, options));
    *out = checkpoint;
    checkpoint = (hdl__checkpoint){0};
done:
    hdl__checkpoint_close(&checkpoint);
    return status;
}

/* A container named by itself: its directory is the source. */
static hdl_status load_file(const char *path, const hdl_model_options *options, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    char *directory = NULL;
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    HDL_TRY(hdl__file_open(path, &file));
    hdl__loader loader = loader_of_container(&file);
    HDL_CHECK(loader == hdl__marian_load, HDL_EFORMAT, "%s: not a model (a model is a directory, .npz or Marian .bin)",
              path);
    if (slash == NULL) directory = hdl__strdup(".");
    else if (slash == path) directory = hdl__strdup("/");
    else directory = hdl__strndup(path, (size_t)(slash - path));
    HDL_CHECK(directory != NULL, HDL_ENOMEM, "%s: no memory for its directory", path);
    const hdl__source source = {.directory = directory};
    HDL_TRY(load_source(&source, name, loader, options, out));
done:
    hdl__free(directory);
    hdl__file_close(&file);
    return status;
}

hdl_status hdl__checkpoint_load(const char *path, const hdl_model_options *options, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    struct stat info;
    HDL_CHECK(path != NULL && out != NULL, HDL_EINVAL, "model: path or result is NULL");
    HDL_CHECK(stat(path, &info) == 0, HDL_EIO, "%s: %s", path, strerror(errno));
    const hdl__source source = {.directory = path};
    status = S_ISDIR(info.st_mode) ? load_source(&source, NULL, NULL, options, out) : load_file(path, options, out);
    if (status != HDL_OK && strncmp(hdl_error_detail(), path, strlen(path)) != 0) hdl__fail_prefix(status, path);
done:
    return status;
}

hdl_status hdl__checkpoint_load_memory(const hdl_memory_file *files, size_t n_files,
                                       const hdl_model_options *options, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(out != NULL && (files != NULL || n_files == 0), HDL_EINVAL, "model: files or result is NULL");
    const hdl__source source = {.memory = files, .n_memory = n_files};
    HDL_TRY(load_source(&source, NULL, NULL, options, out));
done:
    return status;
}

void hdl__param_release(const hdl__checkpoint *checkpoint, const hdl__param *param, size_t offset, size_t bytes)
{
    const uintptr_t at = (uintptr_t)param->data + offset;
    for (int32_t i = 0; i < checkpoint->n_files; i++) {
        const hdl__file *file = &checkpoint->files[i];
        const uintptr_t begin = (uintptr_t)file->data;
        if (at >= begin && at + bytes <= begin + file->n) hdl__file_release(file, at - begin, bytes);
    }
}
