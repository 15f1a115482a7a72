/* safetensors.c - strict reader of safetensors files and of an index of shards. */
#include "formats/safetensors.h"

#include "formats/json_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES     8
#define MAX_HEADER_BYTES ((uint64_t)100000000)    /* the format's own bound */
#define MAX_SHARDS       1024

static const struct { const char *name; hdl_dtype dtype; } dtypes[] = {
    {"F32", HDL_F32}, {"F16", HDL_F16}, {"BF16", HDL_BF16}, {"I8", HDL_I8},
    {"I16", HDL_I16}, {"I32", HDL_I32}, {"U8", HDL_U8},     {"I64", HDL_I64},
};

static hdl_status read_dtype(const json_t *entry, const char *file, const char *name, hdl_dtype *out)
{
    hdl_status status = HDL_OK;
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    HDL_CHECK(text != NULL, HDL_EFORMAT, "%s: tensor %s: no \"dtype\"", file, name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, text) != 0) continue;
        *out = dtypes[i].dtype;
        goto done;
    }
    HDL_CHECK(false, HDL_ENOSUPPORT, "%s: tensor %s: dtype %s, expected F32, F16, BF16, I8 or I16", file, name, text);
done:
    return status;
}

static hdl_status read_shape(const json_t *entry, const char *file, const char *name, hdl__raw_tensor *tensor)
{
    hdl_status status = HDL_OK;
    const json_t *shape = json_object_get(entry, "shape");
    HDL_CHECK(json_is_array(shape), HDL_EFORMAT, "%s: tensor %s: no \"shape\"", file, name);
    size_t rank = json_array_size(shape);
    HDL_CHECK(rank <= HDL__RAW_RANK, HDL_EFORMAT, "%s: tensor %s: rank %zu, at most %d is allowed", file, name, rank,
              HDL__RAW_RANK);
    tensor->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *size = json_array_get(shape, i);
        HDL_CHECK(json_is_integer(size) && json_integer_value(size) >= 0, HDL_EFORMAT,
                  "%s: tensor %s: dimension %zu is not a size", file, name, i);
        tensor->shape[i] = (int64_t)json_integer_value(size);
    }
done:
    return status;
}

static hdl_status read_entry(const json_t *entry, const char *file, const char *name, const hdl__file *data,
                             hdl__raw_tensor *tensor)
{
    hdl_status status = HDL_OK;
    size_t needed = 0;
    HDL_CHECK(json_is_object(entry), HDL_EFORMAT, "%s: tensor %s: entry is not an object", file, name);
    HDL_TRY(read_dtype(entry, file, name, &tensor->dtype));
    HDL_TRY(read_shape(entry, file, name, tensor));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    HDL_CHECK(json_array_size(offsets) == 2 && json_is_integer(first) && json_is_integer(second), HDL_EFORMAT,
              "%s: tensor %s: \"data_offsets\" is not a pair of integers", file, name);
    int64_t begin = (int64_t)json_integer_value(first), end = (int64_t)json_integer_value(second);
    HDL_CHECK(begin >= 0 && begin <= end && (uint64_t)end <= data->n, HDL_EFORMAT,
              "%s: tensor %s: data_offsets %" PRId64 " to %" PRId64 ", the file has 0 to %zu", file, name, begin, end,
              data->n);
    HDL_CHECK(hdl__shape_bytes(tensor->shape, tensor->rank, hdl_dtype_bytes(tensor->dtype), &needed)
                  && needed == (size_t)(end - begin),
              HDL_EFORMAT, "%s: tensor %s: %" PRId64 " bytes of data, its shape needs %zu", file, name, end - begin,
              needed);
    tensor->bytes = needed;
    tensor->data = data->data + begin;
done:
    return status;
}

typedef struct extent { const uint8_t *begin; size_t bytes; const char *name; } extent;

static int compare_extents(const void *a, const void *b)
{
    const extent *first = a, *second = b;
    if (first->begin != second->begin) return first->begin < second->begin ? -1 : 1;
    return (first->bytes > second->bytes) - (first->bytes < second->bytes);
}

/* Data in order of offsets must start at 0, touch without overlap, and end with the file. */
static hdl_status check_extents(const hdl__tensor_set *set, size_t from, const hdl__file *data, const char *file)
{
    hdl_status status = HDL_OK;
    size_t n = set->n - from, at = 0;
    extent *extents = hdl__calloc(n, sizeof *extents);
    HDL_CHECK(extents != NULL, HDL_ENOMEM, "%s: no memory to check %zu tensors", file, n);
    for (size_t i = 0; i < n; i++)
        extents[i] = (extent){set->items[from + i].data, set->items[from + i].bytes, set->items[from + i].name};
    if (n > 1) qsort(extents, n, sizeof *extents, compare_extents);
    for (size_t i = 0; i < n; i++) {
        size_t begin = (size_t)(extents[i].begin - data->data);
        HDL_CHECK(begin >= at, HDL_EFORMAT, "%s: tensor %s: data at %zu overlaps what ends at %zu", file,
                  extents[i].name, begin, at);
        HDL_CHECK(begin == at, HDL_EFORMAT, "%s: tensor %s: data at %zu leaves a gap after %zu", file,
                  extents[i].name, begin, at);
        at = begin + extents[i].bytes;
    }
    HDL_CHECK(at == data->n, HDL_EFORMAT, "%s: tensors end at %zu, the data at %zu", file, at, data->n);
done:
    hdl__free(extents);
    return status;
}

