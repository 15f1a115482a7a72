/*
 * logit_walk_bf16.cu - column panels of f32 logits from bf16 rows and weights.
 *
 * Contract   include/heddle/search.h, hdl_logit_reduce() and hdl_token_logprobs(): their first half.
 * Reference  host/cpu/logit_panels.c; tests/test_logits.c.
 * Source     Milakov and Gimelshein 2018, arXiv 1805.02867: greatest value and sum in one pass.
 *
 * Mapping    One block walks panels of 128 columns for 16, 64 or 128 rows; logit_walk.cuh. Splits
 *            fill the device: one row of a vocabulary of 32000 has 250 blocks, 4096 rows have 8
 *            walks of 31 panels beside each other.
 * Numerics   Products as gemm_bf16.cu; logits are f32 and never rounded. Exponentials and their sum
 *            in f32 inside a panel, one order.
 * Bound      2 R V E flops; R <= 64: 2 V E bytes of weights, 32 MB at V = 32000, E = 512: 7.5 us at
 *            4.3 TB/s.
 */
#include "logit_walk_mma.cuh"

namespace hdl {

hdl_status logit_walk_bf16(hdl_backend_stream *stream, const char *op, const LogitJob &job)
{
    return logit_walk_mma<__nv_bfloat16>(stream, op, job);
}

hdl_status logit_walk_bf16_prepare(hdl_backend_device *device) { return logit_walk_mma_prepare<__nv_bfloat16>(device); }

}  // namespace hdl
