/* marian_npz.c - reads an .npz: a zip of .npy arrays, unpacked one at a time into the checkpoint's buffers. */
#include "formats/marian_file.h"

#include <inttypes.h>
#include <string.h>
#include <zip.h>

#define MAGIC_BYTES     6
#define MAX_NPY_HEADER  65536
#define FIRST_READ      128        /* enough for the headers that numpy and Marian write */
#define MAX_INFLATION   1032       /* deflate cannot do better: a larger promise is a lie */
#define NPY_SUFFIX      ".npy"

typedef struct cursor { const char *at, *end; } cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n')) c->at++;
}

static bool take_char(cursor *c, char wanted)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* A quoted Python string without escapes. */
static bool take_text(cursor *c, const char **text, size_t *n)
{
    if (!take_char(c, '\'')) return false;
    const char *end = memchr(c->at, '\'', (size_t)(c->end - c->at));
    if (end == NULL) return false;
    *text = c->at;
    *n = (size_t)(end - c->at);
    c->at = end + 1;
    return true;
}

static bool take_number(cursor *c, int64_t *out)
{
    skip_spaces(c);
    int64_t value = 0;
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *c->at - '0', &value))
            return false;
    *out = value;
    return c->at > start;
}

/* "(3, 4)", "(5,)" or "()". */
static bool take_shape(cursor *c, hdl__raw_tensor *out)
{
    if (!take_char(c, '(')) return false;
    out->rank = 0;
    while (!take_char(c, ')')) {
        if (out->rank == HDL__RAW_RANK || !take_number(c, &out->shape[out->rank])) return false;
        out->rank++;
        if (take_char(c, ',')) continue;
        return take_char(c, ')');
    }
    return true;
}

