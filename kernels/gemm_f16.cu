/*
 * gemm_f16.cu - y = act(x W^T + b) + residual, rows and weights f16, sums f32.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(); rows of f32 have been rounded to f16 before.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm_backends.c.
 * Source     Warp-level products: PTX ISA, "mma.m16n8k16". Nothing else is taken from elsewhere.
 *
 * Mapping    One block owns a tile of y. Tiles from 16 x 32 (few rows: the weights are all that
 *            counts, so up to eight groups of one warp each take a chunk of K) to 128 x 128.
 *            gemm_tiles.h chooses. Slabs come by cp.async, three stages; sums leave through shared
 *            memory, so that y is written in whole words.
 * Numerics   Family "chunk": sums of 256 inputs by mma in f32, added in ascending order in f32.
 *            Bias, activation and residual in f32, one rounding to f16, to the nearest, as IEEE 754 has
 *            it: from 65520 on a result is infinite, it is not clamped to f16's greatest, 65504. Rows of f32 are
 *            rounded likewise.
 * Bound      M >= 512: 2 M N K flops. M <= 64: 2 N K bytes of weights. N = K = 512, M = 16 is
 *            latency: four steps of a group, about 2 us.
 */
#include "gemm_mma.cuh"

namespace hdl {

hdl_status gemm_f16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    return gemm_mma<__half>(stream, args, input);
}

hdl_status gemm_f16_prepare(hdl_backend_device *device) { return gemm_mma_prepare<__half>(device); }

}  // namespace hdl
