/*
 * checkpoint_build.h - what the loaders share: filling a checkpoint, the checks that close every load, the loaders.
 *
 * A loader gets a source, fills *out with a configuration, parameters, vocabularies and defaults, and leaves assets,
 * sorting and checks to checkpoint.c. After a failure the caller closes whatever is in *out.
 */
#ifndef HEDDLE_HOST_CHECKPOINT_BUILD_H
#define HEDDLE_HOST_CHECKPOINT_BUILD_H

#include "formats/checkpoint.h"
#include "formats/tensor_set.h"

/* How a stored name becomes a canonical one, within a prefix of each. */
typedef struct hdl__name_pair { const char *stored, *canonical; bool required; } hdl__name_pair;

/* Adds a parameter under a canonical name and marks the stored one as used. */
hdl_status hdl__checkpoint_take(hdl__checkpoint *checkpoint, hdl__raw_tensor *raw, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes STORED_PREFIX + pair.stored as CANONICAL_PREFIX + pair.canonical; a required one that is absent is HDL_EFORMAT
 * naming `file` and the stored name. */
hdl_status hdl__checkpoint_map(hdl__checkpoint *checkpoint, const hdl__tensor_set *set, const char *file,
                               const char *stored_prefix, const char *canonical_prefix,
                               const hdl__name_pair *pairs, size_t n_pairs);
/* Gives a block to the checkpoint, which frees it; on failure it is freed at once. */
hdl_status hdl__checkpoint_own(hdl__checkpoint *checkpoint, void *block);
/* Moves an open file into the checkpoint (*file becomes zero); on failure it is closed. */
hdl_status hdl__checkpoint_keep_file(hdl__checkpoint *checkpoint, hdl__file *file);
hdl_status hdl__checkpoint_add_default(hdl__checkpoint *checkpoint, const char *name, const char *value,
                                       const char *file);
/* A copy of the text in *field, which was NULL. */
hdl_status hdl__checkpoint_set_text(char **field, const char *text);
/* A configuration with every id -1 and the usual scales, for a loader to fill. */
hdl__config hdl__config_start(void);

/* Opens `name` as the asset of a role; a role that is already filled is left alone. */
hdl_status hdl__checkpoint_open_asset(hdl__checkpoint *checkpoint, const hdl__source *source, hdl__asset_role role,
                                      const char *name);
/* The target role borrows the bytes of the source role, unless it has its own. */
hdl_status hdl__checkpoint_share_spm(hdl__checkpoint *checkpoint);
/* Finds tokenizer files and vmap.txt by their usual names, options first. */
hdl_status hdl__checkpoint_find_assets(hdl__checkpoint *checkpoint, const hdl__source *source,
                                       const hdl_model_options *options);

/* Shapes, dtypes, names, ids, vocabulary sizes and finite values against the configuration. Parameters are sorted. */
hdl_status hdl__checkpoint_check(const hdl__checkpoint *checkpoint);
hdl_status hdl__config_check(const hdl__checkpoint *checkpoint);
hdl_status hdl__checkpoint_check_finite(const hdl__checkpoint *checkpoint);

/* The i-th file name of a source that ends with `suffix`, in byte order, as a copy in *name; *n is how many there are.
 * *name stays NULL when i is not below *n. */
hdl_status hdl__source_match(const hdl__source *source, const char *suffix, size_t i, char **name, size_t *n);

/* The loaders. `file` is the container's name within the source; NULL: the format's usual name. */
typedef hdl_status (*hdl__loader)(const hdl__source *source, const char *file, hdl__checkpoint *out);

hdl_status hdl__ct2_load(const hdl__source *source, const char *file, hdl__checkpoint *out);
hdl_status hdl__marianmt_load(const hdl__source *source, const char *file, hdl__checkpoint *out);
hdl_status hdl__heddle_load(const hdl__source *source, const char *file, hdl__checkpoint *out);
hdl_status hdl__marian_load(const hdl__source *source, const char *file, hdl__checkpoint *out);

#endif
