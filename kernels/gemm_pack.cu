/*
 * gemm_pack.cu - source tensors into the device's layout of a matrix, once, at load.
 *
 * Contract   include/heddle/gemm.h, hdl_weight_pack(); the door has checked the parts.
 * Reference  host/cpu/gemm_pack.c, gemm_source.c; tests/test_gemm_pack.c.
 * Source     None: dtypes are widened exactly, then divided by their stored scale.
 *
 * Mapping    Host code: rows are widened and laid out in host memory, then copied; the copy is done
 *            when the call returns, so that the parts may die.
 * Numerics   f32 weights keep their value; bf16 and f16 ones are rounded to the nearest, ties to even. From 65520 on
 *            an f16 weight is infinite. int8: q = rint(v * 127 / max|row|), ties to even, the CPU's integers; stored
 *            int8 keeps its own.
 * Bound      Reading the parts; the file's speed.
 */
#include "gemm_library.cuh"
#include "int8_rule.cuh"
#include "ops.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <string.h>

namespace hdl {
namespace {

constexpr int32_t kRowBlock = 16;                    // rows laid out together: f32 columns then fill cache lines
constexpr int32_t kWord     = 16;                    // bytes that the inner extent is rounded up to
constexpr int32_t kMostK    = INT32_MAX / (128 * 127);      // sums of int8 stay within int32

template <class T> T stored_at(const void *data, size_t i)
{
    T value;                                         // data may be unaligned
    memcpy(&value, static_cast<const unsigned char *>(data) + i * sizeof value, sizeof value);
    return value;
}

float stored_value(const void *data, hdl_dtype dtype, size_t i)
{
    switch (dtype) {
    case HDL_F16:  return __half2float(stored_at<__half>(data, i));
    case HDL_BF16: return __bfloat162float(stored_at<__nv_bfloat16>(data, i));
    case HDL_I8:   return static_cast<float>(stored_at<int8_t>(data, i));
    case HDL_I16:  return static_cast<float>(stored_at<int16_t>(data, i));
    default:       return stored_at<float>(data, i);
    }
}

float scale_of(const hdl_pack_part &part, int32_t row)
{
    return part.scale == nullptr ? 1.0f : part.scale[part.n_scale == 1 ? 0 : row];
}

// Row `row` of a part as real values; as stored when `exact`.
void read_row(const hdl_pack_part &part, int32_t row, int32_t K, bool exact, float *to)
{
    const size_t first = part.transposed ? static_cast<size_t>(row) : static_cast<size_t>(row) * static_cast<size_t>(K);
    const size_t step  = part.transposed ? static_cast<size_t>(part.rows) : 1;
    for (int32_t k = 0; k < K; ++k) to[k] = stored_value(part.data, part.dtype, first + static_cast<size_t>(k) * step);
    if (part.scale == nullptr || exact) return;
    const float scale = scale_of(part, row);
    for (int32_t k = 0; k < K; ++k) to[k] /= scale;
}

// Whether the rows of a part keep the integers that are stored.
bool keeps_integers(const hdl_pack_args *args, const hdl_pack_part &part)
{
    return args->compute == HDL_COMPUTE_INT8 && part.dtype == HDL_I8;
}

// Rows n .. n + count of the stack, f32 [count, K]; of rows that keep their integers the stored scale too, else 0.
void read_rows(const hdl_pack_args *args, int32_t n, int32_t count, float *to, float *stored_scale)
{
    int32_t first = 0;                               // row of the stack where the part starts
    for (int32_t p = 0; p < args->n_parts; first += args->parts[p].rows, ++p)
        for (int32_t i = 0; i < count; ++i) {
            const hdl_pack_part &part = args->parts[p];
            const int32_t row = n + i - first;
            const bool exact  = keeps_integers(args, part);
            if (row < 0 || row >= part.rows) continue;
            read_row(part, row, args->K, exact, to + static_cast<size_t>(i) * static_cast<size_t>(args->K));
            stored_scale[i] = exact ? scale_of(part, row) : 0.0f;
        }
}

void store_f32(const float *rows, int32_t n, int32_t count, const hdl_weight *w, float *to)
{
    for (int32_t k = 0; k < w->K; ++k)
        for (int32_t i = 0; i < count; ++i)
            to[static_cast<size_t>(k) * static_cast<size_t>(w->ld) + static_cast<size_t>(n + i)] =
                rows[static_cast<size_t>(i) * static_cast<size_t>(w->K) + static_cast<size_t>(k)];
}

void round_to(float value, __nv_bfloat16 *to) { *to = __float2bfloat16_rn(value); }
void round_to(float value, __half *to) { *to = __float2half_rn(value); }

template <class Element>
void store_rounded(const float *rows, int32_t n, int32_t count, const hdl_weight *w, Element *to)
{
    for (int32_t i = 0; i < count; ++i)
        for (int32_t k = 0; k < w->K; ++k)
            round_to(rows[static_cast<size_t>(i) * static_cast<size_t>(w->K) + static_cast<size_t>(k)],
                     to + static_cast<size_t>(n + i) * static_cast<size_t>(w->ld) + static_cast<size_t>(k));
}

// Where the factors of an int8 image start.
size_t unscale_offset(const hdl_weight *w) { return static_cast<size_t>(w->N) * static_cast<size_t>(w->ld); }

void store_int8(const float *rows, const float *stored_scale, int32_t n, int32_t count, const hdl_weight *w,
                unsigned char *image)
{
    for (int32_t i = 0; i < count; ++i) {
        const float *row = rows + static_cast<size_t>(i) * static_cast<size_t>(w->K);
        int8_t *to = reinterpret_cast<int8_t *>(image)
                     + static_cast<size_t>(n + i) * static_cast<size_t>(w->ld);
        float scale = stored_scale[i];
        if (scale != 0.0f) {
            for (int32_t k = 0; k < w->K; ++k) to[k] = static_cast<int8_t>(row[k]);
        } else {
            uint32_t top = 0;
            for (int32_t k = 0; k < w->K; ++k) top = magnitude_bits(row[k]) > top ? magnitude_bits(row[k]) : top;
            const Int8Rule rule = int8_rule(top);
            scale = rule.scale;
            for (int32_t k = 0; k < w->K; ++k) to[k] = static_cast<int8_t>(to_int8(rule, row[k]));
        }
        const float unscale = 1.0f / scale;
        memcpy(image + unscale_offset(w) + static_cast<size_t>(n + i) * sizeof unscale, &unscale, sizeof unscale);
    }
}

void lay_out(const hdl_pack_args *args, const hdl_weight *w, float *rows, void *image)
{
    for (int32_t n = 0; n < w->N; n += kRowBlock) {
        const int32_t count = w->N - n < kRowBlock ? w->N - n : kRowBlock;
        float stored_scale[kRowBlock];
        read_rows(args, n, count, rows, stored_scale);
        if (w->dtype == HDL_BF16) store_rounded(rows, n, count, w, static_cast<__nv_bfloat16 *>(image));
        else if (w->dtype == HDL_F16) store_rounded(rows, n, count, w, static_cast<__half *>(image));
        else if (w->dtype == HDL_I8) store_int8(rows, stored_scale, n, count, w, static_cast<unsigned char *>(image));
        else store_f32(rows, n, count, w, static_cast<float *>(image));
    }
}

int32_t round_up(int32_t n, int32_t multiple) { return (n + multiple - 1) / multiple * multiple; }

void set_layout(hdl_weight *w, const hdl_pack_args *args, hdl_dtype dtype)
{
    const size_t element = dtype_bytes(dtype);
    const int32_t together = kWord / static_cast<int32_t>(element);
    w->dtype = dtype;
    w->N     = args->N;
    w->K     = args->K;
    w->ld    = round_up(dtype == HDL_F32 ? w->N : w->K, together);
    w->bytes = static_cast<size_t>(dtype == HDL_F32 ? w->K : w->N) * static_cast<size_t>(w->ld) * element;
    if (dtype == HDL_I8) w->bytes += static_cast<size_t>(w->N) * sizeof *w->unscale;
}

}  // namespace

hdl_status op_pack(hdl_backend_device *device, const hdl_pack_args *args, hdl_weight **out)
{
    hdl_dtype dtype = HDL_F32;
    switch (args->compute) {
    case HDL_COMPUTE_F32:  break;
    case HDL_COMPUTE_BF16: dtype = HDL_BF16; break;
    case HDL_COMPUTE_F16:  dtype = HDL_F16; break;
    case HDL_COMPUTE_INT8: dtype = HDL_I8; break;
    default:
        return fail(device, HDL_EINVAL, "pack: compute = %d, allowed f32, bf16, f16, int8",
                    static_cast<int>(args->compute));
    }
    if (dtype == HDL_I8 && args->K > kMostK)
        return fail(device, HDL_ESHAPE, "pack: K = %d, int8 sums are exact up to %d", args->K, kMostK);
    hdl_weight *w = static_cast<hdl_weight *>(device->host->alloc(sizeof *w));
    if (w == nullptr) return fail(device, HDL_ENOMEM, "pack: no memory for a weight's header");
    w->device = device;
    set_layout(w, args, dtype);
    const size_t block = static_cast<size_t>(kRowBlock) * static_cast<size_t>(w->K) * sizeof(float);
    float *rows  = static_cast<float *>(device->host->alloc(block));
    void  *image = device->host->alloc(w->bytes);    // zeroed, the padding too
    hdl_status status = HDL_OK;
    if (rows == nullptr || image == nullptr)
        status = fail(device, HDL_ENOMEM, "pack: no memory to convert %d rows of %d", w->N, w->K);
    if (status == HDL_OK) status = device_alloc(device, w->bytes, &w->data);
    if (status == HDL_OK) lay_out(args, w, rows, image);
    if (status == HDL_OK) status = device_write(device, w->data, image, w->bytes);
    if (status == HDL_OK && dtype == HDL_I8)
        w->unscale = reinterpret_cast<float *>(static_cast<unsigned char *>(w->data) + unscale_offset(w));
    device->host->free(image);
    device->host->free(rows);
    if (status == HDL_OK && args->use == HDL_PACK_FOR_GEMM) status = library_plan_make(w);
    if (status == HDL_OK) *out = w;
    else op_weight_close(w);
    return status;
}

void op_weight_close(hdl_weight *w)
{
    if (w == nullptr) return;
    library_plan_close(w);
    device_free(w->device, w->data, w->bytes);
    w->device->host->free(w);
}

size_t op_weight_bytes(const hdl_weight *w) { return w->bytes; }

}  // namespace hdl
