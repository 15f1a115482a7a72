/*
 * gemm.cu - the entry of products: which compute type, and rows of f32 rounded for 16-bit weights.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(); the door has checked the arguments.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm.c.
 * Source     None: this file chooses.
 *
 * Mapping    Rounding: one thread for eight neighbouring inputs of a row.
 * Numerics   f32 to bf16 or f16, to the nearest, ties to even; to bf16 as the CPU's products do. From 65520 on an
 *            f16 is infinite, as IEEE 754 has it.
 * Bound      Rounding: 6 bytes an input.
 */
#include "gemm_library.cuh"
#include "launch.cuh"
#include "ops.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 256;
constexpr int kInputs  = kVec<__half>;               // of one thread: 16 bytes of the result
constexpr int kMaxGridY = 65535;                     // CUDA's limit

// Row i of `to` is row rows[i] of x; inputs past K are zero.
template <class Element>
__global__ void __launch_bounds__(kThreads)
gemm_round_kernel(const GemmInput in, const int32_t *count, const int32_t M, const int32_t ld, Element *to)
{
    const int k = (blockIdx.x * kThreads + threadIdx.x) * kInputs, live = live_rows(count, M);
    if (k >= ld) return;
    for (int m = blockIdx.y; m < live; m += gridDim.y) {
        const int64_t at  = in.rows != nullptr ? in.rows[m] : m;
        const float  *row = static_cast<const float *>(in.x) + at * in.ldx;
        float value[kInputs];
        load_part<kInputs>(row, k, in.K, in.vector && k + kInputs <= in.K, value);
        store_vec(to + static_cast<int64_t>(m) * ld + k, value);
    }
}

int32_t rounded_ld(int32_t K) { return (K + kInputs - 1) / kInputs * kInputs; }

size_t rounded_rows_bytes(int32_t M, int32_t K)
{
    return static_cast<size_t>(M) * static_cast<size_t>(rounded_ld(K)) * sizeof(__half);
}

// Rows of f32 as Element [M, rounded_ld(K)] at `to`, which become the input.
template <class Element>
hdl_status round_rows(hdl_backend_stream *stream, const char *op, GemmInput *input, const int32_t *count, int32_t M,
                      void *to)
{
    const int32_t ld = rounded_ld(input->K);
    const dim3 grid(static_cast<unsigned>((ld / kInputs + kThreads - 1) / kThreads),
                    static_cast<unsigned>(M < kMaxGridY ? M : kMaxGridY));
    const hdl_status status = launch(stream, op, listed<gemm_round_kernel<Element>>, grid, dim3(kThreads), 0, *input,
                                     count, M, ld, static_cast<Element *>(to));
    input->x      = to;
    input->ldx    = ld;
    input->rows   = nullptr;
    input->vector = true;
    return status;
}

const char *dtype_word(hdl_dtype dtype)
{
    return dtype == HDL_F32 ? "f32" : dtype == HDL_BF16 ? "bf16" : dtype == HDL_F16 ? "f16" : "int8";
}

}  // namespace

size_t prepared_rows_bytes(int32_t M, int32_t K)
{
    const size_t rounded = rounded_rows_bytes(M, K), quantised = quantised_rows_bytes(M, K);
    return rounded > quantised ? rounded : quantised;
}

hdl_status plain_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                       const int32_t *rows, const float *x_max, hdl_dtype act_dtype, GemmInput *input)
{
    const hdl_dtype row = row_dtype(w);
    if (act_dtype != HDL_F32 && act_dtype != row)
        return fail(stream->device, HDL_EDTYPE, "%s: act_dtype = %s, weights packed for %s take f32%s%s", op,
                    dtype_word(act_dtype), dtype_word(w->dtype), row == HDL_F32 ? "" : " and ",
                    row == HDL_F32 ? "" : dtype_word(row));
    const bool vector = act_dtype == HDL_F32 ? is_vector<float>(x, ldx) : is_vector<__half>(x, ldx);
    *input = {x, ldx, rows, w->data, w->ld, w->N, w->K, vector, nullptr, w->unscale, x_max};
    return HDL_OK;
}

hdl_status prepare_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                         const int32_t *rows, const float *x_max, const int32_t *count, int32_t M,
                         hdl_dtype act_dtype, GemmInput *input, size_t *used)
{
    *used = 0;
    hdl_status status = plain_input(stream, op, w, x, ldx, rows, x_max, act_dtype, input);
    if (status != HDL_OK || act_dtype == w->dtype) return status;
    void *to = nullptr;
    const size_t bytes = w->dtype == HDL_I8 ? quantised_rows_bytes(M, w->K) : rounded_rows_bytes(M, w->K);
    status = scratch(stream, op, bytes, &to);
    if (status != HDL_OK) return status;
    *used = bytes;
    if (w->dtype == HDL_I8) return quantise_input(stream, op, act_dtype, count, M, to, input);
    return w->dtype == HDL_F16 ? round_rows<__half>(stream, op, input, count, M, to)
                               : round_rows<__nv_bfloat16>(stream, op, input, count, M, to);
}

hdl_status op_gemm(hdl_backend_stream *stream, const hdl_gemm_args *args)
{
    if (args->M == 0) return HDL_OK;
    GemmInput input;
    size_t used = 0;
    const Int8Way way = args->w->dtype == HDL_I8 ? gemm_int8_way(stream->device, args) : Int8Way::kBefore;
    if (way != Int8Way::kBefore) {
        const hdl_status taken = plain_input(stream, "gemm", args->w, args->x, args->ldx, args->rows, args->x_max,
                                             args->act_dtype, &input);
        if (taken != HDL_OK) return taken;
        return way == Int8Way::kFew ? gemm_int8_few(stream, args, input) : gemm_int8_round(stream, args, input);
    }
    const hdl_status status = prepare_input(stream, "gemm", args->w, args->x, args->ldx, args->rows, args->x_max,
                                            args->count, args->M, args->act_dtype, &input, &used);
    if (status != HDL_OK) return status;
    if (args->w->plan != nullptr) return gemm_library(stream, args, input, used);
    switch (args->w->dtype) {
    case HDL_BF16: return gemm_bf16(stream, args, input);
    case HDL_F16:  return gemm_f16(stream, args, input);
    case HDL_I8:   return gemm_int8(stream, args, input);
    default:       return gemm_f32(stream, args, input);
    }
}

size_t gemm_scratch_bytes(const hdl_stream_limits &limits) { return prepared_rows_bytes(limits.M, limits.K); }

hdl_status gemm_prepare(hdl_backend_device *device)
{
    hdl_status status = gemm_f32_prepare(device);
    if (status == HDL_OK) status = gemm_bf16_prepare(device);
    if (status == HDL_OK) status = gemm_f16_prepare(device);
    if (status == HDL_OK) status = gemm_int8_prepare(device);
    if (status == HDL_OK) status = gemm_int8_few_prepare(device);
    return status == HDL_OK ? gemm_int8_round_prepare(device) : status;
}

}  // namespace hdl
