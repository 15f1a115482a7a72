// barrier_mutants.cc - threads of a block, and blocks of a grid, that do not wait for each other.
#include "mutant.h"
#include "mutant_launch.h"
#include "smem.cuh"

namespace simt_mutants {
namespace {

constexpr size_t kSmem = kBlock * sizeof(float);

// ---- barriers ---------------------------------------------------------------------------------------

// Every thread hands its number to its mirror image, which is in another warp.
template <bool kRight> __global__ void exchange(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned t = threadIdx.x;
    shared[t]        = 0.0f;
    __syncthreads();
    shared[t] = float(t);
    if (kRight) __syncthreads();
    out[t] = shared[blockDim.x - 1 - t];
}

// The buffer is filled again while others may still read the round before.
template <bool kRight> __global__ void rounds(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned t = threadIdx.x;
    float sum        = 0.0f;
    for (int round = 0; round < 3; round++) {
        shared[t] = float(round);
        __syncthreads();
        sum += shared[(t + kWarp) % blockDim.x];
        if (kRight) __syncthreads();
    }
    out[t] = sum;
}

template <bool kRight> __global__ void diverge(float *out)
{
    const unsigned t = threadIdx.x;
    if (kRight || t < blockDim.x / 2) {
        out[t] = 1.0f;
        __syncthreads();
    } else {
        out[t] = 2.0f;
        __syncthreads();
    }
}

// Threads past the end leave before the barrier.
template <bool kRight> __global__ void leave_early(float *out, unsigned n)
{
    const unsigned t = threadIdx.x;
    if (!kRight && t >= n) return;
    if (t < n) out[t] = 1.0f;
    __syncthreads();
    if (t < n) out[n + t] = out[n - 1 - t];
}

template <bool kRight> __global__ void exchange_global(float *out, float *scratch)
{
    const unsigned t = threadIdx.x;
    scratch[t]       = float(t);
    if (kRight) __syncthreads();
    out[t] = scratch[blockDim.x - 1 - t];
}

// ---- blocks -----------------------------------------------------------------------------------------

template <bool kRight> __global__ void count_blocks(int *total)
{
    if (threadIdx.x != 0) return;
    if (kRight)
        atomicAdd(total, 1);
    else
        *total += 1;
}

// Two blocks keep the two halves of each word: no race, although they share its four bytes. The broken one
// gives both the same half.
template <bool kRight> __global__ void halves(unsigned short *words)
{
    const unsigned place = 2 * threadIdx.x + (kRight ? blockIdx.x : 0);
    words[place]         = static_cast<unsigned short>(words[place] + 1);
}

// The last block to finish adds up what all have left. What is written before the fence is seen by
// whoever reads the counter afterwards.
template <bool kRight> __global__ void last_block_sums(float *partial, int *arrived, float *sum)
{
    int *is_last = reinterpret_cast<int *>(hdl::shared_memory());
    const unsigned t = threadIdx.x, n = blockDim.x;
    partial[blockIdx.x * n + t] = float(t);
    if (kRight) __threadfence();
    __syncthreads();
    if (t == 0) *is_last = atomicAdd(arrived, 1) == int(gridDim.x) - 1;
    __syncthreads();
    if (!*is_last) return;
    float mine = 0.0f;
    for (unsigned b = 0; b < gridDim.x; b++) mine += partial[b * n + t];
    atomicAdd(sum, mine);
    if (t == 0) *arrived = 0;
}

// The same with the fence by the one thread that counts.
template <bool kRight> __global__ void last_block_one_fence(float *partial, int *arrived, float *sum)
{
    int *is_last = reinterpret_cast<int *>(hdl::shared_memory());
    const unsigned t = threadIdx.x, n = blockDim.x;
    partial[blockIdx.x * n + t] = float(t);
    __syncthreads();
    if (t == 0) {
        if (kRight) __threadfence();
        *is_last = atomicAdd(arrived, 1) == int(gridDim.x) - 1;
    }
    __syncthreads();
    if (*is_last)
        for (unsigned b = 0; b < gridDim.x; b++) atomicAdd(sum, partial[b * n + t]);
}

// Block 0 leaves a number and raises a flag that block 1 waits for.
template <bool kRight> __global__ void flag(float *number, volatile int *raised, float *out)
{
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) {
        *number = 3.0f;
        if (kRight) __threadfence();
        *raised = 1;
    } else {
        while (*raised == 0) __nanosleep(1);
        __threadfence();
        *out = *number;
    }
}

// ---- runs -------------------------------------------------------------------------------------------

template <bool kRight> void run_exchange()
{
    Buffer<float> out(kBlock);
    launch(1, kBlock, kSmem, exchange<kRight>, out.at);
}

template <bool kRight> void run_rounds()
{
    Buffer<float> out(kBlock);
    launch(1, kBlock, kSmem, rounds<kRight>, out.at);
}

template <bool kRight> void run_diverge()
{
    Buffer<float> out(kBlock);
    launch(1, kBlock, 0, diverge<kRight>, out.at);
}

template <bool kRight> void run_leave_early()
{
    const unsigned n = 100; // of kBlock threads
    Buffer<float> out(2 * n);
    launch(1, kBlock, 0, leave_early<kRight>, out.at, n);
}

template <bool kRight> void run_exchange_global()
{
    Buffer<float> out(kBlock), scratch(kBlock);
    launch(1, kBlock, 0, exchange_global<kRight>, out.at, scratch.at);
}

template <bool kRight> void run_count_blocks()
{
    Buffer<int> total(1);
    launch(5, kBlock, 0, count_blocks<kRight>, total.at);
}

template <bool kRight> void run_halves()
{
    Buffer<unsigned short> words(2 * kBlock);
    launch(2, kBlock, 0, halves<kRight>, words.at);
}

template <bool kRight> void run_last_block()
{
    const unsigned blocks = 5;
    Buffer<float> partial(blocks * kBlock), sum(1);
    Buffer<int> arrived(1);
    for (int again = 0; again < 2; again++)
        launch(blocks, kBlock, sizeof(int), last_block_sums<kRight>, partial.at, arrived.at, sum.at);
}

template <bool kRight> void run_last_block_one_fence()
{
    const unsigned blocks = 12; // more than are resident at once
    Buffer<float> partial(blocks * kBlock), sum(1);
    Buffer<int> arrived(1);
    launch(blocks, kBlock, sizeof(int), last_block_one_fence<kRight>, partial.at, arrived.at, sum.at);
}

template <bool kRight> void run_flag()
{
    Buffer<float> number(1), out(1);
    Buffer<int> raised(1);
    launch(2, kWarp, 0, flag<kRight>, number.at, raised.at, out.at);
}

} // namespace

std::vector<mutant> barrier_mutants()
{
    return {
        {"missing __syncthreads", run_exchange<false>, run_exchange<true>,
         "no barrier between them"},
        {"missing __syncthreads before a buffer is filled again", run_rounds<false>, run_rounds<true>,
         "no barrier between them"},
        {"missing __syncthreads, global memory", run_exchange_global<false>, run_exchange_global<true>,
         "no barrier between them"},
        {"divergent barrier", run_diverge<false>, run_diverge<true>, "divergent barrier"},
        {"threads that leave before a barrier", run_leave_early<false>, run_leave_early<true>,
         "returned"},
        {"race between blocks", run_count_blocks<false>, run_count_blocks<true>,
         "nothing orders two blocks"},
        {"race for one half of a word", run_halves<false>, run_halves<true>, "race: "},
        {"last block reads without a fence", run_last_block<false>, run_last_block<true>,
         "nothing orders two blocks"},
        {"last block reads, one missing fence", run_last_block_one_fence<false>,
         run_last_block_one_fence<true>, "nothing orders two blocks"},
        {"flag raised without a fence", run_flag<false>, run_flag<true>, "nothing orders two blocks"},
    };
}

} // namespace simt_mutants
