/* ct2_file.c - reads CTranslate2's model.bin, binary versions 1 to 6; every length is checked against what is left. */
#include "formats/ct2_file.h"

#include <inttypes.h>
#include <string.h>

#define NEWEST_VERSION  6
#define NEWEST_REVISION 7

typedef struct reader {
    const uint8_t *data;
    size_t         n, at;
    const char    *file;
} reader;

static hdl_status take_bytes(reader *r, size_t bytes, const char *what, const uint8_t **out)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(bytes <= r->n - r->at, HDL_EFORMAT, "%s: offset %zu: %s needs %zu bytes, %zu are left", r->file, r->at,
              what, bytes, r->n - r->at);
    *out = r->data + r->at;
    r->at += bytes;
done:
    return status;
}

static hdl_status take_u32(reader *r, const char *what, uint32_t *out)
{
    const uint8_t *bytes = NULL;
    hdl_status status = take_bytes(r, sizeof *out, what, &bytes);
    if (status == HDL_OK) memcpy(out, bytes, sizeof *out);
    return status;
}

static hdl_status take_u8(reader *r, const char *what, uint8_t *out)
{
    const uint8_t *bytes = NULL;
    hdl_status status = take_bytes(r, 1, what, &bytes);
    if (status == HDL_OK) *out = *bytes;
    return status;
}

/* u16 length with its NUL, bytes, NUL. *n is the length without. */
static hdl_status take_string(reader *r, const char *what, const char **out, size_t *n)
{
    hdl_status status = HDL_OK;
    const uint8_t *bytes = NULL;
    uint16_t length = 0;
    size_t start = r->at;
    HDL_TRY(take_bytes(r, sizeof length, what, &bytes));
    memcpy(&length, bytes, sizeof length);
    HDL_CHECK(length > 0, HDL_EFORMAT, "%s: offset %zu: %s has length 0, at least 1 is allowed", r->file, start, what);
    HDL_TRY(take_bytes(r, length, what, &bytes));
    HDL_CHECK(memchr(bytes, '\0', length) == bytes + length - 1, HDL_EFORMAT,
              "%s: offset %zu: %s is not ended by its only NUL", r->file, start, what);
    *out = (const char *)bytes;
    *n = (size_t)length - 1;
done:
    return status;
}

static hdl_status read_dtype(reader *r, uint32_t version, const char *name, hdl_dtype *dtype)
{
    static const hdl_dtype by_id[] = {HDL_F32, HDL_I8, HDL_I16, HDL_I32, HDL_F16, HDL_BF16};
    hdl_status status = HDL_OK;
    uint8_t id = 0;
    HDL_TRY(take_u8(r, "a dtype", &id));
    if (version >= 4) {
        HDL_CHECK(id < sizeof by_id / sizeof *by_id, HDL_EFORMAT, "%s: variable %s: dtype %u, allowed 0 to 5",
                  r->file, name, id);
        *dtype = by_id[id];
    } else {
        HDL_CHECK(id == 1 || id == 2 || id == 4, HDL_EFORMAT, "%s: variable %s: items of %u bytes, allowed 1, 2, 4",
                  r->file, name, id);
        *dtype = id == 4 ? HDL_F32 : id == 2 ? HDL_I16 : HDL_I8;
    }
done:
    return status;
}

static hdl_status add_variable(hdl__ct2_file *out, const hdl__raw_tensor *tensor, const char *name, size_t n_name)
{
    hdl_status status = HDL_OK;
    hdl__str modern = {0};
    if (out->revision > 1) {
        HDL_TRY(hdl__tensor_set_add(&out->variables, tensor, name, n_name));
        goto done;
    }
    hdl__ct2_modern_name(name, n_name, &modern);
    HDL_CHECK(!modern.failed, HDL_ENOMEM, "%s: no memory for variable names", out->name);
    HDL_TRY(hdl__tensor_set_add(&out->variables, tensor, modern.n == 0 ? "" : modern.data, modern.n));
done:
    hdl__str_free(&modern);
    return status;
}

static hdl_status read_variable(reader *r, hdl__ct2_file *out)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor tensor = {0};
    const char *name = NULL;
    size_t n_name = 0, expected = 0;
    uint8_t rank = 0;
    uint32_t size = 0;
    uint64_t stored;
    HDL_TRY(take_string(r, "a variable name", &name, &n_name));
    HDL_TRY(take_u8(r, "a rank", &rank));
    HDL_CHECK(rank <= HDL__RAW_RANK, HDL_EFORMAT, "%s: variable %s: rank %u, at most %d is allowed", r->file, name,
              rank, HDL__RAW_RANK);
    tensor.rank = rank;
    for (int32_t i = 0; i < tensor.rank; i++) {
        HDL_TRY(take_u32(r, "a dimension", &size));
        tensor.shape[i] = (int64_t)size;
    }
    HDL_TRY(read_dtype(r, out->version, name, &tensor.dtype));
    HDL_TRY(take_u32(r, "a size", &size));
    stored = out->version >= 4 ? size : (uint64_t)size * hdl_dtype_bytes(tensor.dtype);
    HDL_CHECK(hdl__shape_bytes(tensor.shape, tensor.rank, hdl_dtype_bytes(tensor.dtype), &expected)
                  && expected == stored,
              HDL_EFORMAT, "%s: variable %s: %" PRIu64 " bytes stored, its shape needs %zu", r->file, name, stored,
              expected);
    tensor.bytes = expected;
    HDL_TRY(take_bytes(r, expected, name, &tensor.data));
    HDL_TRY(add_variable(out, &tensor, name, n_name));
