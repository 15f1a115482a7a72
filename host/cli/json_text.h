/*
 * json_text.h - JSON values from what the library gives: any bytes, floats.
 */
#ifndef HEDDLE_JSON_TEXT_H
#define HEDDLE_JSON_TEXT_H

#include "cli.h"

#include <jansson.h>

/* Bytes as a string; what is not UTF-8 becomes U+FFFD. */
json_t *hdl__json_string(const char *text);
/* The shortest decimal that reads back as the same float; null when not finite. */
json_t *hdl__json_float(float value);
json_t *hdl__json_strings(const char *const *items, size_t n);
json_t *hdl__json_floats(const float *values, size_t n);
/* Rows of a matrix [n_rows, n_columns]. */
json_t *hdl__json_matrix(const float *values, size_t n_rows, size_t n_columns);
/* Adds the object on one line, or over many; takes it away from the caller.
 * False: out of memory, also when object is NULL. */
bool hdl__json_put(json_t *object, bool one_line, hdl__cli_text *out);

#endif
