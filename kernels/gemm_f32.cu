/*
 * gemm_f32.cu - y = act(x W^T + b) + residual in f32 throughout.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm().
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm.c, tests/test_gemm_epilogue.c.
 * Source     The definition.
 *
 * Mapping    One block of 256 threads owns a tile of y, 16 x 64 for few rows, else 64 x 64 or
 *            64 x 128; gemm_tiles.h chooses. A thread owns four neighbouring outputs of every
 *            kThreadsM-th row of the tile.
 * Numerics   Family "chunk": fused multiply-adds over 256 inputs in ascending order, sums of chunks
 *            added in ascending order. f32 means f32: no TF32.
 * Bound      2 M N K flops of the f32 units (67 TFLOP/s, H200); few rows: 4 N K bytes of weights.
 */
#include "gemm_kernel.cuh"
#include "gemm_tile_f32.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 256;

using Launch = hdl_status (*)(hdl_backend_stream *, const hdl_gemm_args *, const GemmInput &, int groups);

constexpr int kCostStep = 64;                        // inputs that the costs below are of

template <class Tile> constexpr hdl_gemm_tile describe(int latency, int work)
{
    return {Tile::kTileM, Tile::kTileN, kCostStep, kChunkK, 1, 0, latency, work,
            static_cast<size_t>(Tile::kStages) * Tile::kSlab * sizeof(float),
            static_cast<size_t>(Tile::kTileM) * Tile::kLd * sizeof(float)};
}

using Few    = TileF32<16, 64>;
using Square = TileF32<64, 64>;
using Wide   = TileF32<64, 128>;

// Work: 128 multiply-adds a clock; with one row a thread the loads from shared memory take three times as long.
constexpr hdl_gemm_tile kTiles[]    = {describe<Few>(1600, 1500), describe<Square>(2200, 2100),
                                       describe<Wide>(4200, 4100)};
constexpr Launch        kLaunches[] = {launch_gemm<Few, kThreads>, launch_gemm<Square, kThreads>,
                                       launch_gemm<Wide, kThreads>};
constexpr int           kTileCount  = sizeof kTiles / sizeof kTiles[0];

// A tile that the device has no room for is never chosen.
template <class Tile> hdl_status prepare(hdl_backend_device *device)
{
    if (tile_shared_bytes<Tile>(1) > device->max_shared_bytes) return HDL_OK;
    return allow_shared(device, "gemm", gemm_tile_kernel<Tile, kThreads>, tile_shared_bytes<Tile>(1));
}

}  // namespace

hdl_status gemm_f32(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    const hdl_gemm_choice choice = hdl_gemm_choose(kTiles, kTileCount, args->M, args->N, args->K,
                                                   stream->device->sm_count, stream->device->max_shared_bytes);
    return kLaunches[choice.tile](stream, args, input, choice.groups);
}

hdl_status gemm_f32_prepare(hdl_backend_device *device)
{
    hdl_status status = prepare<Few>(device);
    if (status == HDL_OK) status = prepare<Square>(device);
    if (status == HDL_OK) status = prepare<Wide>(device);
    return status;
}

}  // namespace hdl
