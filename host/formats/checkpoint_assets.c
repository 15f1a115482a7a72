/* checkpoint_assets.c - the files that the text side reads: SentencePiece models, BPE codes, vmap.txt. */
#include "formats/checkpoint_build.h"

#include <string.h>

static const char *const shared_spm[] = {"spm.model", "sentencepiece.model", "sp.model"};
static const char *const bpe_codes[] = {"bpe.codes", "codes.bpe", "bpe.ref", "source.bpe"};

hdl_status hdl__checkpoint_open_asset(hdl__checkpoint *checkpoint, const hdl__source *source, hdl__asset_role role,
                                      const char *name)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    if (checkpoint->assets[role].data != NULL) goto done;
    HDL_TRY(hdl__source_open(source, name, &file));
    HDL_CHECK(file.data != NULL, HDL_EFORMAT, "%s: empty file", name);
    HDL_TRY(hdl__checkpoint_set_text(&checkpoint->asset_names[role], name));
    checkpoint->assets[role] = file;
    file = (hdl__file){0};
done:
    hdl__file_close(&file);
    return status;
}

/* A path from the options: of the file system, or a name among the files in memory. It replaces what a loader found. */
static hdl_status open_option(hdl__checkpoint *checkpoint, const hdl__source *source, hdl__asset_role role,
                              const char *path)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    char *name = NULL;
    if (source->directory == NULL) HDL_TRY(hdl__source_open(source, path, &file));
    else HDL_TRY(hdl__file_open(path, &file));
    HDL_CHECK(file.data != NULL, HDL_EFORMAT, "%s: empty file", path);
    HDL_TRY(hdl__checkpoint_set_text(&name, path));
    hdl__file_close(&checkpoint->assets[role]);
    hdl__free(checkpoint->asset_names[role]);
    checkpoint->assets[role] = file;
    checkpoint->asset_names[role] = name;
    file = (hdl__file){0};
done:
    hdl__file_close(&file);
    return status;
}

hdl_status hdl__checkpoint_share_spm(hdl__checkpoint *checkpoint)
{
    hdl_status status = HDL_OK;
    hdl__file *target = &checkpoint->assets[HDL__ASSET_TARGET_SPM];
    if (target->data != NULL) goto done;
    HDL_TRY(hdl__checkpoint_set_text(&checkpoint->asset_names[HDL__ASSET_TARGET_SPM],
                                     checkpoint->asset_names[HDL__ASSET_SOURCE_SPM]));
    *target = checkpoint->assets[HDL__ASSET_SOURCE_SPM];
    target->owned = 0;
done:
    return status;
}

static hdl_status find_spm(hdl__checkpoint *checkpoint, const hdl__source *source)
{
    hdl_status status = HDL_OK;
    char *name = NULL;
    size_t n = 0;
    if (hdl__source_has(source, "source.spm") && hdl__source_has(source, "target.spm")) {
        HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_SOURCE_SPM, "source.spm"));
        HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_TARGET_SPM, "target.spm"));
        goto done;
    }
    for (size_t i = 0; i < sizeof shared_spm / sizeof *shared_spm && checkpoint->assets[HDL__ASSET_SOURCE_SPM].data == NULL; i++)
        if (hdl__source_has(source, shared_spm[i]))
            HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_SOURCE_SPM, shared_spm[i]));
    if (checkpoint->assets[HDL__ASSET_SOURCE_SPM].data == NULL) {
        HDL_TRY(hdl__source_match(source, ".spm", 0, &name, &n));
        if (n == 1) HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_SOURCE_SPM, name));
    }
    if (checkpoint->assets[HDL__ASSET_SOURCE_SPM].data != NULL) HDL_TRY(hdl__checkpoint_share_spm(checkpoint));
done:
    hdl__free(name);
    return status;
}

static hdl_status find_bpe(hdl__checkpoint *checkpoint, const hdl__source *source)
{
    hdl_status status = HDL_OK;
    char *name = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof bpe_codes / sizeof *bpe_codes; i++)
        if (hdl__source_has(source, bpe_codes[i])) {
            HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_BPE_CODES, bpe_codes[i]));
            goto done;
        }
    HDL_TRY(hdl__source_match(source, ".bpe", 0, &name, &n));
    if (n == 1) HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_BPE_CODES, name));
done:
    hdl__free(name);
    return status;
}

static hdl_status open_options(hdl__checkpoint *checkpoint, const hdl__source *source,
                               const hdl_model_options *options)
{
    hdl_status status = HDL_OK;
    const char *source_spm = options->source_spm != NULL ? options->source_spm : options->spm;
    const char *target_spm = options->target_spm != NULL ? options->target_spm : options->spm;
    bool loaded = checkpoint->assets[HDL__ASSET_SOURCE_SPM].data != NULL;
    if (!loaded && (source_spm == NULL || target_spm == NULL)) HDL_TRY(find_spm(checkpoint, source));
    if (target_spm != NULL) HDL_TRY(open_option(checkpoint, source, HDL__ASSET_TARGET_SPM, target_spm));
    if (source_spm != NULL) {
        /* The target may borrow the bytes that are replaced here: it becomes their owner. */
        bool borrowed = target_spm == NULL && checkpoint->assets[HDL__ASSET_TARGET_SPM].data != NULL
                        && checkpoint->assets[HDL__ASSET_TARGET_SPM].data
                               == checkpoint->assets[HDL__ASSET_SOURCE_SPM].data;
        if (borrowed) {
            checkpoint->assets[HDL__ASSET_TARGET_SPM].owned = checkpoint->assets[HDL__ASSET_SOURCE_SPM].owned;
            checkpoint->assets[HDL__ASSET_SOURCE_SPM].owned = 0;
        }
        HDL_TRY(open_option(checkpoint, source, HDL__ASSET_SOURCE_SPM, source_spm));
    }
    if (checkpoint->assets[HDL__ASSET_SOURCE_SPM].data == NULL
        && checkpoint->assets[HDL__ASSET_TARGET_SPM].data == NULL)
        HDL_TRY(find_bpe(checkpoint, source));
done:
    return status;
}

hdl_status hdl__checkpoint_find_assets(hdl__checkpoint *checkpoint, const hdl__source *source,
                                       const hdl_model_options *options)
{
    hdl_status status = HDL_OK;
    const hdl_model_options defaults = HDL_MODEL_OPTIONS_INIT, known = options != NULL ? *options : defaults;
    if (!known.tokens_only) HDL_TRY(open_options(checkpoint, source, &known));
    if (known.vocab_map != NULL)
        HDL_TRY(open_option(checkpoint, source, HDL__ASSET_VOCAB_MAP, known.vocab_map));
    else if (hdl__source_has(source, "vmap.txt"))
        HDL_TRY(hdl__checkpoint_open_asset(checkpoint, source, HDL__ASSET_VOCAB_MAP, "vmap.txt"));
done:
    return status;
}
