/*
 * logit_walk_mma.cuh - the walks over products by mma: tiles and launch; logit_walk_bf16.cu, logit_walk_f16.cu and
 * logit_walk_int8.cu instantiate them.
 */
#pragma once
#include "gemm_tile_mma.cuh"
#include "logit_walk.cuh"

namespace hdl {
namespace {

template <class Element> hdl_status logit_walk_mma(hdl_backend_stream *stream, const char *op, const LogitJob &job)
{
    using Few  = TileMma<Element, 16, kPanel>;
    using Some = TileMma<Element, 64, kPanel>;
    using Many = TileMma<Element, kMaxTileM, kPanel>;
    static_assert(walk_shared_bytes<Some>() <= kSomeBytes && walk_shared_bytes<Many>() <= kManyBytes,
                  "logit_tile_rows gives each tile to devices with room for it");
    const int rows = logit_tile_rows(stream->device, sizeof(Element), job.R);
    if (rows == Few::kTileM) return launch_walk<Few>(stream, op, job);
    return rows == Some::kTileM ? launch_walk<Some>(stream, op, job) : launch_walk<Many>(stream, op, job);
}

template <class Tile> hdl_status allow_walk(hdl_backend_device *device)
{
    return allow_shared(device, "logit_reduce", logit_walk_kernel<Tile>, walk_shared_bytes<Tile>());
}

template <class Element> hdl_status logit_walk_mma_prepare(hdl_backend_device *device)
{
    using Some = TileMma<Element, 64, kPanel>;
    const int most    = logit_tile_rows(device, sizeof(Element), kMaxTileM);
    hdl_status status = allow_walk<TileMma<Element, 16, kPanel>>(device);
    if (status == HDL_OK && most >= Some::kTileM) status = allow_walk<Some>(device);
    return status == HDL_OK && most >= kMaxTileM ? allow_walk<TileMma<Element, kMaxTileM, kPanel>>(device) : status;
}

}  // namespace
}  // namespace hdl
