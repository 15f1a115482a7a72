/*
 * logit_walk_int8.cu - column panels of f32 logits from int8 rows and weights.
 *
 * Contract   include/heddle/search.h, hdl_logit_reduce() and hdl_token_logprobs(): their first half. Rows have been
 *            quantised before (gemm_quantise.cu).
 * Reference  host/cpu/logit_panels.c; tests/test_logits.c, tests/test_token_logprobs.c.
 * Source     Milakov and Gimelshein 2018, arXiv 1805.02867: greatest value and sum in one pass.
 *
 * Mapping    That of logit_walk_bf16.cu, slabs of 128 inputs.
 * Numerics   Sums as gemm_int8.cu: exact, then scaled in f32; logits are f32. Exponentials and their sum in f32 inside
 *            a panel, one order.
 * Bound      2 R V E operations, twice the rate of bf16; R <= 64: V E bytes of weights, 16 MB at V = 32000, E = 512:
 *            3.8 us at 4.3 TB/s.
 */
#include "logit_walk_mma.cuh"

namespace hdl {

hdl_status logit_walk_int8(hdl_backend_stream *stream, const char *op, const LogitJob &job)
{
    return logit_walk_mma<int8_t>(stream, op, job);
}

hdl_status logit_walk_int8_prepare(hdl_backend_device *device) { return logit_walk_mma_prepare<int8_t>(device); }

}  // namespace hdl
