/* ct2_scalars.c - single values and strings among CTranslate2's variables, and names of revision 1. */
#include "formats/ct2_file.h"

#include <math.h>
#include <string.h>

#define MAX_TEXT_BYTES 65536

/* Replaces the first occurrence, as the format's own reader does. */
static void replace_first(hdl__str *name, const char *from, const char *to)
{
    if (name->failed || name->data == NULL) return;
    const char *at = strstr(name->data, from);
    if (at == NULL) return;
    hdl__str fresh = {0};
    hdl__str_add(&fresh, name->data, (size_t)(at - name->data));
    hdl__str_puts(&fresh, to);
    hdl__str_puts(&fresh, at + strlen(from));
    bool failed = fresh.failed;
    hdl__str_free(name);
    *name = fresh;
    name->failed = failed;
}

void hdl__ct2_modern_name(const char *old, size_t n, hdl__str *name)
{
    static const char *const pairs[][2] = {
        {"transformer/", ""},     {":0", ""},              {"w_embs", "embeddings/weight"},
        {"kernel", "weight"},     {"LayerNorm", "layer_norm"}, {"dense", "projection"},
        {"conv1d_", "linear_"},   {"conv1d", "linear_0"},
    };
    hdl__str_add(name, old, n);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) replace_first(name, pairs[i][0], pairs[i][1]);
    if (name->failed || name->data == NULL) return;
    if (strstr(name->data, "encoder") != NULL) {
        replace_first(name, "multi_head", "self_attention");
    } else if (strstr(name->data, "masked_multi_head") != NULL) {
        replace_first(name, "masked_multi_head", "self_attention");
    } else {
        replace_first(name, "multi_head", "attention");
    }
}

/* IEEE half to double: exact. */
static double f16_value(uint16_t bits)
{
    int exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
    double value;
    if (exponent == 0x1F) value = fraction == 0 ? (double)INFINITY : (double)NAN;
    else if (exponent == 0) value = ldexp(fraction, -24);
    else value = ldexp(fraction + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static double bf16_value(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static double scalar_value(const hdl__raw_tensor *tensor)
{
    float f32;
    int32_t i32;
    int16_t i16;
    uint16_t bits;
    switch (tensor->dtype) {
    case HDL_F32: memcpy(&f32, tensor->data, sizeof f32); return (double)f32;
    case HDL_I32: memcpy(&i32, tensor->data, sizeof i32); return (double)i32;
    case HDL_I16: memcpy(&i16, tensor->data, sizeof i16); return (double)i16;
    case HDL_F16: memcpy(&bits, tensor->data, sizeof bits); return f16_value(bits);
    case HDL_BF16: memcpy(&bits, tensor->data, sizeof bits); return bf16_value(bits);
    case HDL_I8: return (double)(int8_t)tensor->data[0];
    case HDL_U8:
    case HDL_I64: break;    /* no variable has them */
    }
    return 0.0;
}

hdl_status hdl__ct2_number(const hdl__ct2_file *file, const char *variable, double fallback, double *out)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor *tensor = hdl__tensor_set_find(&file->variables, "%s", variable);
    double value = fallback;
    if (tensor != NULL) {
        HDL_CHECK(tensor->bytes == hdl_dtype_bytes(tensor->dtype), HDL_EFORMAT,
                  "%s: variable %s: %zu bytes of %s, expected one value", file->name, variable, tensor->bytes,
                  hdl_dtype_name(tensor->dtype));
        value = scalar_value(tensor);
        HDL_CHECK(isfinite(value), HDL_EFORMAT, "%s: variable %s is not finite", file->name, variable);
        tensor->used = true;
    }
    *out = value;
done:
    return status;
}

hdl_status hdl__ct2_int(const hdl__ct2_file *file, const char *variable, int32_t low, int32_t high, int32_t fallback,
                        int32_t *out)
{
    hdl_status status = HDL_OK;
    double value = 0.0;
    HDL_TRY(hdl__ct2_number(file, variable, (double)fallback, &value));
    HDL_CHECK(value >= (double)low && value <= (double)high && value == floor(value), HDL_EFORMAT,
              "%s: variable %s is %g, expected an integer from %d to %d", file->name, variable, value, low, high);
    *out = (int32_t)value;
done:
    return status;
}

hdl_status hdl__ct2_text(const hdl__ct2_file *file, const char *variable, const char *fallback, char **out)
{
    hdl_status status = HDL_OK;
    hdl__raw_tensor *tensor = hdl__tensor_set_find(&file->variables, "%s", variable);
    if (tensor == NULL) {
        HDL_TRY(hdl__checkpoint_set_text(out, fallback));
        goto done;
    }
    HDL_CHECK(tensor->dtype == HDL_I8 && tensor->bytes <= MAX_TEXT_BYTES
                  && (tensor->bytes == 0 || memchr(tensor->data, '\0', tensor->bytes) == NULL),
              HDL_EFORMAT, "%s: variable %s is not a string", file->name, variable);
    *out = hdl__strndup((const char *)tensor->data, tensor->bytes);
    HDL_CHECK(*out != NULL, HDL_ENOMEM, "%s: no memory for variable %s", file->name, variable);
    tensor->used = true;
done:
    return status;
}