static bool dtype_of(const char *text, size_t n, hdl_dtype *out)
{
    static const struct { const char *descr; hdl_dtype dtype; } table[] = {
        {"<f4", HDL_F32}, {"<f2", HDL_F16}, {"|i1", HDL_I8}, {"|b1", HDL_I8}, {"|u1", HDL_U8},
        {"<i2", HDL_I16}, {"<i4", HDL_I32}, {"<i8", HDL_I64},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (n == 3 && memcmp(table[i].descr, text, n) == 0) {
            *out = table[i].dtype;
            return true;
        }
    return false;
}

/* The dictionary, in any order, each key once. */
static hdl_status parse_dictionary(cursor *c, const char *name, hdl__raw_tensor *out)
{
    hdl_status status = HDL_OK;
    const char *key = NULL, *text = NULL;
    size_t n_key = 0, n = 0;
    unsigned seen = 0;
    HDL_CHECK(take_char(c, '{'), HDL_EFORMAT, "%s: the array's header is no dictionary", name);
    while (!take_char(c, '}')) {
        HDL_CHECK(take_text(c, &key, &n_key) && take_char(c, ':'), HDL_EFORMAT, "%s: malformed array header", name);
        unsigned bit = 0;
        if (n_key == 5 && memcmp(key, "descr", 5) == 0) {
            bit = 1;
            HDL_CHECK(take_text(c, &text, &n), HDL_EFORMAT, "%s: descr is not a simple dtype", name);
            HDL_CHECK(dtype_of(text, n, &out->dtype), HDL_ENOSUPPORT,
                      "%s: dtype %.*s, expected <f4, <f2 or |i1", name, n < 16 ? (int)n : 16, text);
        } else if (n_key == 13 && memcmp(key, "fortran_order", 13) == 0) {
            bit = 2;
            skip_spaces(c);
            bool row_major = c->end - c->at >= 5 && memcmp(c->at, "False", 5) == 0;
            HDL_CHECK(row_major, HDL_ENOSUPPORT, "%s: fortran_order is not False", name);
            c->at += 5;
        } else if (n_key == 5 && memcmp(key, "shape", 5) == 0) {
            bit = 4;
            HDL_CHECK(take_shape(c, out), HDL_EFORMAT, "%s: malformed shape, or rank above %d", name, HDL__RAW_RANK);
        }
        HDL_CHECK(bit != 0 && (seen & bit) == 0, HDL_EFORMAT, "%s: key %.*s twice or unknown", name,
                  n_key < 32 ? (int)n_key : 32, key);
        seen |= bit;
        if (!take_char(c, ',')) {
            HDL_CHECK(take_char(c, '}'), HDL_EFORMAT, "%s: malformed array header", name);
            break;
        }
    }
    HDL_CHECK(seen == 7, HDL_EFORMAT, "%s: the array's header lacks descr, fortran_order or shape", name);
done:
    return status;
}

/* Length of the header that starts at `data`, magic included; 0: not an array. */
static size_t header_bytes(const uint8_t *data, size_t n)
{
    uint16_t short_length = 0;
    uint32_t length = 0;
    if (n < MAGIC_BYTES + 6 || memcmp(data, "\x93NUMPY", MAGIC_BYTES) != 0) return 0;
    size_t start = data[MAGIC_BYTES] == 1 ? MAGIC_BYTES + 4 : MAGIC_BYTES + 6;
    if (data[MAGIC_BYTES] == 1) {
        memcpy(&short_length, data + MAGIC_BYTES + 2, sizeof short_length);
        length = short_length;
    } else if (data[MAGIC_BYTES] == 2 || data[MAGIC_BYTES] == 3) {
        memcpy(&length, data + MAGIC_BYTES + 2, sizeof length);
    } else {
        return 0;
    }
    return length <= MAX_NPY_HEADER ? start + length : 0;
}

hdl_status hdl__npy_parse(const uint8_t *data, size_t n, const char *name, hdl__raw_tensor *out, size_t *start)
{
    hdl_status status = HDL_OK;
    size_t header = header_bytes(data, n);
    HDL_CHECK(header != 0 && header <= n, HDL_EFORMAT, "%s: not a numpy array, or its header is cut", name);
    size_t skip = data[MAGIC_BYTES] == 1 ? MAGIC_BYTES + 4 : MAGIC_BYTES + 6;
    cursor c = {.at = (const char *)data + skip, .end = (const char *)data + header};
    HDL_TRY(parse_dictionary(&c, name, out));
    HDL_CHECK(hdl__shape_bytes(out->shape, out->rank, hdl_dtype_bytes(out->dtype), &out->bytes), HDL_EFORMAT,
              "%s: its shape overflows", name);
    *start = header;
done:
    return status;
}

static hdl_status read_exactly(zip_file_t *file, uint8_t *to, size_t n, const char *name)
{
    hdl_status status = HDL_OK;
    for (size_t at = 0; at < n;) {
        zip_int64_t got = zip_fread(file, to + at, n - at);
        HDL_CHECK(got > 0, HDL_EFORMAT, "%s: damaged: %zu of %zu bytes unpacked", name, at, n);
        at += (size_t)got;
    }
done:
    return status;
}

static hdl_status add_tensor(hdl__checkpoint *out, hdl__tensor_set *set, hdl__raw_tensor *tensor, const char *name,
                             uint8_t *data)
{
    hdl_status status = HDL_OK;
    size_t n = strlen(name), suffix = strlen(NPY_SUFFIX);
    if (n > suffix && strcmp(name + n - suffix, NPY_SUFFIX) == 0) n -= suffix;
    tensor->data = data;
    HDL_TRY(hdl__checkpoint_own(out, data));
    HDL_TRY(hdl__tensor_set_add(set, tensor, name, n));
done:
    return status;
}

/* The header is read first, so that memory is only taken for what it and the directory agree on. */
static hdl_status read_entry(zip_t *archive, zip_uint64_t i, size_t file_bytes, hdl__checkpoint *out,
                             hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    zip_stat_t info;
    hdl__raw_tensor tensor = {0};
    uint8_t *header = NULL, *data = NULL, end;
    zip_file_t *file = NULL;
    size_t start = 0;
    HDL_CHECK(zip_stat_index(archive, i, 0, &info) == 0 && (info.valid & ZIP_STAT_NAME) != 0
                  && (info.valid & ZIP_STAT_SIZE) != 0 && (info.valid & ZIP_STAT_COMP_SIZE) != 0,
              HDL_EFORMAT, "entry %" PRIu64 " of the zip is damaged", (uint64_t)i);
    HDL_CHECK(info.comp_size <= file_bytes && info.size / MAX_INFLATION <= info.comp_size, HDL_EFORMAT,
              "%s: %" PRIu64 " bytes from %" PRIu64 " packed ones in a file of %zu", info.name, (uint64_t)info.size,
              (uint64_t)info.comp_size, file_bytes);
    file = zip_fopen_index(archive, i, 0);
    HDL_CHECK(file != NULL, HDL_EFORMAT, "%s: %s", info.name, zip_strerror(archive));
    size_t first = info.size < FIRST_READ ? (size_t)info.size : FIRST_READ;
    header = hdl__calloc(1, FIRST_READ + MAX_NPY_HEADER);
    HDL_CHECK(header != NULL, HDL_ENOMEM, "%s: no memory for its header", info.name);
    HDL_TRY(read_exactly(file, header, first, info.name));
    size_t needed = header_bytes(header, first);
    HDL_CHECK(needed != 0 && needed <= info.size, HDL_EFORMAT, "%s: not a numpy array", info.name);
    if (needed > first) HDL_TRY(read_exactly(file, header + first, needed - first, info.name));
    HDL_TRY(hdl__npy_parse(header, needed > first ? needed : first, info.name, &tensor, &start));
    HDL_CHECK(tensor.bytes == info.size - start, HDL_EFORMAT, "%s: %" PRIu64 " bytes of data, its shape needs %zu",
              info.name, (uint64_t)info.size - start, tensor.bytes);
    data = hdl__calloc(1, tensor.bytes);
    HDL_CHECK(data != NULL, HDL_ENOMEM, "%s: no memory for %zu bytes", info.name, tensor.bytes);
    size_t ready = first > start ? first - start : 0;
    if (ready > 0) memcpy(data, header + start, ready);
    HDL_TRY(read_exactly(file, data + ready, tensor.bytes - ready, info.name));
    HDL_CHECK(zip_fread(file, &end, 1) == 0, HDL_EFORMAT, "%s: damaged: wrong checksum", info.name);
    status = add_tensor(out, set, &tensor, info.name, data);
    data = NULL;    /* the checkpoint's, or freed */
done:
    if (file != NULL) zip_fclose(file);
    hdl__free(header);
    hdl__free(data);
    return status;
}

hdl_status hdl__marian_read_npz(const hdl__file *bytes, const char *name, hdl__checkpoint *out, hdl__tensor_set *set)
{
    hdl_status status = HDL_OK;
    zip_error_t error;
    zip_t *archive = NULL;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes->data, bytes->n, 0, &error);
    HDL_CHECK(source != NULL, HDL_ENOMEM, "%s: %s", name, zip_error_strerror(&error));
    archive = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (archive == NULL) zip_source_free(source);
    HDL_CHECK(archive != NULL, HDL_EFORMAT, "%s: %s", name, zip_error_strerror(&error));
    zip_int64_t n = zip_get_num_entries(archive, 0);
    HDL_CHECK(n <= HDL__MAX_TENSORS, HDL_EFORMAT, "%s: %" PRId64 " entries, at most %d are read", name, (int64_t)n,
              HDL__MAX_TENSORS);
    for (zip_int64_t i = 0; i < n; i++) {
        status = read_entry(archive, (zip_uint64_t)i, bytes->n, out, set);
        if (status != HDL_OK) {
            hdl__fail_prefix(status, name);
            goto done;
        }
        hdl__file_release(bytes, 0, bytes->n);    /* what was unpacked need not stay mapped: never two copies */
    }
    HDL_TRY(hdl__tensor_set_sort(set));
done:
    if (archive != NULL) zip_discard(archive);
    zip_error_fini(&error);
    return status;
}
