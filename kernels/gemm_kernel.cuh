/*
 * gemm_kernel.cuh - the product kernel over any tile, and its launch; gemm_f32.cu and gemm_bf16.cu list the tiles.
 */
#pragma once
#include "gemm_epilogue.cuh"
#include "gemm_tiles.h"
#include "gemm_weight.cuh"
#include "launch.cuh"
#include "smem.cuh"

namespace hdl {
namespace {

// Shared memory of one block of `groups` groups: the tile's stages, then its sums.
template <class Tile> size_t tile_shared_bytes(int groups)
{
    return Tile::shared_bytes(groups) + smem_bytes<float>(static_cast<size_t>(Tile::kTileM) * Tile::kLd);
}

template <class Tile, int kMaxThreads>
__global__ void __launch_bounds__(kMaxThreads, Tile::kMinBlocks)
gemm_tile_kernel(const GemmInput in, const GemmOutput out, const int32_t *count, const int32_t M)
{
    const int live = live_rows(count, M);
    const int m0 = blockIdx.x * Tile::kTileM, n0 = blockIdx.y * Tile::kTileN;
    if (m0 >= live) return;                          // the whole block leaves
    const size_t stages = Tile::shared_bytes(blockDim.x / Tile::kThreads);
    size_t offset = 0;
    unsigned char *shared = smem_carve<unsigned char>(offset, stages);
    float *sums = smem_carve<float>(offset, static_cast<size_t>(Tile::kTileM) * Tile::kLd);
    const typename Tile::Source from = Tile::open(in, m0, live, n0, 1, Tile::stages_in(shared));
    Tile::multiply(from, in, 0, shared, sums);
    finish_tile<Tile>(out, m0, live, n0, sums);
}

// Rows vary fastest over the blocks: those that run together share the panel of w.
template <class Tile, int kMaxThreads>
hdl_status launch_gemm(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &in, int groups)
{
    const dim3 grid(static_cast<unsigned>((args->M + Tile::kTileM - 1) / Tile::kTileM),
                    static_cast<unsigned>((args->N + Tile::kTileN - 1) / Tile::kTileN));
    return launch(stream, "gemm", listed<gemm_tile_kernel<Tile, kMaxThreads>>, grid,
                  dim3(static_cast<unsigned>(Tile::kThreads * groups)), tile_shared_bytes<Tile>(groups), in,
                  output_of(args), args->count, args->M);
}

}  // namespace
}  // namespace hdl