hdl_status hdl__safetensors_read(const hdl__file *bytes, const char *name, hdl__tensor_set *set, json_t **metadata)
{
    hdl_status status = HDL_OK;
    json_t *header = NULL, *entry;
    const char *key;
    uint64_t n_header = 0;
    size_t before = set->n;
    HDL_CHECK(bytes->n >= PREFIX_BYTES, HDL_EFORMAT, "%s: %zu bytes, a safetensors file has at least %d", name,
              bytes->n, PREFIX_BYTES);
    memcpy(&n_header, bytes->data, sizeof n_header);
    HDL_CHECK(n_header <= MAX_HEADER_BYTES && n_header <= bytes->n - PREFIX_BYTES, HDL_EFORMAT,
              "%s: header of %" PRIu64 " bytes, %zu are left", name, n_header, bytes->n - PREFIX_BYTES);
    HDL_TRY(hdl__json_parse(bytes->data + PREFIX_BYTES, (size_t)n_header, name, &header));
    HDL_CHECK(json_is_object(header), HDL_EFORMAT, "%s: the header is not an object", name);
    const hdl__file data = {.data = bytes->data + PREFIX_BYTES + n_header, .n = bytes->n - PREFIX_BYTES - n_header};
    json_object_foreach(header, key, entry) {
        hdl__raw_tensor tensor = {0};
        if (strcmp(key, "__metadata__") == 0) {
            if (metadata != NULL) *metadata = json_incref(entry);
            continue;
        }
        HDL_TRY(read_entry(entry, name, key, &data, &tensor));
        HDL_TRY(hdl__tensor_set_add(set, &tensor, key, strlen(key)));
    }
    HDL_TRY(check_extents(set, before, &data, name));
done:
    json_decref(header);
    return status;
}

static hdl_status read_file(const hdl__source *source, const char *name, hdl__checkpoint *out, hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    HDL_TRY(hdl__source_open(source, name, &file));
    const hdl__file view = file;    /* the bytes stay where they are when the checkpoint takes the file */
    HDL_TRY(hdl__checkpoint_keep_file(out, &file));
    HDL_TRY(hdl__safetensors_read(&view, name, set, NULL));
done:
    return status;
}

/* Reads each file that the map names once; `seen` is a JSON object used as a set. */
static hdl_status read_shards(const hdl__source *source, const char *index, const json_t *map, hdl__checkpoint *out,
                              hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    const char *tensor;
    json_t *value, *seen = json_object();
    HDL_CHECK(seen != NULL, HDL_ENOMEM, "%s: no memory", index);
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value) {
        const char *shard = json_string_value(value);
        HDL_CHECK(shard != NULL && shard[0] != '\0' && shard[0] != '.' && strchr(shard, '/') == NULL, HDL_EFORMAT,
                  "%s: the file of tensor %s is not a plain file name", index, tensor);
        if (json_object_get(seen, shard) != NULL) continue;
        HDL_CHECK(json_object_size(seen) < MAX_SHARDS, HDL_EFORMAT, "%s: more than %d files", index, MAX_SHARDS);
        HDL_CHECK(json_object_set_new(seen, shard, json_true()) == 0, HDL_ENOMEM, "%s: no memory", index);
        HDL_TRY(read_file(source, shard, out, set));
    }
done:
    json_decref(seen);
    return status;
}

static hdl_status open_index(const hdl__source *source, const char *index, hdl__checkpoint *out, hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL, *value;
    const char *tensor;
    HDL_TRY(hdl__json_open(source, index, &root));
    json_t *map = json_object_get(root, "weight_map");
    HDL_CHECK(json_is_object(map), HDL_EFORMAT, "%s: \"weight_map\" is missing", index);
    HDL_TRY(read_shards(source, index, map, out, set));
    HDL_TRY(hdl__tensor_set_sort(set));
    json_object_foreach(map, tensor, value)
        HDL_CHECK(hdl__tensor_set_find(set, "%s", tensor) != NULL, HDL_EFORMAT, "%s: tensor %s is in no file", index,
                  tensor);
done:
    json_decref(root);
    return status;
}

hdl_status hdl__safetensors_open(const hdl__source *source, hdl__checkpoint *out, hdl__tensor_set *set,
                                 const char **name)
{
    static const char single[] = "model.safetensors", index[] = "model.safetensors.index.json";
    hdl_status status = HDL_OK;
    bool sharded = !hdl__source_has(source, single) && hdl__source_has(source, index);
    HDL_CHECK(sharded || hdl__source_has(source, single) || !hdl__source_has(source, "pytorch_model.bin"),
              HDL_ENOSUPPORT, "pytorch_model.bin is a Python pickle, which is not read: save the model as %s", single);
    *name = sharded ? index : single;
    if (sharded) {
        HDL_TRY(open_index(source, index, out, set));
    } else {
        HDL_TRY(read_file(source, single, out, set));
        HDL_TRY(hdl__tensor_set_sort(set));
    }
done:
    return status;
}
