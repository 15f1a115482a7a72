/* json_text.c - JSON values from what the library gives. */
#include "json_text.h"
#include "utf8_clean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLOAT_DIGITS 9      /* enough for any float; a shorter decimal keeps its length */

json_t *hdl__json_string(const char *text)
{
    json_t *string = json_string(text);
    if (string) return string;
    hdl__cli_text clean = { 0 };
    hdl__utf8_add_clean(&clean, text, strlen(text));
    if (clean.data && !clean.failed) string = json_string(clean.data);
    hdl__cli_text_free(&clean);
    return string;
}

json_t *hdl__json_float(float value)
{
    char number[HDL__CLI_FLOAT_BYTES];
    if (!isfinite(value)) return json_null();
    /* The double nearest to the short decimal prints as that decimal again. */
    return json_real(strtod(hdl__cli_float(number, value), NULL));
}

static json_t *add(json_t *array, json_t *value)
{
    if (array && json_array_append_new(array, value) == 0) return array;
    json_decref(array);
    return NULL;
}

json_t *hdl__json_strings(const char *const *items, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n && array; ++i) array = add(array, hdl__json_string(items[i]));
    return array;
}

json_t *hdl__json_floats(const float *values, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n && array; ++i) array = add(array, hdl__json_float(values[i]));
    return array;
}

json_t *hdl__json_matrix(const float *values, size_t n_rows, size_t n_columns)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n_rows && array; ++i)
        array = add(array, hdl__json_floats(values + i * n_columns, n_columns));
    return array;
}

bool hdl__json_put(json_t *object, bool one_line, hdl__cli_text *out)
{
    size_t layout = one_line ? JSON_COMPACT : JSON_INDENT(1);
    char *text = object ? json_dumps(object, layout | JSON_REAL_PRECISION(FLOAT_DIGITS)) : NULL;
    json_decref(object);
    if (!text) return false;
    hdl__cli_text_puts(out, text);
    hdl__cli_text_add(out, "\n", 1);
    free(text);
    return true;
}
