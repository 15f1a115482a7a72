/*
 * marian_file.h - Marian's containers (.npz, .bin) and its YAML options. Internal to the Marian loader.
 */
#ifndef HEDDLE_HOST_MARIAN_FILE_H
#define HEDDLE_HOST_MARIAN_FILE_H

#include "formats/checkpoint_build.h"

#define HDL__MARIAN_OPTIONS_ITEM "special:model.yml"    /* i8 text with one NUL at its end */

/*
 * Readers of containers: tensors under their stored names, as stored ([in, out] for weights, not yet marked), quantised
 * ones with their scale. .bin data is used in place; .npz data is unpacked into buffers of the checkpoint, one tensor at
 * a time. The set is sorted.
 */
hdl_status hdl__marian_read_npz(const hdl__file *bytes, const char *name, hdl__checkpoint *out,
                                hdl__tensor_set *set);
hdl_status hdl__marian_read_bin(const hdl__file *bytes, const char *name, hdl__checkpoint *out,
                                hdl__tensor_set *set);

/* The header of a .npy array: where its data starts, its dtype and shape. HDL_EFORMAT names `name`. */
hdl_status hdl__npy_parse(const uint8_t *data, size_t n, const char *name, hdl__raw_tensor *out, size_t *start);

/* Top-level entries of a YAML mapping: scalars, and sequences of scalars item by item. Deeper levels are skipped. */
typedef struct hdl__yaml_item { char *key, *value; int32_t index; } hdl__yaml_item;    /* index: within a sequence */
typedef struct hdl__yaml { hdl__yaml_item *items; size_t n, capacity; } hdl__yaml;

hdl_status  hdl__yaml_parse(const uint8_t *data, size_t n, const char *name, hdl__yaml *out);
/* The value, or NULL. `index` 0 for scalars. */
const char *hdl__yaml_get(const hdl__yaml *yaml, const char *key, int32_t index);
void        hdl__yaml_close(hdl__yaml *yaml);

/* Options of special:model.yml into the configuration; names every option that is not computed. */
hdl_status hdl__marian_read_options(const hdl__yaml *options, const char *file, hdl__config *config);

/* decoder.yml: what it says of models, vocabularies and defaults. A source without one gives an empty mapping and "". */
hdl_status hdl__marian_find_decoder_yml(const hdl__source *source, const char *file, hdl__yaml *out, char **name);
hdl_status hdl__marian_find_model(const hdl__source *source, const hdl__yaml *decoder, char **name);
hdl_status hdl__marian_load_vocabularies(const hdl__source *source, const hdl__yaml *decoder, hdl__checkpoint *out);
hdl_status hdl__marian_add_defaults(const hdl__yaml *decoder, const char *name, hdl__checkpoint *out);

#endif
