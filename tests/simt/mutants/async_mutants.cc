// async_mutants.cc - copies from global to shared memory that are used too early or overwritten too early.
#include "mutant.h"
#include "mutant_launch.h"
#include "smem.cuh"

namespace simt_mutants {
namespace {

constexpr unsigned kTiles = 4, kStages = 2;
constexpr size_t kTileBytes = kBlock * 16; // sixteen bytes a thread

enum Fault { kNone, kNoWait, kShortWait, kNoBarrier, kEarlyRefill };

float sum_of(const float4 &v) { return v.x + v.y + v.z + v.w; }

// One tile: each thread copies 16 bytes and reads those of a thread of another warp.
template <Fault kFault> __global__ void one_tile(float *out, const float4 *from)
{
    float4 *tile = reinterpret_cast<float4 *>(hdl::shared_memory());
    const unsigned t = threadIdx.x;
    hdl::cp_async_16(tile + t, from + t, t % 2 == 0);
    hdl::cp_async_commit();
    if (kFault != kNoWait) hdl::cp_async_wait<0>();
    if (kFault != kNoBarrier) __syncthreads();
    const unsigned other = kFault == kNoWait ? t : blockDim.x - 1 - t;
    out[t]               = sum_of(tile[other]);
}

// A pipeline of two stages: tile i + 1 is on its way while tile i is added up.
template <Fault kFault> __global__ void pipeline(float *out, const float4 *from)
{
    constexpr int kPending = kFault == kShortWait ? kStages : kStages - 1;
    float4 *stages = reinterpret_cast<float4 *>(hdl::shared_memory());
    const unsigned t = threadIdx.x, n = blockDim.x;
    float sum        = 0.0f;
    hdl::cp_async_16(stages + t, from + t);
    hdl::cp_async_commit();
    for (unsigned i = 0; i < kTiles; i++) {
        if (i + 1 < kTiles)
            hdl::cp_async_16(stages + (i + 1) % kStages * n + t, from + (i + 1) * n + t);
        hdl::cp_async_commit();
        hdl::cp_async_wait<kPending>();
        __syncthreads();
        sum += sum_of(stages[i % kStages * n + (t + kWarp) % n]);
        if (kFault != kEarlyRefill) __syncthreads();
    }
    out[t] = sum;
}

template <Fault kFault> void run_one_tile()
{
    Buffer<float> out(kBlock);
    Buffer<float4> from(kBlock);
    launch(1, kBlock, kTileBytes, one_tile<kFault>, out.at, from.at);
}

template <Fault kFault> void run_pipeline()
{
    Buffer<float> out(kBlock);
    Buffer<float4> from(kTiles * kBlock);
    launch(1, kBlock, kStages * kTileBytes, pipeline<kFault>, out.at, from.at);
}

} // namespace

std::vector<mutant> async_mutants()
{
    return {
        {"read before the cp.async wait", run_one_tile<kNoWait>, run_one_tile<kNone>,
         "that was not waited for"},
        {"cp.async wait without a barrier", run_one_tile<kNoBarrier>, run_one_tile<kNone>,
         "read of "},
        {"cp.async wait for one group too few", run_pipeline<kShortWait>, run_pipeline<kNone>,
         "that was not waited for"},
        {"cp.async into a stage still being read", run_pipeline<kEarlyRefill>,
         run_pipeline<kNone>, "cp.async "},
    };
}

} // namespace simt_mutants
