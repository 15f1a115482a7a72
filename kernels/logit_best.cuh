/*
 * logit_best.cuh - the greatest values of a row, kept sorted by one warp: value descending, then id ascending.
 */
#pragma once
#include "reduce.cuh"
#include "launch.cuh"

#include <heddle/search.h>

namespace hdl {

constexpr int kListParts = HDL_MAX_CANDIDATES / kWarp;       // entries of a full list that one lane moves

// Unsigned integers in the order of the floats, NaN aside.
__device__ __forceinline__ uint32_t order_key(float value)
{
    const uint32_t bits = __float_as_uint(value);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float value_of_key(uint32_t key)
{
    return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

// The greatest of a warp's values, in every lane.
__device__ __forceinline__ float warp_greatest(float value)
{
    return value_of_key(__reduce_max_sync(kAllLanes, order_key(value)));
}

// A list in memory that one warp owns. n, capacity and bar are the same in every lane.
struct BestList {
    float   *value;
    int32_t *id;
    int32_t  n, capacity;
    float    bar;                                    // only greater values join: the last of a full list
};

// How many entries of the list stay before `value`: those that are not below it.
__device__ __forceinline__ int rank_in(const BestList &list, float value)
{
    int low = 0, high = list.n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (list.value[middle] >= value) low = middle + 1;
        else high = middle;
    }
    return low;
}

// The greatest value that `count` lanes, at most all, reach with theirs: what is below it does not belong to the warp's
// best `count` values. One vote for each value that is passed; lanes with equal values are passed together.
__device__ __forceinline__ float value_reached(float own, int count)
{
    uint32_t key = order_key(own), passing = 0;      // no value has the key 0: it stands for a lane that was passed
    for (int passed = 0; passed < count;) {
        passing = __reduce_max_sync(kAllLanes, key);
        passed += __popc(__ballot_sync(kAllLanes, key == passing));
        if (key == passing) key = 0;
    }
    return value_of_key(passing);
}

// Puts in those of the warp's values that are above the bar: lane l brings value[j], id[j] as number j * 32 + l, ids
// ascending by number and above those of the list. Every entry counts who goes before it, and moves once; so that not
// all values of a first panel have to be counted, those that cannot stay are left out before.
template <int kOwn>
__device__ __forceinline__ void best_merge(BestList &list, const float (&value)[kOwn], const int32_t (&id)[kOwn])
{
    const int lane = threadIdx.x % kWarp;
    unsigned  above[kOwn];
    int       joining = 0, place[kOwn], old_place[kListParts];
    float     own = -INFINITY, old_value[kListParts];
    int32_t   old_id[kListParts];
#pragma unroll
    for (int j = 0; j < kOwn; ++j) {
        above[j] = __ballot_sync(kAllLanes, value[j] > list.bar);
        own      = fmaxf(own, value[j]);
        joining += __popc(above[j]);
    }
    if (joining == 0) return;
    if (joining > list.capacity && list.capacity <= kWarp) {
        const float least = value_reached(own, list.capacity);
        joining = 0;
#pragma unroll
        for (int j = 0; j < kOwn; ++j) {
            above[j] &= __ballot_sync(kAllLanes, value[j] >= least);
            joining += __popc(above[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < kOwn; ++j)
        place[j] = (above[j] >> lane & 1u) != 0 ? rank_in(list, value[j]) : list.capacity;
#pragma unroll
    for (int i = 0; i < kListParts; ++i) {
        const int  entry = i * kWarp + lane;
        const bool live  = entry < list.n;
        old_value[i]     = live ? list.value[entry] : -INFINITY;
        old_id[i]        = live ? list.id[entry] : 0;
        old_place[i]     = live ? entry : list.capacity;
    }
#pragma unroll
    for (int j = 0; j < kOwn; ++j)
        for (unsigned left = above[j]; left != 0; left &= left - 1) {
            const int   from  = __ffs(static_cast<int>(left)) - 1;
            const float other = __shfl_sync(kAllLanes, value[j], from);
#pragma unroll
            for (int i = 0; i < kListParts; ++i) old_place[i] += other > old_value[i];
#pragma unroll
            for (int k = 0; k < kOwn; ++k)
                place[k] += other > value[k] || (other == value[k] && (j < k || (j == k && from < lane)));
        }
    __syncwarp();                                    // the list has been read
#pragma unroll
    for (int i = 0; i < kListParts; ++i) {
        if (old_place[i] >= list.capacity) continue;
        list.value[old_place[i]] = old_value[i];
        list.id[old_place[i]]    = old_id[i];
    }
#pragma unroll
    for (int j = 0; j < kOwn; ++j) {
        if (place[j] >= list.capacity) continue;
        list.value[place[j]] = value[j];
        list.id[place[j]]    = id[j];
    }
    list.n = min(list.n + joining, list.capacity);
    __syncwarp();
    if (list.n == list.capacity) list.bar = list.value[list.capacity - 1];
}

}  // namespace hdl
