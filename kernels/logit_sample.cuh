/*
 * logit_sample.cuh - one block draws a token: top-k, temperature, top-p, inverse of the cumulative distribution.
 *
 * Weights are integers: a count, or a probability in units of 2^-42 (that of the greatest logit is 1). Their sums do
 * not depend on the order of additions, so that threads share them freely and the draw is the same every time.
 */
#pragma once
#include "logit_best.cuh"

namespace hdl {

constexpr int   kDigitBits = 8, kDigits = 1 << kDigitBits;   // of a key, found from the highest down
constexpr int   kDrawThreads = 256, kDrawWarps = kDrawThreads / kWarp;
constexpr float kUnit = 4398046511104.0f;            // 2^42: a million probabilities still sum below 2^63

using Weight = unsigned long long;                   // what atomicAdd takes

// Shared memory of a drawing block.
struct DrawSpace {
    Weight  *histogram;                              // [kDigits]
    Weight  *partial;                                // [kDrawWarps]
    Weight  *above;                                  // [1]
    int32_t *found;                                  // [1]
};

constexpr size_t draw_shared_bytes()
{
    return smem_bytes<Weight>(kDigits) + smem_bytes<Weight>(kDrawWarps) + smem_bytes<Weight>(1)
           + smem_bytes<int32_t>(1);
}

__device__ __forceinline__ DrawSpace carve_draw(size_t &offset)
{
    DrawSpace space;
    space.histogram = smem_carve<Weight>(offset, kDigits);
    space.partial   = smem_carve<Weight>(offset, kDrawWarps);
    space.above     = smem_carve<Weight>(offset, 1);
    space.found     = smem_carve<int32_t>(offset, 1);
    return space;
}

// What is left of a row: keys above `key`, and those equal to it with ids below `id_end`.
struct DrawCut {
    uint32_t key;
    int32_t  id_end;
};

__device__ __forceinline__ bool survives(const DrawCut &cut, uint32_t key, int32_t id)
{
    return key > cut.key || (key == cut.key && id < cut.id_end);
}

// The row as its cuts leave it.
struct DrawRow {
    const float *z;                                  // f32 [V], edited; -infinity is removed
    int32_t      V;
    float        greatest, factor;                   // p = exp((z - greatest) * factor)
    DrawCut      top_k, top_p;

