/* tensor_set.c - stored tensors by name: grow, sort, find. */
#include "formats/tensor_set.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 512    /* longer names exist in no format that is read: they are never found */

bool hdl__shape_bytes(const int64_t *shape, int32_t rank, size_t item_bytes, size_t *out)
{
    size_t bytes = item_bytes;
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] < 0) return false;
        if (shape[i] == 0) empty = true;
        else if (!hdl__mul_size(bytes, (size_t)shape[i], &bytes)) return false;
    }
    *out = empty ? 0 : bytes;
    return true;
}

hdl_status hdl__tensor_set_add(hdl__tensor_set *set, const hdl__raw_tensor *tensor, const char *name, size_t n_name)
{
    hdl_status status = HDL_OK;
    char *copy = NULL;
    HDL_CHECK(set->n < HDL__MAX_TENSORS, HDL_EFORMAT, "more than %d tensors", HDL__MAX_TENSORS);
    if (set->n == set->capacity) {
        size_t capacity = set->capacity == 0 ? 256 : set->capacity * 2;
        hdl__raw_tensor *grown =
            hdl__regrow(set->items, set->n * sizeof *set->items, capacity * sizeof *set->items);
        HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %zu tensors", capacity);
        set->items = grown;
        set->capacity = capacity;
    }
    copy = hdl__strndup(name, n_name);
    HDL_CHECK(copy != NULL, HDL_ENOMEM, "no memory for a tensor name of %zu bytes", n_name);
    set->items[set->n] = *tensor;
    set->items[set->n].name = copy;
    set->n++;
done:
    return status;
}

static int compare_tensors(const void *a, const void *b)
{
    const hdl__raw_tensor *first = a, *second = b;
    return strcmp(first->name, second->name);
}

hdl_status hdl__tensor_set_sort(hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    if (set->n > 1) qsort(set->items, set->n, sizeof *set->items, compare_tensors);
    for (size_t i = 1; i < set->n; i++)
        HDL_CHECK(strcmp(set->items[i - 1].name, set->items[i].name) != 0, HDL_EFORMAT,
                  "two tensors are named %s", set->items[i].name);
done:
    return status;
}

hdl__raw_tensor *hdl__tensor_set_find(const hdl__tensor_set *set, const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof name || set->n == 0) return NULL;
    hdl__raw_tensor key = {.name = name};
    return bsearch(&key, set->items, set->n, sizeof *set->items, compare_tensors);
}

const hdl__raw_tensor *hdl__tensor_set_unused(const hdl__tensor_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (!set->items[i].used) return &set->items[i];
    return NULL;
}

void hdl__tensor_set_close(hdl__tensor_set *set)
{
    for (size_t i = 0; i < set->n; i++) hdl__free(set->items[i].name);
    hdl__free(set->items);
    *set = (hdl__tensor_set){0};
}
