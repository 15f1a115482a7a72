// simt_core_check_grid.cc - indices, shared memory, copies under way, and what the schedules do.
#include "simt_core_check.h"

#include <cstring>
#include <string>

#include "simt_fault.h"
#include "simt_grid.h"
#include "smem.cuh"

namespace core_check {
namespace {

// Reads memory behind the race detector's back, as a test of garbage must.
__attribute__((no_sanitize("thread"), noinline)) uint32_t peek(const void *at)
{
    uint32_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// ---- every index of a grid of three dimensions once ---------------------------------------------------

__global__ void mark(unsigned *seen)
{
    const unsigned block  = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    seen[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + static_cast<unsigned>(warpSize == 32);
}

void check_indices()
{
    const dim3 blocks(5, 3, 7), threads(9, 2, 4);
    Array<unsigned> seen(5 * 3 * 7 * 9 * 2 * 4);
    launch(blocks, threads, 0, mark, seen.device);
    seen.download();
    int wrong = 0;
    for (const unsigned count : seen.host) wrong += count != 2;
    check(wrong == 0, "%d of %zu threads of a grid did not run just once", wrong, seen.host.size());
}

// ---- shared memory: garbage at first, of the block alone, aligned to 16 bytes and no more -----------------

__global__ void look_at_shared(unsigned *out)
{
    size_t offset    = 0;
    unsigned *words  = hdl::smem_carve<unsigned>(offset, blockDim.x);
    unsigned char *b = hdl::smem_carve<unsigned char>(offset, 3);
    double *d        = hdl::smem_carve<double>(offset, 2);
    unsigned *o      = out + (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    o[0]             = peek(words + threadIdx.x);
    __syncthreads();
    words[threadIdx.x] = blockIdx.x * 1000 + threadIdx.x;
    __syncthreads();
    o[1] = words[(threadIdx.x + 1) % blockDim.x];
    o[2] = static_cast<unsigned>(reinterpret_cast<uintptr_t>(words) % 32);
    o[3] = static_cast<unsigned>(reinterpret_cast<unsigned char *>(d) - b);
}

void check_shared()
{
    constexpr unsigned kBlocks = 20, kThreads = 80;
    Array<unsigned> out(kBlocks * kThreads * 4);
    const size_t bytes = hdl::smem_bytes<unsigned>(kThreads) + hdl::smem_bytes<unsigned char>(3) +
                         hdl::smem_bytes<double>(2);
    launch(kBlocks, kThreads, bytes, look_at_shared, out.device);
    out.download();
    bool garbage = true, own = true, odd = true, padded = true;
    for (unsigned i = 0; i < kBlocks * kThreads; ++i) {
        const unsigned *o = &out.host[4 * i];
        garbage = garbage && o[0] == 0xffffffffu;
        own     = own && o[1] == i / kThreads * 1000 + (i + 1) % kThreads;
        odd     = odd && o[2] == 16;
        padded  = padded && o[3] == 16;
    }
    check(garbage, "shared memory begins as garbage");
    check(own, "shared memory belongs to its block");
    check(odd, "shared memory is aligned to 16 bytes and no more");
    check(padded, "smem_carve pads to 16 bytes");
}

// Sixteen-byte chunks of 8 rows, through the swizzle, in 8 different bank groups.
template <int kChunks> void check_swizzle()
{
    bool permutes = true, spreads = true;
    for (int row = 0; row < 64; ++row) {
        unsigned used = 0;
        for (int chunk = 0; chunk < kChunks; ++chunk) used |= 1u << hdl::swizzle_chunk<kChunks>(row, chunk);
        permutes = permutes && used == (1u << kChunks) - 1;
    }
    for (int first = 0; first < 64; first += 8)
        for (int chunk = 0; chunk < kChunks; ++chunk) {
            unsigned groups = 0;
            for (int row = first; row < first + 8; ++row)
                groups |= 1u << (row * kChunks + hdl::swizzle_chunk<kChunks>(row, chunk)) % 8;
            spreads = spreads && groups == 0xffu;
        }
    check(permutes && spreads, "swizzle of rows of %d chunks", kChunks);
}

// ---- cp.async -----------------------------------------------------------------------------------------

__global__ void copy_tiles(const uint4 *in, uint4 *out, unsigned *early)
{
    size_t offset     = 0;
    uint4 *tile       = hdl::smem_carve<uint4>(offset, 2 * blockDim.x);
    unsigned *one     = hdl::smem_carve<unsigned>(offset, blockDim.x);
    const unsigned i  = threadIdx.x, n = blockDim.x;
    hdl::cp_async_16(tile + i, in + i, i % 3 != 0);
    hdl::cp_async_commit();
    hdl::cp_async_16(tile + n + i, in + n + i);
    hdl::cp_async_4(one + i, &in[i].z, i % 2 == 0);
    hdl::cp_async_commit();
    early[i] = peek(tile + n + i);
    hdl::cp_async_wait<1>();
    __syncthreads();
    out[i] = tile[(i + 1) % n];
    hdl::cp_async_wait<0>();
    __syncthreads();
    out[n + i] = tile[n + (i + 1) % n];
    out[i].w += one[i];
}

unsigned copies_landed_early;

void check_copies()
{
    constexpr unsigned kThreads = 64;
    Array<uint4> in(2 * kThreads), out(2 * kThreads);
    Array<unsigned> early(kThreads);
    for (unsigned i = 0; i < 2 * kThreads; ++i) in.host[i] = {i + 1, 2 * i, 3 * i, 4 * i};
    in.upload();
    launch(1, kThreads, (2 * kThreads + kThreads / 4) * sizeof(uint4), copy_tiles, in.device, out.device,
           early.device);
    out.download(), early.download();
    int wrong = 0, strange = 0;
    for (unsigned i = 0; i < kThreads; ++i) {
        const unsigned from = (i + 1) % kThreads;
        const bool valid    = from % 3 != 0;
        const uint4 got = out.host[i], second = out.host[kThreads + i];
        const unsigned word = i % 2 == 0 ? 3 * i : 0;
        wrong += got.x != (valid ? from + 1 : 0) || got.w != (valid ? 4 * from : 0) + word;
        wrong += second.x != kThreads + from + 1 || second.w != 4 * (kThreads + from);
        const bool landed = early.host[i] == kThreads + i + 1;
        strange += !landed && early.host[i] != 0xffffffffu;
        copies_landed_early += landed;
    }
    check(wrong == 0, "cp.async: %d pieces are wrong", wrong);
    check(strange == 0, "cp.async: %d destinations are neither garbage nor copied before the wait", strange);
}

// ---- schedules ----------------------------------------------------------------------------------------

__global__ void order(unsigned *next, unsigned *log)
{
    log[atomicAdd(next, 1u)] = blockIdx.x * blockDim.x + threadIdx.x;
    __syncthreads();
    log[atomicAdd(next, 1u)] = blockIdx.x * blockDim.x + threadIdx.x;
}

std::vector<unsigned> order_under(uint64_t seed, simt::Policy policy)
{
    constexpr unsigned kBlocks = 4, kThreads = 64;
    Array<unsigned> next(1), log(2 * kBlocks * kThreads);
    simt::set_schedule(seed, policy);
    launch(kBlocks, kThreads, 0, order, next.device, log.device);
    log.download();
    return log.host;
}

// A thread's place in the log minus that of another block's, over a run: whether the blocks mixed.
bool blocks_mix(const std::vector<unsigned> &log)
{
    unsigned changes = 0;
    for (size_t i = 1; i < log.size(); ++i) changes += log[i] / 64 != log[i - 1] / 64;
    return changes > 4;                            // more often than one block after the other
}

void check_orders()
{
    using simt::Policy;
    for (const Policy policy : {Policy::forward, Policy::reverse, Policy::random, Policy::ahead, Policy::starved}) {
        const std::vector<unsigned> log = order_under(5, policy);
        check(log == order_under(5, policy), "policy %d: a seed gives one order", static_cast<int>(policy));
        check(blocks_mix(log), "policy %d: blocks run at the same time", static_cast<int>(policy));
        check(log != order_under(6, policy), "policy %d: seeds differ", static_cast<int>(policy));
        const std::string text = simt::schedule_text();
        check(text.find("seed 6") == 0 && text.find("launch 1") != std::string::npos, "schedule: %s", text.c_str());
    }
    std::vector<unsigned> drawn[8];
    bool differ = false;
    for (unsigned seed = 0; seed < 8; ++seed) {
        drawn[seed] = order_under(seed, Policy::drawn);
        differ      = differ || drawn[seed] != drawn[0];
    }
    check(differ, "policies are drawn from the seed");
}

// Waits for a value that the last block of the grid writes, and for one that the first thread does.
__global__ void wait_for_others(unsigned *flags)
{
    if (threadIdx.x == 0 && blockIdx.x == gridDim.x - 1) atomicExch(&flags[0], 1u);
    while (atomicAdd(&flags[0], 0u) == 0) __nanosleep(20);
    if (threadIdx.x == blockDim.x - 1) atomicExch(&flags[1 + blockIdx.x], 1u);
    while (atomicAdd(&flags[1 + blockIdx.x], 0u) == 0) __nanosleep(20);
    atomicAdd(&flags[8], 1u);
}

void check_spinning()
{
    using simt::Policy;
    for (const Policy policy : {Policy::forward, Policy::reverse, Policy::random, Policy::ahead, Policy::starved}) {
        Array<unsigned> flags(16);
        simt::set_schedule(9, policy);
        launch(3, 40, 0, wait_for_others, flags.device);
        flags.download();
        check(flags.host[8] == 3 * 40, "policy %d: threads that spin let the others run", static_cast<int>(policy));
    }
}

} // namespace

void check_async() { check_copies(); }

void check_grid()
{
    check_indices();
    check_shared();
}

void check_schedules()
{
    check_orders();
    check_spinning();
    check_swizzle<1>(), check_swizzle<2>(), check_swizzle<4>(), check_swizzle<8>(), check_swizzle<16>();
    copies_landed_early = 0;
    unsigned least = 64, most = 0;
    for (uint64_t seed = 0; seed < 16; ++seed) {
        simt::set_schedule(seed, simt::Policy::drawn);
        copies_landed_early = 0;
        check_copies();
        least = copies_landed_early < least ? copies_landed_early : least;
        most  = copies_landed_early > most ? copies_landed_early : most;
    }
    check(least == 0 && most > 0, "copies land early under some seeds (%u) and late under others (%u)", most, least);
}

} // namespace core_check
