/* json_file.c - strict JSON files and typed getters with messages. */
#include "formats/json_file.h"

#include <inttypes.h>

static const char *type_words(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "?";
}

hdl_status hdl__json_parse(const uint8_t *data, size_t n, const char *name, json_t **root)
{
    hdl_status status = HDL_OK;
    json_error_t error;
    HDL_CHECK(n > 0, HDL_EFORMAT, "%s: empty, expected JSON", name);
    json_t *value = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, &error);
    HDL_CHECK(value != NULL || json_error_code(&error) != json_error_out_of_memory, HDL_ENOMEM,
              "%s: no memory for its JSON", name);
    HDL_CHECK(value != NULL, HDL_EFORMAT, "%s: line %d, column %d: %s", name, error.line, error.column, error.text);
    *root = value;
done:
    return status;
}

hdl_status hdl__json_open(const hdl__source *source, const char *name, json_t **root)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    HDL_TRY(hdl__source_open(source, name, &file));
    HDL_TRY(hdl__json_parse(file.data, file.n, name, root));
done:
    hdl__file_close(&file);
    return status;
}

hdl_status hdl__json_int(const json_t *object, const char *file, const char *key, int64_t low, int64_t high,
                         int64_t fallback, int32_t *out)
{
    hdl_status status = HDL_OK;
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value)) {
        HDL_CHECK(fallback != HDL__JSON_REQUIRED, HDL_EFORMAT, "%s: \"%s\" is missing", file, key);
        *out = (int32_t)fallback;
        goto done;
    }
    HDL_CHECK(json_is_integer(value), HDL_EFORMAT, "%s: \"%s\" is %s, expected an integer", file, key,
              type_words(value));
    int64_t number = (int64_t)json_integer_value(value);
    HDL_CHECK(number >= low && number <= high, HDL_EFORMAT,
              "%s: \"%s\" is %" PRId64 ", expected %" PRId64 " to %" PRId64, file, key, number, low, high);
    *out = (int32_t)number;
done:
    return status;
}

hdl_status hdl__json_bool(const json_t *object, const char *file, const char *key, bool fallback, bool *out)
{
    hdl_status status = HDL_OK;
    const json_t *value = json_object_get(object, key);
    bool absent = value == NULL || json_is_null(value);
    HDL_CHECK(absent || json_is_boolean(value), HDL_EFORMAT, "%s: \"%s\" is %s, expected true or false", file, key,
              type_words(value));
    *out = absent ? fallback : json_is_true(value);
done:
    return status;
}

hdl_status hdl__json_number(const json_t *object, const char *file, const char *key, double fallback, double *out)
{
    hdl_status status = HDL_OK;
    const json_t *value = json_object_get(object, key);
    bool absent = value == NULL || json_is_null(value);
    HDL_CHECK(absent || json_is_number(value), HDL_EFORMAT, "%s: \"%s\" is %s, expected a number", file, key,
              type_words(value));
    *out = absent ? fallback : json_number_value(value);
done:
    return status;
}

hdl_status hdl__json_text(const json_t *object, const char *file, const char *key, const char *fallback,
                          const char **out)
{
    hdl_status status = HDL_OK;
    const json_t *value = json_object_get(object, key);
    bool absent = value == NULL || json_is_null(value);
    HDL_CHECK(absent || json_is_string(value), HDL_EFORMAT, "%s: \"%s\" is %s, expected a string", file, key,
              type_words(value));
    *out = absent ? fallback : json_string_value(value);
done:
    return status;
}
