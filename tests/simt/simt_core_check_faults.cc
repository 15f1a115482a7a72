// simt_core_check_faults.cc - wrong kernels: each fault says what is wrong, who waits where, and ends the grid.
#include "simt_core_check.h"

#include <string>

#include "simt_fault.h"
#include "simt_grid.h"
#include "simt_hooks.h"
#include "smem.cuh"

namespace core_check {
namespace {

using simt::Policy;

// Runs the kernel; the first fault must hold all the pieces.
template <class... Want, class... Give>
void expect_fault_under(Policy policy, const char *name, const std::vector<std::string> &pieces, dim3 blocks,
                        dim3 threads, size_t smem_bytes, void (*kernel)(Want...), Give... arguments)
{
    simt::set_schedule(3, policy);
    launch(blocks, threads, smem_bytes, kernel, arguments...);
    const std::string line = simt::first_fault();
    bool all               = simt::fault_count() > 0;
    for (const std::string &piece : pieces) all = all && line.find(piece) != std::string::npos;
    check(all, "%s, policy %d: \"%s\"", name, static_cast<int>(policy), line.c_str());
    simt_reset();
    simt::clear_faults();
}

template <class... Want, class... Give>
void expect_fault(const char *name, const std::vector<std::string> &pieces, dim3 blocks, dim3 threads,
                  size_t smem_bytes, void (*kernel)(Want...), Give... arguments)
{
    for (const Policy policy : {Policy::forward, Policy::reverse, Policy::random, Policy::ahead, Policy::starved})
        expect_fault_under(policy, name, pieces, blocks, threads, smem_bytes, kernel, arguments...);
}

// ---- barriers -----------------------------------------------------------------------------------------

__global__ void leave_before_barrier(int *out)
{
    if (threadIdx.x == 5) return;
    __syncthreads();
    out[threadIdx.x] = 1;
}

__global__ void two_barriers(int *out)
{
    if (threadIdx.x % 2 == 0) {                    // different enough that no compiler makes them one
        __syncthreads();
        out[threadIdx.x] = 1;
    } else {
        out[threadIdx.x] = 1;
        __syncthreads();
    }
}

__global__ void barrier_or_shuffle(int *out)
{
    int x = 0;
    if (threadIdx.x < 7) __syncthreads();
    else x = __shfl_xor_sync(kAll, 1, 1);
    out[threadIdx.x] = x;
}

__global__ void barrier_kinds(int *out)
{
    if (threadIdx.x < 32) out[threadIdx.x] = __syncthreads_or(1);
    else out[threadIdx.x] = __syncthreads_count(1);
}

// ---- collectives --------------------------------------------------------------------------------------

__global__ void two_sites(int *out)
{
    int x;
    if (threadIdx.x < 16) x = __shfl_sync(kAll, 1, 0);
    else
        x = __shfl_sync(kAll, 2, 0);
    out[threadIdx.x] = x;
}

__global__ void two_collectives(int *out)
{
    if (threadIdx.x < 16) out[threadIdx.x] = static_cast<int>(__ballot_sync(kAll, 1));
    else out[threadIdx.x] = __any_sync(kAll, 1);
}

__global__ void crossed_masks(int *out)
{
    if (threadIdx.x == 0) out[0] = __shfl_sync(0x3u, 1, 0);
    else if (threadIdx.x < 32) out[threadIdx.x] = __shfl_sync(kAll, 2, 0);
}

__global__ void lane_returns(int *out)
{
    if (threadIdx.x == 3) return;
    out[threadIdx.x] = __shfl_xor_sync(kAll, 1, 1);
}

__global__ void mask_without_self(int *out) { out[threadIdx.x] = __shfl_sync(0xfffeu, 1, 1); }
__global__ void mask_beyond_block(int *out) { out[threadIdx.x] = __any_sync(kAll, 1); }
__global__ void source_outside_mask(int *out)
{
    out[threadIdx.x] = threadIdx.x < 16 ? __shfl_sync(0xffffu, 1, 20) : __shfl_sync(0xffff0000u, 1, 20);
}
__global__ void odd_width(int *out) { out[threadIdx.x] = __shfl_sync(kAll, 1, 0, 12); }
__global__ void ask_active(int *out) { out[threadIdx.x] = static_cast<int>(__activemask()); }

// Two calls of one inlined function are two call sites, though the line inside it is the same.
__device__ __forceinline__ int pass_round(int x) { return __shfl_xor_sync(kAll, x, 1); }
__global__ void inlined_twice(int *out)
{
    int x;
    if (threadIdx.x < 16) x = pass_round(1);
    else
        x = pass_round(2);
    out[threadIdx.x] = x;
}

// ---- matrix instructions and copies -------------------------------------------------------------------

__global__ void half_a_warp_multiplies(float *out)
{
    float d[4]          = {};
    const uint32_t a[4] = {}, b[2] = {};
    if (threadIdx.x < 16) hdl::mma_m16n8k16_bf16(d, a, b);
    out[threadIdx.x] = d[0];
}

// `count` words of shared memory for each lane.
__device__ void fill_shared(unsigned count)
{
    uint32_t *words = reinterpret_cast<uint32_t *>(hdl::shared_memory());
    for (unsigned i = threadIdx.x; i < 32 * count; i += 32) words[i] = i;
    __syncwarp();
}

__global__ void crooked_row(unsigned *out)
{
    fill_shared(8);
    uint32_t r[4];
    hdl::ldmatrix_x4(r, hdl::shared_memory() + 16 * threadIdx.x + (threadIdx.x == 9 ? 2 : 0));
    out[threadIdx.x] = r[0];
}

__global__ void row_beyond(unsigned *out)
{
    fill_shared(4);
    uint32_t r[4];
    hdl::ldmatrix_x4(r, hdl::shared_memory() + 16 * (threadIdx.x + 1));
    out[threadIdx.x] = r[0];
}

__global__ void crooked_copy(const uint4 *in)
{
    hdl::cp_async_16(hdl::shared_memory() + 8 * threadIdx.x, in + threadIdx.x);
}

__global__ void copy_to_global(const uint4 *in, uint4 *out) { hdl::cp_async_16(out, in); }

__global__ void copy_crooked_source(const uint4 *in)
{
    hdl::cp_async_16(hdl::shared_memory(), reinterpret_cast<const unsigned char *>(in) + 4);
}

__global__ void spin_for_ever(unsigned *flag)
{
    while (atomicAdd(flag, 0u) == 0) __nanosleep(1);
}

__global__ void nothing(int *) {}

void check_barrier_faults(int *out)
{
    expect_fault("a thread leaves before a barrier", {"leave_before_barrier", "__syncthreads"}, 1, 64, 0,
                 leave_before_barrier, out);
    expect_fault("two barriers", {"two_barriers", "divergent barrier", "simt_core_check_faults.cc:"}, 1, 64, 0,
                 two_barriers, out);
    expect_fault("barriers of two kinds", {"divergent barrier", "__syncthreads_or", "__syncthreads_count"}, 1, 64,
                 0, barrier_kinds, out);
    expect_fault("barrier against shuffle",
                 {"deadlock", "__syncthreads at ", "__shfl_xor_sync at ", "lanes 0-6", "lanes 7-31"}, 1, 32, 0,
                 barrier_or_shuffle, out);
}

void check_collective_faults(int *out)
{
    expect_fault("one collective at two sites", {"two_sites", "__shfl_sync", "lanes 0x", " at "}, 1, 32, 0, two_sites,
                 out);
    expect_fault("two sites by inlining", {"inlined_twice", "__shfl_xor_sync"}, 1, 32, 0, inlined_twice, out);
    expect_fault("two collectives", {"__ballot_sync", "__any_sync"}, 1, 32, 0, two_collectives, out);
    expect_fault("masks that disagree", {"0x00000003", "0xffffffff"}, 1, 32, 0, crossed_masks, out);
    expect_fault("a lane returns", {"__shfl_xor_sync", "returned"}, 1, 32, 0, lane_returns, out);
    expect_fault("a mask without the lane", {"leaves out the lane itself"}, 1, 32, 0, mask_without_self, out);
    expect_fault("a mask beyond the block", {"lanes that the block does not have", "0xff000000"}, 1, 24, 0,
                 mask_beyond_block, out);
    expect_fault("a source outside the mask", {"reads lane 20", "leaves out"}, 1, 32, 0, source_outside_mask, out);
    expect_fault("a width of 12", {"width 12"}, 1, 32, 0, odd_width, out);
    expect_fault("__activemask", {"__activemask", "ask_active"}, 1, 32, 0, ask_active, out);
}

void check_instruction_faults()
{
    Array<float> f(32);
    Array<unsigned> words(32);
    Array<uint4> vectors(32);
    expect_fault("half a warp in mma", {"mma.m16n8k16.bf16"}, 1, 32, 0, half_a_warp_multiplies, f.device);
    expect_fault("ldmatrix: crooked row", {"thread (9,0,0)", "lane 9", "not aligned"}, 1, 32, 1024, crooked_row,
                 words.device);
    expect_fault("ldmatrix: row beyond", {"lane 31", "not in the block's shared memory"}, 1, 32, 512, row_beyond,
                 words.device);
    expect_fault("cp.async: crooked destination", {"cp.async", "destination"}, 1, 32, 1024, crooked_copy,
                 vectors.device);
    expect_fault("cp.async: destination in global memory", {"cp.async", "destination"}, 1, 32, 1024, copy_to_global,
                 vectors.device, vectors.device + 16);
    expect_fault("cp.async: crooked source", {"cp.async", "source"}, 1, 32, 1024, copy_crooked_source,
                 vectors.device);
    expect_fault_under(Policy::random, "spinning for ever", {"spins"}, 2, 32, 0, spin_for_ever, words.device);
}

void check_recovery(int *out)
{
    const unsigned long before = simt::fault_count();
    const cudaError_t error    = launch(3, 64, 0, nothing, out);
    check(error == cudaSuccess && simt::fault_count() == before, "grids run again after faults");
    check(launch(1, 2000, 0, nothing, out) != cudaSuccess, "a block of 2000 threads is refused");
    simt_reset();
    simt::clear_faults();
}

} // namespace

void check_faults()
{
    simt::quiet = true;
    Array<int> out(64);
    check_barrier_faults(out.device);
    check_collective_faults(out.device);
    check_instruction_faults();
    check_recovery(out.device);
    simt::quiet = false;
}

} // namespace core_check
