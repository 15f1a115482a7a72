/*
 * gemm.cu - the entry of products: which compute type, and rows of f32 rounded for bf16 weights.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(); the door has checked the arguments.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm.c.
 * Source     None: this file chooses.
 *
 * Mapping    Rounding: one thread for eight neighbouring inputs of a row.
 * Numerics   f32 to bf16, to the nearest, ties to even; as the CPU's bf16 products do.
 * Bound      Rounding: 6 bytes an input.
 */
#include "gemm_weight.cuh"
#include "launch.cuh"
#include "ops.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 256;
constexpr int kInputs  = kVec<__nv_bfloat16>;        // of one thread: 16 bytes of the result
constexpr int kMaxGridY = 65535;                     // CUDA's limit

// Row i of `to` is row rows[i] of x; inputs past K are zero.
__global__ void __launch_bounds__(kThreads)
gemm_round_kernel(const GemmInput in, const int32_t *count, const int32_t M, const int32_t ld, __nv_bfloat16 *to)
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

}  // namespace

size_t bf16_rows_bytes(int32_t M, int32_t K)
{
    return static_cast<size_t>(M) * static_cast<size_t>(rounded_ld(K)) * sizeof(__nv_bfloat16);
}

hdl_status bf16_rows(hdl_backend_stream *stream, const char *op, GemmInput *input, const int32_t *count, int32_t M,
                     void *to)
{
    const int32_t ld = rounded_ld(input->K);
    const dim3 grid(static_cast<unsigned>((ld / kInputs + kThreads - 1) / kThreads),
                    static_cast<unsigned>(M < kMaxGridY ? M : kMaxGridY));
    const hdl_status status = launch(stream, op, gemm_round_kernel, grid, dim3(kThreads), 0, *input, count, M, ld,
                                     static_cast<__nv_bfloat16 *>(to));
    input->x      = to;
    input->ldx    = ld;
    input->rows   = nullptr;
    input->vector = true;
    return status;
}

hdl_status prepare_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                         const int32_t *rows, const int32_t *count, int32_t M, hdl_dtype act_dtype,
                         GemmInput *input, size_t *used)
{
    const bool bf16_weights = w->compute == HDL_COMPUTE_BF16, bf16_x = act_dtype == HDL_BF16;
    *used = 0;
    if (bf16_x && !bf16_weights)
        return fail(stream->device, HDL_EDTYPE, "%s: act_dtype = bf16, weights packed for f32 take f32", op);
    const bool vector = bf16_x ? is_vector<__nv_bfloat16>(x, ldx) : is_vector<float>(x, ldx);
    *input = {x, ldx, rows, w->data, w->ld, w->N, w->K, vector};
    if (!bf16_weights || bf16_x) return HDL_OK;
    void *to = nullptr;
    const size_t bytes = bf16_rows_bytes(M, w->K);
    const hdl_status status = scratch(stream, op, bytes, &to);
    if (status != HDL_OK) return status;
    *used = bytes;
    return bf16_rows(stream, op, input, count, M, to);
}

hdl_status op_gemm(hdl_backend_stream *stream, const hdl_gemm_args *args)
{
    if (args->M == 0) return HDL_OK;
    GemmInput input;
    size_t used = 0;
    const hdl_status status = prepare_input(stream, "gemm", args->w, args->x, args->ldx, args->rows, args->count,
                                            args->M, args->act_dtype, &input, &used);
    if (status != HDL_OK) return status;
    if (args->w->compute == HDL_COMPUTE_BF16) return gemm_bf16(stream, args, input);
    return gemm_f32(stream, args, input);
}

size_t gemm_scratch_bytes(const hdl_stream_limits &limits) { return bf16_rows_bytes(limits.M, limits.K); }

hdl_status gemm_prepare(hdl_backend_device *device)
{
    const hdl_status status = gemm_f32_prepare(device);
    return status == HDL_OK ? gemm_bf16_prepare(device) : status;
}

}  // namespace hdl
