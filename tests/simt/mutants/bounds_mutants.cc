// bounds_mutants.cc - accesses outside what a kernel was given, to memory not written yet, and misaligned ones.
#include "mutant.h"
#include "mutant_launch.h"
#include "shadow.h"
#include "smem.cuh"

namespace simt_mutants {
namespace {

constexpr unsigned kNumbers = 100; // not a multiple of the block

// ---- bounds -----------------------------------------------------------------------------------------

template <bool kRight> __global__ void fill(float *out, unsigned n)
{
    const unsigned t = threadIdx.x;
    if (kRight ? t < n : t <= n) out[t] = 1.0f;
}

template <bool kRight> __global__ void fill_shared(float *out, unsigned n)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned t = threadIdx.x;
    if (kRight ? t < n : t <= n) shared[t] = 1.0f;
    __syncthreads();
    if (t < n) out[t] = shared[t];
}

__global__ void add_one(float *tensor)
{
    tensor[threadIdx.x] += 1.0f;
}

// Sixteen bytes at a time, the last of them half behind the end.
template <bool kRight> __global__ void fill_by_four(float4 *out, unsigned n)
{
    const unsigned t = threadIdx.x;
    if (kRight ? 4 * t + 3 < n : 4 * t < n) out[t] = make_float4(1.0f, 1.0f, 1.0f, 1.0f);
}

// A recursion on the thread's stack, which the optimiser cannot make a loop of.
__device__ __attribute__((noinline)) float descend(unsigned depth)
{
    volatile float frame[256];                     // 1 KiB
    frame[depth % 256] = float(depth);
    return depth == 0 ? frame[0] : frame[depth % 256] + descend(depth - 1);
}

__global__ void go_deep(float *out, unsigned depth) { out[threadIdx.x] = descend(depth); }

// ---- values and alignment ---------------------------------------------------------------------------

template <bool kRight> __global__ void sum_shared(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned t = threadIdx.x;
    if (kRight || t != 5) shared[t] = float(t);
    __syncthreads();
    float sum = 0.0f;
    for (unsigned i = 0; i < blockDim.x; i++) sum += shared[i];
    out[blockIdx.x * blockDim.x + t] = sum;
}

// Only the upper half of each word is written before the whole word is read.
template <bool kRight> __global__ void half_written(float *out)
{
    auto *shared = reinterpret_cast<unsigned short *>(hdl::shared_memory());
    const unsigned t  = threadIdx.x;
    shared[2 * t + 1] = static_cast<unsigned short>(t);
    if (kRight) shared[2 * t] = 0;
    __syncthreads();
    const auto *words = reinterpret_cast<const unsigned *>(hdl::shared_memory());
    out[t]            = float(words[blockDim.x - 1 - t]);
}

__global__ void copy_by_four(float4 *out, const float *from, unsigned start)
{
    out[threadIdx.x] = *reinterpret_cast<const float4 *>(from + start + 4 * threadIdx.x);
}

__global__ void fill_large(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    shared[threadIdx.x] = 1.0f;
    out[threadIdx.x]    = shared[threadIdx.x];
}

// ---- runs -------------------------------------------------------------------------------------------

template <bool kRight> void run_fill()
{
    Buffer<float> out(kNumbers);
    launch(1, kBlock, 0, fill<kRight>, out.at, kNumbers);
}

template <bool kRight> void run_fill_by_four()
{
    const unsigned n = kNumbers - 2; // not a multiple of four
    Buffer<float> out(n);
    launch(1, kBlock, 0, fill_by_four<kRight>, reinterpret_cast<float4 *>(out.at), n);
}

template <bool kRight> void run_fill_shared()
{
    Buffer<float> out(kNumbers);
    launch(1, kBlock, kNumbers * sizeof(float), fill_shared<kRight>, out.at, kNumbers);
}

// Two tensors in one allocation with room between them; a write past the first stays in the allocation.
template <bool kRight> void run_carved()
{
    const size_t bytes = kNumbers * sizeof(float), room = 64;
    Buffer<char> arena(2 * (bytes + room));
    hdl_simt_carve(arena.at, bytes, "scores");
    hdl_simt_carve(arena.at + bytes + room, bytes, "keys");
    launch(1, kBlock, 0, fill<kRight>, reinterpret_cast<float *>(arena.at), kNumbers);
    launch(1, kBlock, 0, fill<true>, reinterpret_cast<float *>(arena.at + bytes + room), kNumbers);
}

// A page is given back to its pool while a launch still names it.
template <bool kRight> void run_given_back()
{
    const size_t page = kWarp * sizeof(float);
    Buffer<char> pool(2 * page);
    hdl_simt_carve(pool.at, page, "page 0");
    hdl_simt_carve(pool.at + page, page, "page 1");
    if (!kRight) hdl_simt_uncarve(pool.at + page);
    launch(1, kWarp, 0, add_one, reinterpret_cast<float *>(pool.at + page));
    hdl_simt_uncarve(pool.at + page);
    hdl_simt_carve(pool.at + page, page, "page 1 again");
    launch(1, kWarp, 0, add_one, reinterpret_cast<float *>(pool.at + page));
}

template <bool kRight> void run_sum_shared()
{
    const unsigned blocks = 3; // the later ones find what the earlier ones left
    Buffer<float> out(blocks * kBlock);
    launch(blocks, kBlock, kBlock * sizeof(float), sum_shared<kRight>, out.at);
}

template <bool kRight> void run_half_written()
{
    Buffer<float> out(kBlock);
    launch(1, kBlock, kBlock * sizeof(unsigned), half_written<kRight>, out.at);
}

template <bool kRight> void run_copy_by_four()
{
    Buffer<float> from(4 * kWarp + 4);
    Buffer<float4> out(kWarp);
    launch(1, kWarp, 0, copy_by_four, out.at, from.at, kRight ? 4u : 2u);
}

template <bool kRight> void run_go_deep()
{
    Buffer<float> out(kWarp);
    launch(1, kWarp, 0, go_deep, out.at, kRight ? 20u : 2000u);
}

template <size_t kNumbers> struct Numbers {
    float at[kNumbers];
};

template <size_t kNumbers> __global__ void take_numbers(float *out, const Numbers<kNumbers> numbers)
{
    out[threadIdx.x] = numbers.at[threadIdx.x];
}

template <bool kRight> void run_take_numbers()
{
    constexpr size_t most = (4096 - sizeof(float *)) / sizeof(float); // beside the pointer
    constexpr size_t n    = kRight ? most : most + 1;
    Buffer<float> out(kWarp);
    launch(1, kWarp, 0, take_numbers<n>, out.at, Numbers<n>{});
}

template <bool kRight> void run_fill_large()
{
    const size_t device_limit = 227 * 1024; // of sm_90
    const size_t bytes        = kRight ? device_limit : device_limit + 16;
    Buffer<float> out(kBlock);
    const cudaError_t error =
        cudaFuncSetAttribute(fill_large, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
    if (kRight && error != cudaSuccess) simt::fault("attribute refused: %s", cudaGetErrorString(error));
    launch(1, kBlock, bytes, fill_large, out.at);
}

} // namespace

std::vector<mutant> bounds_mutants()
{
    return {
        {"off-by-one store", run_fill<false>, run_fill<true>, "past the end of an allocation"},
        {"vector store half behind the end", run_fill_by_four<false>, run_fill_by_four<true>,
         "past the end of an allocation"},
        {"off-by-one store in shared memory", run_fill_shared<false>, run_fill_shared<true>,
         "out of bounds: write of 4 bytes at shared memory"},
        {"write past a carved tensor", run_carved<false>, run_carved<true>,
         "past the end of tensor 'scores'"},
        {"use of a page given back", run_given_back<false>, run_given_back<true>, "given back"},
        {"uninitialised shared memory", run_sum_shared<false>, run_sum_shared<true>, "uninitialised"},
        {"shared word half written", run_half_written<false>, run_half_written<true>, "uninitialised"},
        {"misaligned vector access", run_copy_by_four<false>, run_copy_by_four<true>, "misaligned"},
        {"stack of a thread overflows", run_go_deep<false>, run_go_deep<true>, "the thread's stack of 262144 bytes has overflowed"},
        {"too much shared memory", run_fill_large<false>, run_fill_large<true>, "refused"},
        {"too many bytes of arguments", run_take_numbers<false>, run_take_numbers<true>, "launch refused"},
    };
}

} // namespace simt_mutants