done:
    return status;
}

/* A target among the variables (sorted), or among aliases that came before. */
static const hdl__raw_tensor *find_target(const hdl__tensor_set *variables, const hdl__tensor_set *aliases,
                                          const char *name)
{
    const hdl__raw_tensor *found = hdl__tensor_set_find(variables, "%s", name);
    for (size_t i = 0; found == NULL && i < aliases->n; i++)
        if (strcmp(aliases->items[i].name, name) == 0) found = &aliases->items[i];
    return found;
}

static hdl_status add_alias(hdl__tensor_set *variables, hdl__tensor_set *aliases, const char *alias,
                            const char *target, const char *suffix)
{
    hdl_status status = HDL_OK;
    hdl__str from = {0}, to = {0};
    hdl__str_printf(&from, "%s%s", alias, suffix);
    hdl__str_printf(&to, "%s%s", target, suffix);
    HDL_CHECK(!from.failed && !to.failed, HDL_ENOMEM, "no memory for alias %s", alias);
    const hdl__raw_tensor *found = find_target(variables, aliases, to.data);
    if (found == NULL || find_target(variables, aliases, from.data) != NULL) goto done;
    const hdl__raw_tensor copy = *found;    /* the array that holds *found may move */
    HDL_TRY(hdl__tensor_set_add(aliases, &copy, from.data, from.n));
done:
    hdl__str_free(&from);
    hdl__str_free(&to);
    return status;
}

/* An alias of an alias works when the other came first, so there are no cycles; one without a target is dropped, and
 * what it should have named is then missing. */
static hdl_status read_aliases(reader *r, hdl__ct2_file *out)
{
    hdl_status status = HDL_OK;
    hdl__tensor_set aliases = {0};
    uint32_t n = 0;
    HDL_TRY(take_u32(r, "the number of aliases", &n));
    HDL_CHECK(n <= HDL__MAX_TENSORS, HDL_EFORMAT, "%s: %" PRIu32 " aliases, at most %d are allowed", r->file, n,
              HDL__MAX_TENSORS);
    for (uint32_t i = 0; i < n; i++) {
        const char *alias = NULL, *target = NULL;
        size_t n_alias = 0, n_target = 0;
        HDL_TRY(take_string(r, "an alias", &alias, &n_alias));
        HDL_TRY(take_string(r, "the target of an alias", &target, &n_target));
        HDL_TRY(add_alias(&out->variables, &aliases, alias, target, ""));
        HDL_TRY(add_alias(&out->variables, &aliases, alias, target, "_scale"));
    }
    for (size_t i = 0; i < aliases.n; i++)
        HDL_TRY(hdl__tensor_set_add(&out->variables, &aliases.items[i], aliases.items[i].name,
                                    strlen(aliases.items[i].name)));
    HDL_TRY(hdl__tensor_set_sort(&out->variables));
done:
    hdl__tensor_set_close(&aliases);
    return status;
}

static hdl_status read_header(reader *r, hdl__ct2_file *out)
{
    hdl_status status = HDL_OK;
    const char *spec = "";
    size_t n = 0;
    out->revision = 1;
    HDL_TRY(take_u32(r, "the version", &out->version));
    HDL_CHECK(out->version >= 1 && out->version <= NEWEST_VERSION, HDL_EFORMAT,
              "%s: binary version %" PRIu32 ", 1 to %d are read", r->file, out->version, NEWEST_VERSION);
    if (out->version >= 2) {
        HDL_TRY(take_string(r, "the specification's name", &spec, &n));
        HDL_TRY(take_u32(r, "the revision", &out->revision));
    }
    HDL_TRY(hdl__checkpoint_set_text(&out->spec, spec));
    HDL_CHECK(spec[0] == '\0' || strcmp(spec, "TransformerBase") == 0 || strcmp(spec, "TransformerBig") == 0
                  || strcmp(spec, "TransformerSpec") == 0,
              HDL_ENOSUPPORT, "%s: a %s is not computed; TransformerSpec (encoder and decoder) is", r->file, spec);
    HDL_CHECK(out->revision >= 1 && out->revision <= NEWEST_REVISION, HDL_ENOSUPPORT,
              "%s: %s revision %" PRIu32 ", 1 to %d are read", r->file, spec, out->revision, NEWEST_REVISION);
done:
    return status;
}

hdl_status hdl__ct2_read(const hdl__file *bytes, const char *name, hdl__ct2_file *out)
{
    hdl_status status = HDL_OK;
    reader r = {.data = bytes->data, .n = bytes->n, .file = name};
    hdl__ct2_file file = {.name = name};
    uint32_t n = 0;
    HDL_TRY(read_header(&r, &file));
    HDL_TRY(take_u32(&r, "the number of variables", &n));
    HDL_CHECK(n <= HDL__MAX_TENSORS, HDL_EFORMAT, "%s: %" PRIu32 " variables, at most %d are allowed", name, n,
              HDL__MAX_TENSORS);
    for (uint32_t i = 0; i < n; i++) HDL_TRY(read_variable(&r, &file));
    HDL_TRY(hdl__tensor_set_sort(&file.variables));
    if (file.version >= 3) HDL_TRY(read_aliases(&r, &file));
    *out = file;
    file = (hdl__ct2_file){0};
done:
    hdl__ct2_close(&file);
    return status;
}

void hdl__ct2_close(hdl__ct2_file *file)
{
    hdl__free(file->spec);
    hdl__tensor_set_close(&file->variables);
    *file = (hdl__ct2_file){0};
}
