/*
 * gemm_bf16.cu - y = act(x W^T + b) + residual, rows and weights bf16, sums f32.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(); rows of f32 have been rounded to bf16 before.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm.c, tests/test_gemm_epilogue.c.
 * Source     Warp-level products: PTX ISA, "mma.m16n8k16". Nothing else is taken from elsewhere.
 *
 * Mapping    One block owns a tile of y. Tiles from 16 x 32 (few rows: the weights are all that
 *            counts, so up to eight groups of one warp each take a chunk of K) to 128 x 128.
 *            gemm_tiles.h chooses. Slabs come by cp.async, three stages; sums leave through shared
 *            memory, so that y is written in whole words.
 * Numerics   Family "chunk": sums of 256 inputs by mma in f32, added in ascending order in f32.
 *            Bias, activation and residual in f32, one rounding to bf16.
 * Bound      M >= 512: 2 M N K flops. M <= 64: 2 N K bytes of weights. N = K = 512, M = 16 is
 *            latency: four steps of a group, about 2 us.
 */
#include "gemm_kernel.cuh"
#include "gemm_tile_bf16.cuh"

namespace hdl {
namespace {

constexpr int kMaxThreads = 256;                     // of a block, whatever its tile

using Launch = hdl_status (*)(hdl_backend_stream *, const hdl_gemm_args *, const GemmInput &, int groups);

template <class Tile> constexpr hdl_gemm_tile describe(int max_groups, int latency, int work)
{
    return {Tile::kTileM, Tile::kTileN, max_groups, latency, work,
            static_cast<size_t>(Tile::kStages) * Tile::kSlab * sizeof(__nv_bfloat16) + Tile::kSums * sizeof(float),
            static_cast<size_t>(Tile::kTileM) * Tile::kLd * sizeof(float)};
}

using Few    = TileBf16<16, 32>;
using Narrow = TileBf16<64, 32>;
using Square = TileBf16<64, 64>;
using Large  = TileBf16<128, 128>;

// Latency: two slabs under way hide half of the L2's, and four rounds of ldmatrix and mma follow each other. Work: the
// longer of 1024 multiply-adds and 32 copied bytes a clock (what the L2 gives each of 132 multiprocessors).
constexpr hdl_gemm_tile kTiles[] = {describe<Few>(8, 400, 192), describe<Narrow>(4, 450, 384),
                                    describe<Square>(1, 450, 512), describe<Large>(1, 1100, 1100)};
constexpr Launch kLaunches[] = {launch_gemm<Few, kMaxThreads>, launch_gemm<Narrow, kMaxThreads>,
                                launch_gemm<Square, kMaxThreads>, launch_gemm<Large, kMaxThreads>};
constexpr int kTileCount = sizeof kTiles / sizeof kTiles[0];

template <class Tile> hdl_status prepare(hdl_backend_device *device, int max_groups)
{
    size_t bytes = 0;
    for (int groups = 1; groups <= max_groups; groups *= 2)
        if (tile_shared_bytes<Tile>(groups) <= device->max_shared_bytes) bytes = tile_shared_bytes<Tile>(groups);
    return bytes == 0 ? HDL_OK : allow_shared(device, "gemm", gemm_tile_kernel<Tile, kMaxThreads>, bytes);
}

}  // namespace

hdl_status gemm_bf16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    const hdl_gemm_choice choice = hdl_gemm_choose(kTiles, kTileCount, args->M, args->N, args->K,
                                                   stream->device->sm_count, stream->device->max_shared_bytes);
    return kLaunches[choice.tile](stream, args, input, choice.groups);
}

hdl_status gemm_bf16_prepare(hdl_backend_device *device)
{
    hdl_status status = prepare<Few>(device, kTiles[0].max_groups);
    if (status == HDL_OK) status = prepare<Narrow>(device, kTiles[1].max_groups);
    if (status == HDL_OK) status = prepare<Square>(device, kTiles[2].max_groups);
    if (status == HDL_OK) status = prepare<Large>(device, kTiles[3].max_groups);
    return status;
}

}  // namespace hdl
