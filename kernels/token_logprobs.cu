/*
 * token_logprobs.cu - log-probability of a given token of each row, by the walk of logit_reduce.
 *
 * Contract   include/heddle/search.h, hdl_token_logprobs().
 * Reference  host/cpu/token_logprobs_cpu.c; tests/test_token_logprobs.c.
 * Source     The definition.
 *
 * Mapping    Plan: a thread for a row. Walk: logit_walk.cuh. Finish: a warp for a row.
 * Numerics   As logit_reduce: panels f32, their sum f64 in one order, the difference in f64.
 * Bound      That of the product; logits are never stored.
 */
#include "launch.cuh"
#include "logit_best.cuh"
#include "logit_work.cuh"
#include "ops.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 256;
constexpr int kRows    = kThreads / kWarp;           // of a block of the finish

// pad_edit [1]: the one edit, pad removed; behind the asks.
__global__ void __launch_bounds__(kThreads)
token_plan_kernel(const int32_t *ids, const int32_t M, const int32_t pad_id, int32_t *pad_edit, LogitAsk *asks)
{
    const int row = blockIdx.x * kThreads + threadIdx.x;
    if (row == 0) *pad_edit = pad_id * 4 + HDL_EDIT_REMOVE;
    if (row >= M) return;
    LogitAsk ask = {};
    ask.edits   = pad_edit;
    ask.n_edits = pad_id >= 0 ? 1 : 0;
    ask.wanted  = ids[row];
    ask.draw    = -1;
    ask.active  = 1;
    asks[row]   = ask;
}

__global__ void __launch_bounds__(kThreads)
token_finish_kernel(const LogitWork work, const int32_t M, float *logprob)
{
    const int row = blockIdx.x * kRows + threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    if (row >= M) return;                            // whole warps leave
    const float2 *parts = work.parts + static_cast<int64_t>(row) * work.n_panels;
    float greatest = -INFINITY;
    bool  bad      = false;
    for (int i = lane; i < work.n_panels; i += kWarp) {
        greatest = fmaxf(greatest, parts[i].x);
        bad      = bad || isnan(parts[i].y);
    }
    greatest = warp_greatest(greatest);
    bad      = __any_sync(kAllLanes, bad);
    double sum = 0.0;
    for (int i = lane; i < work.n_panels; i += kWarp)
        if (parts[i].y > 0.0f)
            sum += static_cast<double>(parts[i].y)
                   * exp(static_cast<double>(parts[i].x) - static_cast<double>(greatest));
    for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    const double log_sum = static_cast<double>(greatest) + log(sum);
    if (lane == 0) logprob[row] = bad ? NAN : static_cast<float>(static_cast<double>(work.wanted[row]) - log_sum);
}

}  // namespace

hdl_status op_token_logprobs(hdl_backend_stream *stream, const hdl_token_logprobs_args *args)
{
    if (args->M == 0) return HDL_OK;
    const char *op = "token_logprobs";
    LogitJob job = {};
    size_t used = 0;
    job.bias = args->bias;
    job.R    = args->M;
    hdl_status status = prepare_input(stream, op, args->w, args->x, args->E, nullptr, nullptr, nullptr, args->M,
                                      args->act_dtype, &job.in, &used);
    if (status == HDL_OK) status = logit_work(stream, op, args->w, args->M, false, used, &job.work);
    if (status != HDL_OK) return status;
    const unsigned rows = static_cast<unsigned>(args->M);
    status = launch(stream, op, listed<token_plan_kernel>, dim3((rows + kThreads - 1) / kThreads), dim3(kThreads), 0,
                    args->ids, args->M, args->pad_id, job.work.pad_edit, job.work.asks);
    if (status == HDL_OK) status = logit_walk(stream, op, args->w, job);
    if (status != HDL_OK) return status;
    return launch(stream, op, listed<token_finish_kernel>, dim3((rows + kRows - 1) / kRows), dim3(kThreads), 0, job.work,
                  args->M, args->logprob);
}

}  // namespace hdl
