/* gemm_pack.c - source tensors into strips of the device's micro-kernels, once, at load. */
#include "cpu/gemm_weight.h"
#include "cpu/cpu_device.h"
#include "cpu/gemm_halves.h"
#include "cpu/gemm_onednn.h"

#include <string.h>

/* Floats added to a row of the buffer, so that 64 rows of K = 1024 do not share one cache set. */
#define HDL__PACK_PAD 16

/* Rows of one strip on their way: f32 [width, ld], their stored form, and what belongs to each. */
typedef struct hdl__pack_buffer {
    hdl__source_rows rows;
    void            *narrow;    /* int8 or bf16 [width, K] */
    void            *block;
} hdl__pack_buffer;

static const hdl__gemm_method *choose_method(const hdl_backend_device *device, hdl_compute compute)
{
    const hdl__gemm_kernels *k = &device->kernels->gemm;
    const hdl__cpu_features *f = &device->features;
    if (compute == HDL_COMPUTE_BF16) {
        if (f->amx_bf16 && k->bf16_tiles) return k->bf16_tiles;
        return f->avx512_bf16 && k->bf16_native ? k->bf16_native : k->bf16;
    }
    if (compute == HDL_COMPUTE_INT8) {
        if (f->amx_int8 && k->int8_tiles) return k->int8_tiles;
        return f->vnni && k->int8_native ? k->int8_native : k->int8;
    }
    return k->f32;
}

static hdl_status open_buffer(const hdl_pack_args *args, int32_t width, hdl__pack_buffer *out)
{
    hdl_status status = HDL_OK;
    const size_t rows = (size_t)width, ld = (size_t)args->K + HDL__PACK_PAD;
    const size_t values = rows * ld * sizeof(float), scales = rows * sizeof(float);
    const size_t narrow = rows * (size_t)args->K * sizeof(uint16_t);
    uint8_t *block = hdl__calloc(1, values + scales + narrow + rows * sizeof(bool));
    HDL_CHECK(block != NULL, HDL_ENOMEM, "pack: no memory to convert %d rows of %d", width, args->K);
    out->block = block;
    out->rows = (hdl__source_rows){(float *)(void *)block, (int64_t)ld, (float *)(void *)(block + values),
                                   (bool *)(void *)(block + values + scales + narrow)};
    out->narrow = block + values + scales;
done:
    return status;
}

static void store_f32(const hdl__source_rows *rows, int32_t n, int32_t columns, int32_t K, float *to)
{
    for (int32_t k = 0; k < K; ++k, to += columns)
        for (int32_t j = 0; j < n; ++j) to[j] = rows->values[j * rows->ld + k];
}

/* Rows [n, K] of int8 or bf16, group by group, so that the strip is written from front to back; a copy of known size is one
 * instruction. */
static void store_groups(const uint8_t *rows, int32_t n, int32_t columns, int32_t K, const hdl__gemm_method *method, uint8_t *to)
{
    const int32_t bytes = method->w_bytes, size = method->group * bytes, row = K * bytes;
    for (int32_t k = 0; k < row; k += size, to += (int64_t)columns * size) {
        const int32_t live = row - k < size ? row - k : size;
        const uint8_t *from = rows + k;
        if (live == (int32_t)sizeof(uint32_t))
            for (int32_t j = 0; j < n; ++j) memcpy(to + j * size, from + (int64_t)j * row, sizeof(uint32_t));
        else if (live == (int32_t)sizeof(uint16_t))
            for (int32_t j = 0; j < n; ++j) memcpy(to + j * size, from + (int64_t)j * row, sizeof(uint16_t));
        else
            for (int32_t j = 0; j < n; ++j) memcpy(to + j * size, from + (int64_t)j * row, (size_t)live);
    }
}

/* Minus 128 times the sum of a row: what the offset of the inputs adds to its products. */
static int32_t offset_start(const int8_t *q, int32_t K)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < K; ++k) sum += q[k];
    return -128 * sum;
}

static void pack_strip(hdl_weight *w, const hdl_pack_args *args, hdl__pack_buffer *buffer, int32_t strip)
{
    const hdl__gemm_method *method = w->method;
    const int32_t n0 = strip * method->width, columns = hdl__strip_columns(w, strip), K = w->K;
    const int32_t n = w->N - n0 < method->width ? w->N - n0 : method->width;
    void *to = w->strips + (size_t)n0 * (size_t)w->padded * (size_t)method->w_bytes;
    hdl__source_read(w->device, args, n0, n, &buffer->rows);
    if (w->compute == HDL_COMPUTE_F32) {
        store_f32(&buffer->rows, n, columns, K, to);
    } else if (w->compute == HDL_COMPUTE_BF16) {
        for (int32_t j = 0; j < n; ++j)
            w->device->kernels->ops.narrow(buffer->rows.values + j * buffer->rows.ld, K, (uint16_t *)buffer->narrow + (int64_t)j * K);
        store_groups(buffer->narrow, n, columns, K, method, to);
    } else {
        for (int32_t j = 0; j < n; ++j) {
            int8_t *q = (int8_t *)buffer->narrow + (int64_t)j * K;
            hdl__source_quantise(w->device, &buffer->rows, j, K, q, &w->unscale[n0 + j]);
            if (method->offset) w->start[n0 + j] = offset_start(q, K);
        }
        store_groups(buffer->narrow, n, columns, K, method, to);
    }
}

