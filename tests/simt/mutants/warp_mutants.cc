// warp_mutants.cc - lanes of a warp that are taken to run in step, and collectives that not all lanes reach.
#include "mutant.h"
#include "mutant_launch.h"
#include "smem.cuh"

namespace simt_mutants {
namespace {

constexpr unsigned kAll     = 0xffffffffu;
constexpr unsigned kLowHalf = 0x0000ffffu, kHighHalf = 0xffff0000u;
constexpr size_t kWarpSmem  = kWarp * sizeof(float);
constexpr size_t kTileBytes = 8 * 16; // an 8 x 8 matrix of 16-bit elements

// ---- shared memory within a warp --------------------------------------------------------------------

template <bool kRight> __global__ void exchange_in_warp(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned lane = threadIdx.x;
    shared[lane]        = 0.0f;
    __syncwarp();
    shared[lane] = float(lane);
    if (kRight) __syncwarp();
    out[lane] = shared[kWarp - 1 - lane];
}

// A tree over shared memory; each step reads what the step before wrote.
template <bool kRight> __global__ void tree(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned lane = threadIdx.x;
    shared[lane]        = 1.0f;
    __syncwarp();
    for (unsigned step = kWarp / 2; step > 0; step /= 2) {
        const float other = shared[(lane + step) % kWarp];
        if (kRight) __syncwarp();
        shared[lane] += other;
        __syncwarp();
    }
    if (lane == 0) *out = shared[0];
}

// Halves of a warp that wait for themselves only; the broken one reads from the other half.
template <bool kRight> __global__ void halves_of_warp(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned lane = threadIdx.x;
    shared[lane]        = 0.0f;
    __syncwarp();
    shared[lane] = float(lane);
    __syncwarp(lane < kWarp / 2 ? kLowHalf : kHighHalf);
    out[lane] = shared[kRight ? lane ^ 1 : lane ^ (kWarp / 2)];
}

// A shuffle moves its value and orders no memory.
template <bool kRight> __global__ void shuffle_as_barrier(float *out)
{
    float *shared = reinterpret_cast<float *>(hdl::shared_memory());
    const unsigned lane = threadIdx.x;
    shared[lane]        = 0.0f;
    __syncwarp();
    shared[lane]      = float(lane);
    const float other = __shfl_xor_sync(kAll, float(lane), 1);
    if (kRight) __syncwarp();
    out[lane] = shared[lane ^ 1] - other;
}

// ---- collectives ------------------------------------------------------------------------------------

template <bool kRight> __global__ void absent_lane(float *out)
{
    const unsigned lane = threadIdx.x;
    if (!kRight && lane >= kWarp / 2) return;
    const float other = __shfl_xor_sync(kAll, float(lane), 1);
    out[lane]         = other;
}

template <bool kRight> __global__ void wrong_mask(float *out)
{
    const unsigned lane = threadIdx.x;
    const unsigned mask = kRight ? (lane < kWarp / 2 ? kLowHalf : kHighHalf) : kLowHalf;
    out[lane]           = __shfl_xor_sync(mask, float(lane), 1);
}

template <bool kRight> __global__ void lane_outside_mask(float *out)
{
    const unsigned lane = threadIdx.x;
    const unsigned mask = lane < kWarp / 2 ? kLowHalf : kHighHalf;
    out[lane]           = __shfl_xor_sync(mask, float(lane), kRight ? 8 : 16);
}

template <bool kRight> __global__ void two_sites(float *out)
{
    const unsigned lane = threadIdx.x;
    if (kRight || lane < kWarp / 2)
        out[lane] = __shfl_xor_sync(kAll, float(lane), 1);
    else
        out[lane] = __shfl_xor_sync(kAll, float(lane) + 1.0f, 1);
}

// ---- ldmatrix ---------------------------------------------------------------------------------------

constexpr unsigned kRowElements = 8;

// Every lane fills one row of 16-bit elements and hands another one to ldmatrix.
template <int kPad, bool kSynced> __device__ void load_tile(uint32_t *out)
{
    auto *tile = reinterpret_cast<unsigned short *>(hdl::shared_memory());
    const unsigned lane = threadIdx.x, stride = kRowElements + kPad;
    for (unsigned i = 0; i < kRowElements; i++) tile[lane * stride + i] = static_cast<unsigned short>(i);
    if (kSynced) __syncwarp();
    uint32_t fragment[4];
    hdl::ldmatrix_x4(fragment, tile + (kWarp - 1 - lane) * stride);
    out[lane] = fragment[0] + fragment[1] + fragment[2] + fragment[3];
}

template <bool kRight> __global__ void unaligned_row(uint32_t *out) { load_tile<kRight ? 8 : 1, true>(out); }
template <bool kRight> __global__ void tile_not_ready(uint32_t *out) { load_tile<0, kRight>(out); }

// ---- runs -------------------------------------------------------------------------------------------

template <class T, void (*kKernel)(T *)> void run()
{
    const size_t smem_bytes = 4 * 2 * kTileBytes; // enough for four tiles with padded rows
    static_assert(kWarpSmem <= 4 * 2 * kTileBytes, "one size serves every kernel here");
    Buffer<T> out(kWarp);
    launch(1, kWarp, smem_bytes, kKernel, out.at);
}

template <void (*kKernel)(float *)> void run_floats() { run<float, kKernel>(); }
template <void (*kKernel)(uint32_t *)> void run_words() { run<uint32_t, kKernel>(); }

} // namespace

std::vector<mutant> warp_mutants()
{
    return {
        {"missing __syncwarp", run_floats<exchange_in_warp<false>>, run_floats<exchange_in_warp<true>>,
         "no barrier or __syncwarp between them"},
        {"missing __syncwarp in a tree", run_floats<tree<false>>, run_floats<tree<true>>,
         "no barrier or __syncwarp between them"},
        {"__syncwarp of the wrong half", run_floats<halves_of_warp<false>>,
         run_floats<halves_of_warp<true>>, "no barrier or __syncwarp between them"},
        {"shuffle taken for a barrier", run_floats<shuffle_as_barrier<false>>,
         run_floats<shuffle_as_barrier<true>>, "no barrier or __syncwarp between them"},
        {"absent shuffle lane", run_floats<absent_lane<false>>, run_floats<absent_lane<true>>, "returned"},
        {"wrong mask", run_floats<wrong_mask<false>>, run_floats<wrong_mask<true>>,
         "leaves out the lane itself"},
        {"shuffle from outside its mask", run_floats<lane_outside_mask<false>>,
         run_floats<lane_outside_mask<true>>, "leaves out"},
        {"mismatched collective sites", run_floats<two_sites<false>>, run_floats<two_sites<true>>,
         "wait for it in"},
        {"ldmatrix from an unaligned row", run_words<unaligned_row<false>>, run_words<unaligned_row<true>>,
         "is not aligned to 16 bytes"},
        {"ldmatrix of a tile still being written", run_words<tile_not_ready<false>>,
         run_words<tile_not_ready<true>>, "warp_mutants.cc"},
    };
}

} // namespace simt_mutants
