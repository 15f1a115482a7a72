/*
 * gemm_mma.cuh - the tiles of products by mma, their costs and the choice; gemm_bf16.cu, gemm_f16.cu and gemm_int8.cu
 * instantiate it.
 */
#pragma once
#include "gemm_kernel.cuh"
#include "gemm_tile_mma.cuh"

namespace hdl {
namespace {

constexpr int kMaxThreads = 256;                     // of a block, whatever its tile

using Launch = hdl_status (*)(hdl_backend_stream *, const hdl_gemm_args *, const GemmInput &, int groups);

template <class Tile> constexpr hdl_gemm_tile describe(int max_groups, int latency, int work)
{
    return {Tile::kTileM, Tile::kTileN, Tile::kStep, Tile::kChunk, max_groups, 0, latency, work,
            static_cast<size_t>(Tile::kStages) * Tile::kSlab * sizeof(typename Tile::Element)
                + Tile::kSums * sizeof(float),
            static_cast<size_t>(Tile::kTileM) * Tile::kLd * sizeof(float)};
}

template <class Element> using Few    = TileMma<Element, 16, 32>;
template <class Element> using Narrow = TileMma<Element, 64, 32>;
template <class Element> using Square = TileMma<Element, 64, 64>;
template <class Element> using Large  = TileMma<Element, 128, 128>;

// Latency: two slabs under way hide half of the L2's, and four rounds of ldmatrix and mma follow each other. Work: the
// longer of 1024 multiply-adds (2048 of int8) and 32 copied bytes a clock (what the L2 gives each of 132
// multiprocessors). A slab of int8 has twice the inputs in as many bytes and rounds, so its costs are the same.
template <class Element>
constexpr hdl_gemm_tile kTiles[] = {describe<Few<Element>>(8, 400, 192), describe<Narrow<Element>>(4, 450, 384),
                                    describe<Square<Element>>(1, 450, 512), describe<Large<Element>>(1, 1100, 1100)};
template <class Element>
constexpr Launch kLaunches[] = {launch_gemm<Few<Element>, kMaxThreads>, launch_gemm<Narrow<Element>, kMaxThreads>,
                                launch_gemm<Square<Element>, kMaxThreads>, launch_gemm<Large<Element>, kMaxThreads>};
template <class Element> constexpr int kTileCount = sizeof kTiles<Element> / sizeof kTiles<Element>[0];

template <class Tile> hdl_status prepare(hdl_backend_device *device, int max_groups)
{
    size_t bytes = 0;
    for (int groups = 1; groups <= max_groups; groups *= 2)
        if (tile_shared_bytes<Tile>(groups) <= device->max_shared_bytes) bytes = tile_shared_bytes<Tile>(groups);
    return bytes == 0 ? HDL_OK : allow_shared(device, "gemm", gemm_tile_kernel<Tile, kMaxThreads>, bytes);
}

template <class Element>
hdl_gemm_choice choose_mma(const hdl_backend_device *device, int32_t M, int32_t N, int32_t K)
{
    return hdl_gemm_choose(kTiles<Element>, kTileCount<Element>, M, N, K, device->sm_count, device->max_shared_bytes);
}

template <class Element>
hdl_status gemm_mma(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    const hdl_gemm_choice choice = choose_mma<Element>(stream->device, args->M, args->N, args->K);
    return kLaunches<Element>[choice.tile](stream, args, input, choice.groups);
}

template <class Element> hdl_status gemm_mma_prepare(hdl_backend_device *device)
{
    const hdl_gemm_tile *tiles = kTiles<Element>;
    hdl_status status = prepare<Few<Element>>(device, tiles[0].max_groups);
    if (status == HDL_OK) status = prepare<Narrow<Element>>(device, tiles[1].max_groups);
    if (status == HDL_OK) status = prepare<Square<Element>>(device, tiles[2].max_groups);
    if (status == HDL_OK) status = prepare<Large<Element>>(device, tiles[3].max_groups);
    return status;
}

}  // namespace
}  // namespace hdl
