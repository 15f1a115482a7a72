/*
 * json_file.h - JSON files of a model, read strictly: duplicate keys, trailing bytes and invalid UTF-8 are errors.
 *
 * The getters take the file's name for their messages. Absent and null give the fallback; REQUIRED ones have none.
 */
#ifndef HEDDLE_HOST_JSON_FILE_H
#define HEDDLE_HOST_JSON_FILE_H

#include "formats/checkpoint.h"

#include <jansson.h>

#define HDL__JSON_REQUIRED INT64_MIN

/* The root of a JSON file or of `n` bytes named `name`; release it with json_decref. HDL_EFORMAT with line and column. */
hdl_status hdl__json_open(const hdl__source *source, const char *name, json_t **root);
hdl_status hdl__json_parse(const uint8_t *data, size_t n, const char *name, json_t **root);

hdl_status hdl__json_int(const json_t *object, const char *file, const char *key, int64_t low, int64_t high,
                         int64_t fallback, int32_t *out);
hdl_status hdl__json_bool(const json_t *object, const char *file, const char *key, bool fallback, bool *out);
hdl_status hdl__json_number(const json_t *object, const char *file, const char *key, double fallback, double *out);
/* *out borrows from the object; NULL is a possible fallback. */
hdl_status hdl__json_text(const json_t *object, const char *file, const char *key, const char *fallback,
                          const char **out);

#endif
