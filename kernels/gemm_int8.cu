/*
 * gemm_int8.cu - y = act(x W^T + b) + residual, rows and weights int8 with a scale each, sums int32.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(), compute INT8; rows of bf16 or f32 have been quantised before
 *            (gemm_quantise.cu).
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm_backends.c.
 * Source     Warp-level products: PTX ISA, "mma.m16n8k32". Scales of rows and of outputs: Dettmers et al. 2022,
 *            arXiv 2208.07339, section 2.
 *
 * Mapping    The tiles of gemm_bf16.cu with slabs of 128 inputs; where rows are few, up to eight groups of warps take
 *            a slab each in turn. gemm_tiles.h chooses.
 * Numerics   Sums are exact. One is rounded to f32, then multiplied by the row's and by the output's 1 / scale: with
 *            f32 rows the CPU's bits. Bias, activation and residual in f32, one rounding to bf16.
 * Bound      M >= 512: 2 M N K operations, twice the rate of bf16. M <= 64: N K bytes of weights.
 */
#include "gemm_mma.cuh"

namespace hdl {

hdl_status gemm_int8(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    return gemm_mma<int8_t>(stream, args, input);
}

int64_t gemm_int8_cost(const hdl_backend_device *device, int32_t M, int32_t N, int32_t K)
{
    const hdl_gemm_choice choice = choose_mma<int8_t>(device, M, N, K);
    return hdl_gemm_cost(&kTiles<int8_t>[choice.tile], choice.groups, M, N, K, device->sm_count,
                         device->max_shared_bytes)
           + hdl_gemm_quantise_cost(M, K, device->sm_count);
}

hdl_status gemm_int8_prepare(hdl_backend_device *device) { return gemm_mma_prepare<int8_t>(device); }

}  // namespace hdl
