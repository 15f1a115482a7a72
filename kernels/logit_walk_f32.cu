/*
 * logit_walk_f32.cu - column panels of logits from f32 rows and weights.
 *
 * Contract   include/heddle/search.h, hdl_logit_reduce() and hdl_token_logprobs(): their first half.
 * Reference  host/cpu/logit_panels.c; tests/test_logits.c.
 * Source     Milakov and Gimelshein 2018, arXiv 1805.02867: greatest value and sum in one pass.
 *
 * Mapping    One block of 256 threads walks panels of 128 columns for 16 or 64 rows; logit_walk.cuh.
 * Numerics   Products as gemm_f32.cu. Exponentials and their sum in f32 inside a panel, one order.
 * Bound      2 R V E flops of the f32 units; one sentence: 4 V E bytes of weights.
 */
#include "gemm_tile_f32.cuh"
#include "logit_walk.cuh"

namespace hdl {
namespace {

using Few  = TileF32<16, kPanel>;
using Many = TileF32<64, kPanel>;
static_assert(walk_shared_bytes<Many>() <= kSomeBytes, "logit_tile_rows gives the tile to devices with room for it");

}  // namespace

hdl_status logit_walk_f32(hdl_backend_stream *stream, const char *op, const LogitJob &job)
{
    const int rows = logit_tile_rows(stream->device, sizeof(float), job.R);
    return rows == Few::kTileM ? launch_walk<Few>(stream, op, job) : launch_walk<Many>(stream, op, job);
}

hdl_status logit_walk_f32_prepare(hdl_backend_device *device)
{
    const hdl_status status = allow_shared(device, "logit_reduce", logit_walk_kernel<Few>, walk_shared_bytes<Few>());
    if (status != HDL_OK || logit_tile_rows(device, sizeof(float), Many::kTileM) < Many::kTileM) return status;
    return allow_shared(device, "logit_reduce", logit_walk_kernel<Many>, walk_shared_bytes<Many>());
}

}  // namespace hdl
