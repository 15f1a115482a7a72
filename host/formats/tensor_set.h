/*
 * tensor_set.h - the tensors of a file under their stored names, before a loader gives them canonical ones.
 *
 * Data points into the mapped file. Names are owned. A loader marks what it takes; what is left over is an error.
 */
#ifndef HEDDLE_HOST_TENSOR_SET_H
#define HEDDLE_HOST_TENSOR_SET_H

#include "base/memory.h"

#define HDL__RAW_RANK    4
#define HDL__MAX_TENSORS 16384    /* bounds the work that a hostile file can ask for; 400 layers need fewer */

typedef struct hdl__raw_tensor {
    char          *name;
    const uint8_t *data;        /* maybe unaligned */
    size_t         bytes;
    hdl_dtype      dtype;
    int32_t        rank;
    int64_t        shape[HDL__RAW_RANK];
    const float   *scale;       /* as in hdl__param; not owned */
    int64_t        n_scale;
    bool           transposed;
    bool           used;
} hdl__raw_tensor;

typedef struct hdl__tensor_set { hdl__raw_tensor *items; size_t n, capacity; } hdl__tensor_set;

/* Elements of a shape and their bytes; false when a dimension is negative or a product overflows. */
bool hdl__shape_bytes(const int64_t *shape, int32_t rank, size_t item_bytes, size_t *out);

/* Appends a copy of *tensor under `name` (n_name bytes, no NUL inside). HDL_ENOMEM; HDL_EFORMAT above the limit. */
hdl_status hdl__tensor_set_add(hdl__tensor_set *set, const hdl__raw_tensor *tensor, const char *name, size_t n_name);
/* Sorts by name; two of one name are HDL_EFORMAT. Nothing is found before this. */
hdl_status hdl__tensor_set_sort(hdl__tensor_set *set);
/* The tensor of that name (printf format), or NULL. */
hdl__raw_tensor *hdl__tensor_set_find(const hdl__tensor_set *set, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first tensor that no loader has taken, or NULL. */
const hdl__raw_tensor *hdl__tensor_set_unused(const hdl__tensor_set *set);
void hdl__tensor_set_close(hdl__tensor_set *set);

#endif
