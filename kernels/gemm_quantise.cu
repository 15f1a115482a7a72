/*
 * gemm_quantise.cu - rows of a product as int8, each by its own greatest magnitude, with the factor that gives values back.
 *
 * Contract   Part of hdl_gemm(), hdl_logit_reduce() and hdl_token_logprobs() with int8 weights.
 * Reference  host/cpu/simd/gemm_quantise.c; tests/test_gemm_backends.c.
 * Source     int8_rule.cuh.
 *
 * Mapping    One warp owns a row and reads it twice, the second time from cache; once where its greatest magnitude is
 *            known. A lane takes 8 neighbouring inputs.
 * Numerics   int8_rule.cuh: the CPU's integers and factors from the same values.
 * Bound      Memory: K (4 or 2, + 1) bytes a row. M = 4096, K = 512 in bf16: 6.3 MB, 1.5 us at 4.3 TB/s.
 */
#include "gemm_weight.cuh"
#include "int8_rule.cuh"
#include "launch.cuh"
#include "reduce.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 256;
constexpr int kRows    = kThreads / kWarp;           // of a block
constexpr int kInputs  = kVec<__half>;               // of one lane: 16 bytes of 16-bit rows, 8 of the result
constexpr int kWord    = 16;                         // bytes that a row of the result is rounded up to

// Row i of q [M, ld] is row rows[i] of x; inputs past K are zero.
template <class T>
__global__ void __launch_bounds__(kThreads)
gemm_quantise_kernel(const GemmInput in, const int32_t *count, const int32_t M, const int32_t ld, int8_t *q,
                     float *unscale)
{
    const int m = blockIdx.x * kRows + threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    if (m >= live_rows(count, M)) return;            // whole warps leave
    const int64_t at  = in.rows != nullptr ? in.rows[m] : m;
    const T      *row = static_cast<const T *>(in.x) + at * in.ldx;
    float    value[kInputs];
    const bool known = in.x_max != nullptr;
    uint32_t   top   = known ? magnitude_bits(in.x_max[at]) : 0;
    for (int k = lane * kInputs; !known && k < in.K; k += kWarp * kInputs) {
        load_part<kInputs>(row, k, in.K, in.vector && k + kInputs <= in.K, value);
#pragma unroll
        for (int i = 0; i < kInputs; ++i) top = max(top, magnitude_bits(value[i]));
    }
    const Int8Rule rule = int8_rule(__reduce_max_sync(kAllLanes, top));
    for (int k = lane * kInputs; k < ld; k += kWarp * kInputs) {
        load_part<kInputs>(row, k, in.K, in.vector && k + kInputs <= in.K, value);
        *reinterpret_cast<uint2 *>(q + static_cast<int64_t>(m) * ld + k) =
            make_uint2(join_int8(rule, value), join_int8(rule, value + 4));
    }
    if (lane == 0) unscale[m] = 1.0f / rule.scale;
}

int32_t quantised_ld(int32_t K) { return (K + kWord - 1) / kWord * kWord; }

template <class T>
hdl_status quantise(hdl_backend_stream *stream, const char *op, const int32_t *count, int32_t M, int8_t *q,
                    float *unscale, const GemmInput &input)
{
    return launch(stream, op, listed<gemm_quantise_kernel<T>>, dim3(static_cast<unsigned>((M + kRows - 1) / kRows)),
                  dim3(kThreads), 0, input, count, M, quantised_ld(input.K), q, unscale);
}

}  // namespace

size_t quantised_rows_bytes(int32_t M, int32_t K)
{
    return static_cast<size_t>(M) * (static_cast<size_t>(quantised_ld(K)) + sizeof(float));
}

hdl_status quantise_input(hdl_backend_stream *stream, const char *op, hdl_dtype act_dtype, const int32_t *count,
                          int32_t M, void *to, GemmInput *input)
{
    const int32_t ld = quantised_ld(input->K);
    int8_t *q = static_cast<int8_t *>(to);
    float  *unscale = reinterpret_cast<float *>(q + static_cast<int64_t>(M) * ld);
    const hdl_status status = act_dtype == HDL_F32
                                  ? quantise<float>(stream, op, count, M, q, unscale, *input)
                                  : quantise<__nv_bfloat16>(stream, op, count, M, q, unscale, *input);
    input->x         = q;
    input->ldx       = ld;
    input->rows      = nullptr;
    input->K         = ld;                           // the padding is zero on both sides
    input->vector    = true;
    input->x_unscale = unscale;
    input->x_max     = nullptr;
    return status;
}

}  // namespace hdl
