/* marian_bin.c - reads Marian's .bin: headers, names, shapes, then blobs that are used in place. */
#include "formats/marian_file.h"

#include <inttypes.h>
#include <string.h>

#define VERSION_PLAIN     1
#define VERSION_ENCRYPTED 2
#define HEADER_WORDS      4
#define HEADER_BYTES      (HEADER_WORDS * sizeof(uint64_t))

/* Type ids: class flags plus bytes of an element. */
#define TYPE_INT8      0x0101
#define TYPE_INT32     0x0104
#define TYPE_FLOAT16   0x0402
#define TYPE_FLOAT32   0x0404
#define TYPE_INTGEMM8  0x10001    /* hardware neutral, marian-dev */
#define TYPE_INTGEMM8B 0x4101     /* the same in the browsermt fork, which Firefox's models carry */

typedef struct header { uint64_t name_bytes, type, rank, data_bytes; } header;

typedef struct reader { const uint8_t *data; size_t n, at; const char *file; } reader;

static hdl_status take_bytes(reader *r, uint64_t bytes, const char *what, const uint8_t **out)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(bytes <= r->n - r->at, HDL_EFORMAT, "%s: offset %zu: %s needs %" PRIu64 " bytes, %zu are left", r->file,
              r->at, what, bytes, r->n - r->at);
    *out = r->data + r->at;
    r->at += (size_t)bytes;
done:
    return status;
}

static hdl_status take_u64(reader *r, const char *what, uint64_t *out)
{
    const uint8_t *bytes = NULL;
    hdl_status status = take_bytes(r, sizeof *out, what, &bytes);
    if (status == HDL_OK) memcpy(out, bytes, sizeof *out);
    return status;
}

static hdl_status set_type(uint64_t type, const char *file, const char *name, hdl__raw_tensor *out)
{
    hdl_status status = HDL_OK;
    bool known = true;
    switch (type) {
    case TYPE_FLOAT32: out->dtype = HDL_F32; break;
    case TYPE_FLOAT16: out->dtype = HDL_F16; break;
    case TYPE_INT32: out->dtype = HDL_I32; break;
    case TYPE_INT8:
    case TYPE_INTGEMM8:
    case TYPE_INTGEMM8B: out->dtype = HDL_I8; break;
    default: known = false; break;
    }
    HDL_CHECK(known, HDL_ENOSUPPORT,
              "%s: tensor %s: type 0x%" PRIx64 ", expected float32, float16 or hardware-neutral intgemm8", file, name,
              type);
done:
    return status;
}

/* The multiplier lies right behind the values. The blob holds the transposed matrix, but for embeddings, whose rows
 * are tokens; the stored shape does not say so. */
static hdl_status attach_multiplier(hdl__checkpoint *out, const char *file, const char *name, hdl__raw_tensor *tensor)
{
    hdl_status status = HDL_OK;
    size_t n = strlen(name);
    bool embedding = n >= 4 && strcmp(name + n - 4, "Wemb") == 0;
    HDL_CHECK(tensor->rank == 2, HDL_EFORMAT, "%s: tensor %s: intgemm8 of rank %d, expected 2", file, name,
              tensor->rank);
    float *scale = hdl__calloc(1, sizeof *scale);
    HDL_CHECK(scale != NULL, HDL_ENOMEM, "%s: no memory for a scale", file);
    memcpy(scale, tensor->data + tensor->bytes, sizeof *scale);
    HDL_TRY(hdl__checkpoint_own(out, scale));
    tensor->scale = scale;
    tensor->n_scale = 1;
    tensor->transposed = !embedding;
done:
    return status;
}

static hdl_status read_shape(const uint8_t *shape, const header *h, const char *file, const char *name,
                             hdl__raw_tensor *out)
{
    hdl_status status = HDL_OK;
    out->rank = (int32_t)h->rank;
    for (int32_t k = 0; k < out->rank; k++) {
        int32_t size;
        memcpy(&size, shape + (size_t)k * sizeof size, sizeof size);
        HDL_CHECK(size >= 0, HDL_EFORMAT, "%s: tensor %s: dimension %d is %d", file, name, k, size);
        out->shape[k] = size;
    }
done:
    return status;
}

