/*
 * safetensors.h - the container of Hugging Face and of our own directories: u64 header length, JSON header, data.
 */
#ifndef HEDDLE_HOST_SAFETENSORS_H
#define HEDDLE_HOST_SAFETENSORS_H

#include "formats/checkpoint_build.h"

#include <jansson.h>

/* Adds the tensors of one file, whose bytes must outlive the set. Data must be covered without overlap and without
 * gaps, as the format demands. When `metadata` is not NULL it receives "__metadata__" (json_decref; NULL: absent). */
hdl_status hdl__safetensors_read(const hdl__file *bytes, const char *name, hdl__tensor_set *set, json_t **metadata);

/* model.safetensors, or the shards that model.safetensors.index.json lists; files go to the checkpoint, the set is
 * sorted. *name is the file that messages should speak of. */
hdl_status hdl__safetensors_open(const hdl__source *source, hdl__checkpoint *out, hdl__tensor_set *set,
                                 const char **name);

#endif