static hdl_status pack_strips(hdl_weight *w, const hdl_pack_args *args)
{
    hdl_status status = HDL_OK;
    hdl__pack_buffer buffer = {0};
    const int32_t last = w->n_strips - 1;
    const size_t columns = (size_t)last * (size_t)w->method->width + (size_t)hdl__strip_columns(w, last);
    w->strips_bytes = columns * (size_t)w->padded * (size_t)w->method->w_bytes;
    HDL_TRY(hdl__cpu_alloc(w->device, w->strips_bytes, (void **)&w->strips));
    HDL_TRY(open_buffer(args, w->method->width, &buffer));
    for (int32_t strip = 0; strip < w->n_strips; ++strip) pack_strip(w, args, &buffer, strip);
    if (w->compute == HDL_COMPUTE_F32 && w->device->features.amx_bf16 && hdl__gemm_has_halves(w))
        hdl__gemm_halve(w, buffer.rows.values);
done:
    hdl__free(buffer.block);
    return status;
}

static hdl_status check_args(const hdl_pack_args *args)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(args->compute != HDL_COMPUTE_F16, HDL_ENOSUPPORT,
              "pack: compute = f16, the cpu backend multiplies f32, bf16 and int8");
    const bool known = args->compute == HDL_COMPUTE_F32 || args->compute == HDL_COMPUTE_BF16
                    || args->compute == HDL_COMPUTE_INT8;
    HDL_CHECK(known, HDL_EINVAL, "pack: compute = %d, allowed f32, bf16, int8", (int)args->compute);
    HDL_CHECK(args->rank == 0 && args->ranks == 1, HDL_ENOSUPPORT, "pack: rank %d of %d, the cpu backend has no ranks",
              args->rank, args->ranks);
done:
    return status;
}

/* Scales of int8 columns, whole strips of them, so that kernels may load past N. */
static hdl_status open_vectors(hdl_weight *w)
{
    hdl_status status = HDL_OK;
    if (w->compute != HDL_COMPUTE_INT8) return HDL_OK;
    const size_t n = (size_t)w->n_strips * (size_t)w->method->width;
    void *block = NULL;
    HDL_TRY(hdl__cpu_alloc(w->device, n * (sizeof(float) + sizeof(int32_t)), &block));
    w->vectors_bytes = n * (sizeof(float) + sizeof(int32_t));
    w->unscale = block;
    w->start = (int32_t *)(void *)(w->unscale + n);
done:
    return status;
}

hdl_status hdl__cpu_pack(hdl_backend_device *device, const hdl_pack_args *args, hdl_weight **out)
{
    hdl_status status = HDL_OK;
    hdl_weight *w = NULL;
    HDL_TRY(check_args(args));
    w = hdl__calloc(1, sizeof *w);
    HDL_CHECK(w != NULL, HDL_ENOMEM, "pack: no memory for a weight's header");
    w->device = device;
    w->method = choose_method(device, args->compute);
    w->compute = args->compute;
    w->N = args->N;
    w->K = args->K;
    w->padded = hdl__round_up(args->K, w->method->k_step > 0 ? w->method->k_step : w->method->group);
    w->n_strips = (args->N + w->method->width - 1) / w->method->width;
    HDL_TRY(open_vectors(w));
    if (args->use != HDL_PACK_FOR_LOGITS && device->onednn != NULL)
        HDL_TRY(hdl__onednn_pack(w, args));
    if (w->library == NULL || args->use != HDL_PACK_FOR_GEMM) HDL_TRY(pack_strips(w, args));
    *out = w;
    w = NULL;
done:
    hdl__cpu_weight_close(w);
    return status;
}

void hdl__cpu_weight_close(hdl_weight *w)
{
    if (w == NULL) return;
    hdl__onednn_weight_close(w->device, w->library);
    hdl__cpu_free(w->device, w->unscale, w->vectors_bytes);
    hdl__cpu_free(w->device, w->strips, w->strips_bytes);
    hdl__free(w);
}

size_t hdl__cpu_weight_bytes(const hdl_weight *w)
{
    return w->strips_bytes + w->vectors_bytes + hdl__onednn_weight_bytes(w->library);
}
