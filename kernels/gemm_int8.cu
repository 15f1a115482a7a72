/*
 * gemm_int8.cu - y = act(x W^T + b) + residual, rows and weights int8 with a scale each, sums int32.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(), compute INT8; rows of bf16 or f32 have been quantised before
 *            (gemm_quantise.cu). gemm_int8_way() chooses between this and the two ways that quantise inside.
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

Int8Way gemm_int8_way(const hdl_backend_device *device, const hdl_gemm_args *args)
{
    const hdl_gemm_choice choice = choose_mma<int8_t>(device, args->M, args->N, args->K);
    const int64_t before = hdl_gemm_quantise_cost(args->M, args->K, device->sm_count)
                           + hdl_gemm_cost(&kTiles<int8_t>[choice.tile], choice.groups, args->M, args->N, args->K,
                                           device->sm_count, device->max_shared_bytes);
    const int64_t few = gemm_int8_few_cost(device, args), round = gemm_int8_round_cost(device, args);
    if (before <= few && before <= round) return Int8Way::kBefore;
    return few <= round ? Int8Way::kFew : Int8Way::kRound;
}

hdl_status gemm_int8_prepare(hdl_backend_device *device) { return gemm_mma_prepare<int8_t>(device); }

}  // namespace hdl
