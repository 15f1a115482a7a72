/* gemm_source.c - rows of the source tensors that a packed matrix is stacked from, as f32 or int8. */
#include "cpu/gemm_weight.h"

#include <string.h>

#define HDL__SEGMENT 64     /* rows of a transposed part taken per pass over its columns */

/* Row `row` of a [rows, K] part, or `n` rows from there of a [K, rows] part, as stored. */
static void read_stored(const hdl_backend_device *device, const hdl_pack_part *part, int32_t row, int32_t n, int32_t K,
                        float *to, int64_t ld)
{
    const uint8_t *data = part->data;
    const size_t size = hdl_dtype_bytes(part->dtype);
    if (!part->transposed) {
        for (int32_t i = 0; i < n; ++i)
            device->kernels->ops.widen(data + (size_t)(row + i) * (size_t)K * size, part->dtype, K, 1.0f, NULL,
                                       to + i * ld);
        return;
    }
    float segment[HDL__SEGMENT];
    for (int32_t k = 0; k < K; ++k)
        for (int32_t i0 = 0; i0 < n; i0 += HDL__SEGMENT) {
            const int32_t m = n - i0 < HDL__SEGMENT ? n - i0 : HDL__SEGMENT;
            const size_t at = (size_t)k * (size_t)part->rows + (size_t)(row + i0);
            device->kernels->ops.widen(data + at * size, part->dtype, m, 1.0f, NULL, segment);
            for (int32_t i = 0; i < m; ++i) to[(i0 + i) * ld + k] = segment[i];
        }
}

void hdl__source_read(const hdl_backend_device *device, const hdl_pack_args *args, int32_t n0, int32_t n,
                      const hdl__source_rows *out)
{
    int32_t first = 0;      /* row of the stack where the part starts */
    for (int32_t p = 0; p < args->n_parts; first += args->parts[p].rows, ++p) {
        const hdl_pack_part *part = &args->parts[p];
        const int32_t from = n0 > first ? n0 : first;
        const int32_t end = n0 + n < first + part->rows ? n0 + n : first + part->rows;
        if (from >= end) continue;
        const int32_t at = from - n0;
        read_stored(device, part, from - first, end - from, args->K, out->values + at * out->ld, out->ld);
        for (int32_t i = at; i < end - n0; ++i) {
            float scale = 1.0f;
            if (part->scale != NULL) scale = part->scale[part->n_scale == 1 ? 0 : n0 + i - first];
            out->scale[i] = scale;
            out->exact[i] = part->dtype == HDL_I8 && args->compute == HDL_COMPUTE_INT8;
            float *row = out->values + i * out->ld;
            if (!out->exact[i] && scale != 1.0f)
                for (int32_t k = 0; k < args->K; ++k) row[k] /= scale;
        }
    }
}

void hdl__source_quantise(const hdl_backend_device *device, const hdl__source_rows *rows, int32_t i, int32_t K,
                          int8_t *q,
                          float *unscale)
{
    const float *row = rows->values + i * rows->ld;
    float scale = rows->scale[i];
    if (rows->exact[i])
        for (int32_t k = 0; k < K; ++k) q[k] = (int8_t)row[k];
    else
        device->kernels->gemm.quantise(row, K, q, &scale);
    *unscale = 1.0f / scale;
}
