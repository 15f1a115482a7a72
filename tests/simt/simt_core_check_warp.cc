// simt_core_check_warp.cc - the collectives of warps and blocks against what the CUDA C++ guide says of them.
#include "simt_core_check.h"

namespace core_check {
namespace {

constexpr unsigned kBlock = 96;                    // three warps, in a block of two dimensions

// ---- shuffles: index, up, down and butterfly, by every operand and width ----------------------------

__global__ void shuffle_all(const uint32_t *in, uint32_t *out, int operand, int width)
{
    const unsigned i = threadIdx.x + blockDim.x * threadIdx.y;
    out[4 * i]       = __shfl_sync(kAll, in[i], operand, width);
    out[4 * i + 1]   = __shfl_up_sync(kAll, in[i], static_cast<unsigned>(operand), width);
    out[4 * i + 2]   = __shfl_down_sync(kAll, in[i], static_cast<unsigned>(operand), width);
    out[4 * i + 3]   = __shfl_xor_sync(kAll, in[i], operand, width);
}

void check_shuffles()
{
    Array<uint32_t> in(kBlock), out(4 * kBlock);
    Random random(21);
    for (uint32_t &x : in.host) x = random.next();
    in.upload();
    int wrong[4] = {};
    for (int width = 1; width <= 32; width *= 2)
        for (int operand = 0; operand < 32; operand += operand < 4 ? 1 : 5) {
            launch(1, dim3(kBlock / 3, 3), 0, shuffle_all, in.device, out.device, operand, width);
            out.download();
            for (int i = 0; i < static_cast<int>(kBlock); ++i) {
                const int lane = i % 32, warp = i - lane, first = lane / width * width;
                const int from[4] = {first + operand % width,
                                     lane - operand < first ? lane : lane - operand,
                                     lane + operand >= first + width ? lane : lane + operand,
                                     (lane ^ operand) >= first + width ? lane : lane ^ operand};
                for (int k = 0; k < 4; ++k)
                    wrong[k] += out.host[static_cast<size_t>(4 * i + k)] !=
                                in.host[static_cast<size_t>(warp + from[k])];
            }
        }
    const char *const names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
    for (int k = 0; k < 4; ++k) check(wrong[k] == 0, "%s: %d values are wrong", names[k], wrong[k]);
}

// ---- votes, reductions and matches over the lanes of a mask -----------------------------------------

constexpr int kResults = 14;

// Lanes of the mask and the others run different collectives at the same time.
__global__ void vote_all(const int *in, unsigned *out, unsigned mask)
{
    const unsigned lane = threadIdx.x % 32;
    const int x         = in[threadIdx.x];
    unsigned *o         = out + threadIdx.x * kResults;
    const bool inside   = mask >> lane & 1u;
    const unsigned own  = inside ? mask : ~mask;
    o[0]                = __ballot_sync(own, x > 0);
    o[1]                = static_cast<unsigned>(__any_sync(own, x > 90));
    o[2]                = static_cast<unsigned>(__all_sync(own, x > -90));
    if (inside) {
        o[3] = static_cast<unsigned>(__reduce_add_sync(own, x));
        o[4] = static_cast<unsigned>(__reduce_min_sync(own, x));
        o[5] = static_cast<unsigned>(__reduce_max_sync(own, x));
        o[6] = __reduce_add_sync(own, static_cast<unsigned>(x));
        o[7] = __reduce_min_sync(own, static_cast<unsigned>(x));
        o[8] = __reduce_max_sync(own, static_cast<unsigned>(x));
        o[9] = __reduce_and_sync(own, static_cast<unsigned>(x));
        o[10] = __reduce_or_sync(own, static_cast<unsigned>(x));
        o[11] = __reduce_xor_sync(own, static_cast<unsigned>(x));
        o[12] = __match_any_sync(own, x / 16);
        o[13] = __shfl_sync(own, static_cast<unsigned>(x), __ffs(static_cast<int>(own)) - 1);
    }
    __syncwarp();
}

void expect_votes(const int *x, unsigned own, unsigned lane, unsigned (&want)[kResults])
{
    unsigned ballot = 0, match = 0, first = 32;
    int any = 0, all = 1, sum = 0, low = INT32_MAX, high = INT32_MIN;
    unsigned ulow = UINT32_MAX, uhigh = 0, bits_and = UINT32_MAX, bits_or = 0, bits_xor = 0;
    for (unsigned l = 0; l < 32; ++l) {
        if (!(own >> l & 1u)) continue;
        if (first == 32) first = l;
        const unsigned u = static_cast<unsigned>(x[l]);
        ballot |= (x[l] > 0 ? 1u : 0u) << l;
        match |= (x[l] / 16 == x[lane] / 16 ? 1u : 0u) << l;
        any |= x[l] > 90, all &= x[l] > -90;
        sum += x[l];
        low = x[l] < low ? x[l] : low, high = x[l] > high ? x[l] : high;
        ulow = u < ulow ? u : ulow, uhigh = u > uhigh ? u : uhigh;
        bits_and &= u, bits_or |= u, bits_xor ^= u;
    }
    const unsigned all_of_them[kResults] = {
        ballot, static_cast<unsigned>(any), static_cast<unsigned>(all), static_cast<unsigned>(sum),
        static_cast<unsigned>(low), static_cast<unsigned>(high), static_cast<unsigned>(sum), ulow, uhigh,
        bits_and, bits_or, bits_xor, match, static_cast<unsigned>(x[first])};
    for (int i = 0; i < kResults; ++i) want[i] = all_of_them[i];
}

void check_votes()
{
    Array<int> in(kBlock);
    Array<unsigned> out(kBlock * kResults);
    Random random(22);
    for (int &x : in.host) x = static_cast<int>(random.next() % 201) - 100;
    in.upload();
    int wrong[kResults] = {};
    for (const unsigned mask : {0xffffffffu, 0x0000ffffu, 0x5a5a1234u, 0x80000000u}) {
        launch(1, kBlock, 0, vote_all, in.device, out.device, mask);
        out.download();
        for (unsigned i = 0; i < kBlock; ++i) {
            const unsigned lane = i % 32;
            const bool inside   = mask >> lane & 1u;
            unsigned want[kResults];
            expect_votes(&in.host[i - lane], inside ? mask : ~mask, lane, want);
            for (int k = 0; k < (inside ? kResults : 3); ++k)
                wrong[k] += out.host[i * kResults + static_cast<unsigned>(k)] != want[k];
        }
    }
    const char *const names[kResults] = {
        "__ballot_sync", "__any_sync", "__all_sync", "__reduce_add_sync", "__reduce_min_sync",
        "__reduce_max_sync", "__reduce_add_sync (unsigned)", "__reduce_min_sync (unsigned)",
        "__reduce_max_sync (unsigned)", "__reduce_and_sync", "__reduce_or_sync", "__reduce_xor_sync",
        "__match_any_sync", "__shfl_sync (part of a warp)"};
    for (int k = 0; k < kResults; ++k) check(wrong[k] == 0, "%s: %d values are wrong", names[k], wrong[k]);
}

// ---- 64 bits, and types that are no numbers -------------------------------------------------------

struct Pair {
    float score;
    int id;
};

__global__ void shuffle_types(double *d, Pair *p)
{
    const int lane = static_cast<int>(threadIdx.x);
    d[lane]        = __shfl_xor_sync(kAll, 0.25 + lane, 1);
    p[lane].score  = __shfl_down_sync(kAll, 0.5f * static_cast<float>(lane), 2u);
    p[lane].id     = __shfl_up_sync(kAll, -lane, 3u);
}

void check_types()
{
    Array<double> d(kWarp);
    Array<Pair> p(kWarp);
    launch(1, kWarp, 0, shuffle_types, d.device, p.device);
    d.download(), p.download();
    bool right = true;
    for (int lane = 0; lane < 32; ++lane) {
        const size_t i = static_cast<size_t>(lane);
        right = right && d.host[i] == 0.25 + (lane ^ 1) &&
                p.host[i].score == 0.5f * static_cast<float>(lane < 30 ? lane + 2 : lane) &&
                p.host[i].id == (lane >= 3 ? 3 - lane : -lane);
    }
    check(right, "shuffles of double, float and int");
}

// ---- the barrier and its votes ----------------------------------------------------------------------

// What the block's votes say, step by step, added up.
__global__ void count_votes(int *out, int steps)
{
    const int i = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
    int votes = 0;
    for (int step = 0; step < steps; ++step) {
        votes += __syncthreads_count(i % (step + 2) == 0);
        votes += 1000 * __syncthreads_or(i == step);
        votes += 100000 * __syncthreads_and(i != step + n / 2);
    }
    __syncthreads();
    out[static_cast<int>(blockIdx.x) * n + i] = votes;
}

void check_barrier_votes()
{
    constexpr int kSteps = 5, kThreads = 70;       // the last warp is part of one
    Array<int> out(3 * kThreads);
    launch(3, kThreads, 0, count_votes, out.device, kSteps);
    out.download();
    int want = 0;
    for (int step = 0; step < kSteps; ++step) {
        int count = 0;
        for (int i = 0; i < kThreads; ++i) count += i % (step + 2) == 0;
        want += count + 1000;                      // thread `step` exists, so does the one that says no
    }
    int wrong = 0;
    for (const int got : out.host) wrong += got != want;
    check(wrong == 0, "__syncthreads_count, _or, _and: %d threads are wrong", wrong);
}

} // namespace

void check_warp()
{
    check_shuffles();
    check_votes();
    check_types();
    check_barrier_votes();
}

} // namespace core_check