static hdl_status add_tensor(reader *r, const header *h, const char *name, const uint8_t *shape,
                             hdl__checkpoint *out, hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor tensor = {0};
    bool quantised = h->type == TYPE_INTGEMM8 || h->type == TYPE_INTGEMM8B;
    HDL_TRY(set_type(h->type, r->file, name, &tensor));
    HDL_TRY(read_shape(shape, h, r->file, name, &tensor));
    size_t needed = 0;
    HDL_CHECK(hdl__shape_bytes(tensor.shape, tensor.rank, hdl_dtype_bytes(tensor.dtype), &tensor.bytes)
                  && hdl__add_size(tensor.bytes, quantised ? sizeof(float) : 0, &needed) && needed <= h->data_bytes,
              HDL_EFORMAT, "%s: tensor %s: %" PRIu64 " bytes of data, its shape needs %zu", r->file, name,
              h->data_bytes, needed);
    HDL_TRY(take_bytes(r, h->data_bytes, name, &tensor.data));
    if (quantised) HDL_TRY(attach_multiplier(out, r->file, name, &tensor));
    HDL_TRY(hdl__tensor_set_add(set, &tensor, name, strlen(name)));
done:
    return status;
}

/* Where names, shapes and blobs begin; *r stands at the first blob afterwards. */
typedef struct layout { const uint8_t *headers, *names, *shapes; uint64_t n; } layout;

static header header_at(const layout *l, uint64_t i)
{
    header h;
    memcpy(&h, l->headers + i * HEADER_BYTES, sizeof h);
    return h;
}

static hdl_status read_layout(reader *r, layout *l)
{
    hdl_status status = HDL_OK;
    uint64_t version = 0, padding = 0, names = 0, dims = 0;
    const uint8_t *skipped = NULL;
    HDL_TRY(take_u64(r, "the version", &version));
    HDL_CHECK(version != VERSION_ENCRYPTED, HDL_ENOSUPPORT, "%s: encrypted (version 2)", r->file);
    HDL_CHECK(version == VERSION_PLAIN, HDL_EFORMAT, "%s: version %" PRIu64 ", 1 is read", r->file, version);
    HDL_TRY(take_u64(r, "the number of tensors", &l->n));
    HDL_CHECK(l->n <= HDL__MAX_TENSORS, HDL_EFORMAT, "%s: %" PRIu64 " tensors, at most %d are read", r->file, l->n,
              HDL__MAX_TENSORS);
    HDL_TRY(take_bytes(r, l->n * HEADER_BYTES, "the headers", &l->headers));
    for (uint64_t i = 0; i < l->n; i++) {
        header h = header_at(l, i);
        HDL_CHECK(h.name_bytes > 0 && h.name_bytes <= r->n && h.rank <= HDL__RAW_RANK, HDL_EFORMAT,
                  "%s: tensor %" PRIu64 ": name of %" PRIu64 " bytes, rank %" PRIu64 " (at most %d)", r->file, i,
                  h.name_bytes, h.rank, HDL__RAW_RANK);
        names += h.name_bytes;
        dims += h.rank;
    }
    HDL_TRY(take_bytes(r, names, "the names", &l->names));
    HDL_TRY(take_bytes(r, dims * sizeof(int32_t), "the shapes", &l->shapes));
    HDL_TRY(take_u64(r, "the padding", &padding));
    HDL_TRY(take_bytes(r, padding, "the padding", &skipped));
done:
    return status;
}

hdl_status hdl__marian_read_bin(const hdl__file *bytes, const char *name, hdl__checkpoint *out, hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    reader r = {.data = bytes->data, .n = bytes->n, .file = name};
    layout l = {0};
    HDL_TRY(read_layout(&r, &l));
    for (uint64_t i = 0; i < l.n; i++) {
        header h = header_at(&l, i);
        const char *tensor = (const char *)l.names;
        HDL_CHECK(memchr(tensor, '\0', (size_t)h.name_bytes) == tensor + h.name_bytes - 1, HDL_EFORMAT,
                  "%s: the name of tensor %" PRIu64 " is not ended by its only NUL", name, i);
        HDL_TRY(add_tensor(&r, &h, tensor, l.shapes, out, set));
        l.names += h.name_bytes;
        l.shapes += h.rank * sizeof(int32_t);
    }
    HDL_TRY(hdl__tensor_set_sort(set));
done:
    return status;
}