    __device__ __forceinline__ float p(int32_t i) const
    {
        return survives(top_k, order_key(z[i]), i) ? expf((z[i] - greatest) * factor) : 0.0f;
    }
    __device__ __forceinline__ Weight mass(int32_t i) const { return static_cast<Weight>(p(i) * kUnit); }
    __device__ __forceinline__ Weight kept_mass(int32_t i) const
    {
        const float own = p(i);
        return survives(top_p, order_key(own), i) ? static_cast<Weight>(own * kUnit) : 0;
    }
};

__device__ __forceinline__ Weight warp_total(Weight x)
{
    for (int step = kWarp / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
    return x;
}

// Weights of ids [first, end), 32 lanes side by side; the total in every lane.
template <class Weigh>
__device__ __forceinline__ Weight weigh_range(const Weigh &weigh, int32_t first, int32_t end)
{
    Weight sum = 0;
    for (int32_t i = first + static_cast<int32_t>(threadIdx.x % kWarp); i < end; i += kWarp) sum += weigh(i);
    return warp_total(sum);
}

// A warp owns a run of ids, so that runs ascend with the warps.
__device__ __forceinline__ int32_t run_of(int32_t V) { return (V + kDrawWarps - 1) / kDrawWarps; }

// Weights of all runs into space.partial; their total in every thread.
template <class Weigh>
__device__ __forceinline__ Weight weigh_all(const DrawSpace &space, const Weigh &weigh, int32_t V)
{
    const int     warp  = threadIdx.x / kWarp;
    const int32_t run   = run_of(V);
    const Weight  own   = weigh_range(weigh, min(warp * run, V), min((warp + 1) * run, V));
    __syncthreads();                                 // the last reader of partial is done
    if (threadIdx.x % kWarp == 0) space.partial[warp] = own;
    __syncthreads();
    Weight total = 0;
    for (int w = 0; w < kDrawWarps; ++w) total += space.partial[w];
    return total;
}

// The first id up to which the weights, ascending by id, exceed `mark`. They do in the end.
template <class Weigh>
__device__ __forceinline__ int32_t find_passing(const DrawSpace &space, const Weigh &weigh, int32_t V, Weight mark)
{
    weigh_all(space, weigh, V);
    const int     warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int32_t run  = run_of(V), end = min((warp + 1) * run, V);
    Weight passed = 0;
    for (int w = 0; w < warp; ++w) passed += space.partial[w];
    if (passed <= mark && passed + space.partial[warp] > mark)       // one warp: that whose run holds it
        for (int32_t first = warp * run; first < end; first += kWarp) {
            Weight upto = first + lane < end ? weigh(first + lane) : 0;
            for (int step = 1; step < kWarp; step *= 2) {
                const Weight left = __shfl_up_sync(kAllLanes, upto, step);
                if (lane >= step) upto += left;
            }
            const unsigned over = __ballot_sync(kAllLanes, passed + upto > mark);
            passed += __shfl_sync(kAllLanes, upto, kWarp - 1);
            if (over == 0) continue;
            if (lane == 0) *space.found = first + __ffs(static_cast<int>(over)) - 1;
            break;
        }
    __syncthreads();
    const int32_t found = *space.found;
    __syncthreads();                                 // found is used again
    return found;
}

// The digit at which the weights of the histogram, from the greatest digit down and on top of space.above, reach
// `target`: into space.found, the weights of the greater ones into space.above. One warp, eight digits a lane.
__device__ __forceinline__ void choose_digit(const DrawSpace &space, double target)
{
    constexpr int kOwn = kDigits / kWarp;
    const int     lane = threadIdx.x % kWarp;
    int    digit = kDigits - 1 - lane * kOwn;
    Weight own   = 0;
    for (int i = 0; i < kOwn; ++i) own += space.histogram[digit - i];
    Weight upto = own;
    for (int step = 1; step < kWarp; step *= 2) {
        const Weight left = __shfl_up_sync(kAllLanes, upto, step);
        if (lane >= step) upto += left;
    }
    upto += *space.above;
    const unsigned reach = __ballot_sync(kAllLanes, static_cast<double>(upto) >= target);
    __syncwarp();                                    // above has been read
    if (lane != (reach != 0 ? __ffs(static_cast<int>(reach)) - 1 : kWarp - 1)) return;
    Weight above = upto - own;
    for (; digit > 0 && static_cast<double>(above + space.histogram[digit]) < target; --digit)
        above += space.histogram[digit];
    *space.above = above;
    *space.found = digit;
}

// One more digit of `key`, whose higher digits stand: the one at which the weights, counted from the greatest key
// down, reach `target`. space.above grows by the weights of all greater keys.
template <class Key, class Weigh>
__device__ __forceinline__ uint32_t find_digit(const DrawSpace &space, const Key &key_of, const Weigh &weigh, int32_t V,
                                               uint32_t key, int shift, double target)
{
    for (int i = threadIdx.x; i < kDigits; i += blockDim.x) space.histogram[i] = 0;
    __syncthreads();
    const uint32_t known = shift + kDigitBits < 32 ? ~0u << (shift + kDigitBits) : 0u;
    for (int32_t i = threadIdx.x; i < V; i += static_cast<int32_t>(blockDim.x)) {
        const uint32_t own = key_of(i);
        if ((own & known) == key) atomicAdd(&space.histogram[own >> shift & (kDigits - 1)], weigh(i));
    }
    __syncthreads();
    if (threadIdx.x < kWarp) choose_digit(space, target);
    __syncthreads();
    return key | static_cast<uint32_t>(*space.found) << shift;
}

// The cut that leaves the greatest keys whose weights reach `target`, of equal ones those with lower ids.
template <class Key, class Weigh>
__device__ __forceinline__ DrawCut cut_greatest(const DrawSpace &space, const Key &key_of, const Weigh &weigh,
                                                int32_t V, double target)
{
    __syncthreads();
    if (threadIdx.x == 0) *space.above = 0;
    DrawCut cut = {0, 0};
    for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits)
        cut.key = find_digit(space, key_of, weigh, V, cut.key, shift, target);
    const Weight above = *space.above;
    const auto equal = [&](int32_t i) { return key_of(i) == cut.key ? weigh(i) : Weight{0}; };
    // the first of the equal ones with which the target is reached is the last that stays
    const double left = target - static_cast<double>(above);
    const Weight mark = static_cast<Weight>(ceil(left)) - 1;         // weights >= left are weights > mark
    cut.id_end = find_passing(space, equal, V, mark) + 1;
    return cut;
}

}  // namespace hdl
