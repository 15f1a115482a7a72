/* param_values.c - stored tensors of any dtype as f32 values. */
#include "base/half.h"
#include "model/network.h"

#include <string.h>

int64_t hdl__param_count(const hdl__param *param)
{
    int64_t n = 1;
    for (int32_t i = 0; i < param->rank; i++) n *= param->shape[i];
    return n;
}

static float read_element(const void *data, hdl_dtype dtype, int64_t i)
{
    const uint8_t *at = (const uint8_t *)data + (size_t)i * hdl_dtype_bytes(dtype);
    float f;
    uint16_t h;
    int16_t s;
    switch (dtype) {
    case HDL_F32:
        memcpy(&f, at, sizeof f);
        return f;
    case HDL_F16:
        memcpy(&h, at, sizeof h);
        return hdl__f32_of_f16(h);
    case HDL_BF16:
        memcpy(&h, at, sizeof h);
        return hdl__f32_of_bf16(h);
    case HDL_I16:
        memcpy(&s, at, sizeof s);
        return (float)s;
    default:
        return (float)*(const int8_t *)at;
    }
}

/* A scale belongs to an output row: the first dimension, or the second when [in, out] is stored. */
void hdl__param_values(const hdl__param *param, float *out)
{
    const int64_t n = hdl__param_count(param), columns = param->rank > 1 ? param->shape[param->rank - 1] : 1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = param->transposed ? i % columns : i / columns;
        const float scale = param->scale == NULL ? 1.0f : param->scale[param->n_scale > 1 ? row : 0];
        out[i] = read_element(param->data, param->dtype, i) / scale;
    }
}
