/*
 * gemm_int8_round.cu - int8 products of bf16 rows whose greatest magnitudes are known, in one launch, however many rows.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(), compute INT8, with x_max, rows and K of whole 16-byte words; other rows
 *            take the other ways.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm_row_maxima.c.
 * Source     int8_rule.cuh; PTX ISA, "mma.m16n8k32".
 *
 * Mapping    The tiles of gemm_int8.cu; each block rounds its rows itself, slab by slab, while it multiplies
 *            (gemm_tile_round.cuh). No scratch. Every column block reads and rounds the same rows again, so past 500 to
 *            1000 rows a kernel that does it once before the product is cheaper; gemm_int8.cu weighs that.
 * Numerics   As gemm_quantise.cu and gemm_int8.cu, with their bits.
 * Bound      As gemm_int8.cu; the L2 gives 2 M K bytes to each block of columns.
 */
#include "gemm_kernel.cuh"
#include "gemm_tile_round.cuh"

namespace hdl {
namespace {

constexpr int kMaxThreads = 256;                     // of a block, whatever its tile

using Launch = hdl_status (*)(hdl_backend_stream *, const hdl_gemm_args *, const GemmInput &, int groups);

using Few    = TileRound<16, 32>;
using Narrow = TileRound<64, 32>;
using Square = TileRound<64, 64>;
using Large  = TileRound<128, 128>;

// Clocks of a step. To round an input takes 5 instructions: widen, multiply, add, a part of joining bytes, a part of reads,
// addresses and writes.
constexpr int kRound    = 5;
constexpr int kLanes    = 128;                       // instructions of one thread each in a clock
constexpr int kMultiply = 2048, kCopy = 32;          // multiply-adds, and bytes from the L2, in a clock: gemm_mma.cuh
constexpr int kOpen     = 300;                       // the table of rows, two barriers; the maxima's read is hidden

// `latency` is that of the tile in gemm_mma.cuh; a thread rounds its inputs behind it, and warps of one scheduler (four of
// them share a multiprocessor) wait for each other. Work: rounding and multiplying take turns between barriers, copies run
// beside both.
template <class Tile> constexpr hdl_gemm_tile describe(int max_groups, int latency)
{
    const int own   = Tile::kHeld * Tile::kInputs, warps = (Tile::kThreads / kWarp + 3) / 4;
    const int busy  = Tile::kTileM * Tile::kTileN * Tile::kStep / kMultiply + Tile::kTileM * Tile::kStep * kRound / kLanes;
    const int moved = (2 * Tile::kTileM + Tile::kTileN) * Tile::kStep / kCopy;
    return {Tile::kTileM, Tile::kTileN, Tile::kStep, Tile::kChunk, max_groups, kOpen, latency + own * kRound * warps,
            busy > moved ? busy : moved,
            static_cast<size_t>(Tile::kStages) * Tile::kSlab + (max_groups > 1 ? Tile::kSums * sizeof(int32_t) : 0),
            static_cast<size_t>(Tile::kTileM) * Tile::kLd * sizeof(float) + smem_bytes<typename Tile::Table>(1)};
}

constexpr hdl_gemm_tile kTiles[]    = {describe<Few>(8, 400), describe<Narrow>(4, 450), describe<Square>(1, 450),
                                       describe<Large>(1, 1100)};
constexpr Launch        kLaunches[] = {launch_gemm<Few, kMaxThreads>, launch_gemm<Narrow, kMaxThreads>,
                                       launch_gemm<Square, kMaxThreads>, launch_gemm<Large, kMaxThreads>};
constexpr int           kTileCount  = sizeof kTiles / sizeof kTiles[0];

hdl_gemm_choice choose(const hdl_backend_device *device, const hdl_gemm_args *args)
{
    return hdl_gemm_choose(kTiles, kTileCount, args->M, args->N, args->K, device->sm_count, device->max_shared_bytes);
}

template <class Tile> hdl_status prepare(hdl_backend_device *device, int max_groups)
{
    size_t bytes = 0;
    for (int groups = 1; groups <= max_groups; groups *= 2)
        if (tile_shared_bytes<Tile>(groups) <= device->max_shared_bytes) bytes = tile_shared_bytes<Tile>(groups);
    return bytes == 0 ? HDL_OK : allow_shared(device, "gemm", gemm_tile_kernel<Tile, kMaxThreads>, bytes);
}

}  // namespace

int64_t gemm_int8_round_cost(const hdl_backend_device *device, const hdl_gemm_args *args)
{
    if (args->x_max == nullptr || args->act_dtype == HDL_F32 || !is_vector<__nv_bfloat16>(args->x, args->ldx)
        || args->K % kVec<__nv_bfloat16> != 0)
        return INT64_MAX;
    const hdl_gemm_choice choice = choose(device, args);
    return hdl_gemm_cost(&kTiles[choice.tile], choice.groups, args->M, args->N, args->K, device->sm_count,
                         device->max_shared_bytes);
}

hdl_status gemm_int8_round(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    const hdl_gemm_choice choice = choose(stream->device, args);
    return kLaunches[choice.tile](stream, args, input, choice.groups);
}

hdl_status gemm_int8_round_prepare(hdl_backend_device *device)
{
    hdl_status status = prepare<Few>(device, kTiles[0].max_groups);
    if (status == HDL_OK) status = prepare<Narrow>(device, kTiles[1].max_groups);
    if (status == HDL_OK) status = prepare<Square>(device, kTiles[2].max_groups);
    if (status == HDL_OK) status = prepare<Large>(device, kTiles[3].max_groups);
    return status;
}

}  // namespace hdl
