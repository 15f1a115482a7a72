// simt_device.h - what a kernel may call: indices, barriers, collectives of a warp, atomics, fences.
//
// The functions of namespace simt are compiled apart from the kernels; the address they return to is the
// call site that faults name. So everything between them and the kernel is inlined by force.
#ifndef HEDDLE_SIMT_DEVICE_H
#define HEDDLE_SIMT_DEVICE_H

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector_types.h>

namespace simt {

enum class Shuffle { index, up, down, butterfly };
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width);

enum class Vote { ballot, any, all };
unsigned vote(Vote kind, unsigned mask, bool predicate);

enum class Reduce { add, min, max, min_unsigned, max_unsigned, bit_and, bit_or, bit_xor };
unsigned reduce(Reduce kind, unsigned mask, unsigned value);

unsigned match_any(unsigned mask, uint64_t value);
void sync_warp(unsigned mask);
unsigned active_mask();                            // a fault: what it returns is luck

enum class Barrier { plain, any, all, count };
int sync_block(Barrier kind, bool predicate);

void thread_fence(bool block_only);
void nanosleep();

} // namespace simt

// Set whenever another thread goes on; to the thread itself they never change, so the compiler may keep
// what it has read. (Being const, they are not watched as memory either.)
extern const uint3 threadIdx __asm__("simt_thread_index");
extern const uint3 blockIdx __asm__("simt_block_index");
extern const dim3 blockDim __asm__("simt_block_size");
extern const dim3 gridDim __asm__("simt_grid_size");
constexpr int warpSize = 32;

#define HDL_SIMT_INLINE inline __attribute__((always_inline))

HDL_SIMT_INLINE void __syncthreads() { simt::sync_block(simt::Barrier::plain, false); }
HDL_SIMT_INLINE int __syncthreads_or(int x) { return simt::sync_block(simt::Barrier::any, x != 0); }
HDL_SIMT_INLINE int __syncthreads_and(int x) { return simt::sync_block(simt::Barrier::all, x != 0); }
HDL_SIMT_INLINE int __syncthreads_count(int x) { return simt::sync_block(simt::Barrier::count, x != 0); }
HDL_SIMT_INLINE void __syncwarp(unsigned mask = 0xffffffffu) { simt::sync_warp(mask); }

namespace simt {

// Shuffles move 32 or 64 bits of any type.
template <class T> HDL_SIMT_INLINE T shuffle_value(Shuffle kind, unsigned mask, T value, int operand, int width)
{
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t),
                  "a shuffle moves at most 64 bits");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = shuffle(kind, mask, bits, operand, width);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace simt

template <class T> HDL_SIMT_INLINE T __shfl_sync(unsigned mask, T value, int lane, int width = 32)
{
    return simt::shuffle_value(simt::Shuffle::index, mask, value, lane, width);
}
template <class T> HDL_SIMT_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32)
{
    return simt::shuffle_value(simt::Shuffle::up, mask, value, static_cast<int>(delta), width);
}
template <class T> HDL_SIMT_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32)
{
    return simt::shuffle_value(simt::Shuffle::down, mask, value, static_cast<int>(delta), width);
}
template <class T> HDL_SIMT_INLINE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32)
{
    return simt::shuffle_value(simt::Shuffle::butterfly, mask, value, bits, width);
}

HDL_SIMT_INLINE unsigned __ballot_sync(unsigned mask, int x)
{
    return simt::vote(simt::Vote::ballot, mask, x != 0);
}
HDL_SIMT_INLINE int __any_sync(unsigned mask, int x)
{
    return static_cast<int>(simt::vote(simt::Vote::any, mask, x != 0));
}
HDL_SIMT_INLINE int __all_sync(unsigned mask, int x)
{
    return static_cast<int>(simt::vote(simt::Vote::all, mask, x != 0));
}
HDL_SIMT_INLINE unsigned __activemask() { return simt::active_mask(); }

HDL_SIMT_INLINE unsigned __reduce_add_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::add, mask, x);
}
HDL_SIMT_INLINE unsigned __reduce_min_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::min_unsigned, mask, x);
}
HDL_SIMT_INLINE unsigned __reduce_max_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::max_unsigned, mask, x);
}
HDL_SIMT_INLINE unsigned __reduce_and_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::bit_and, mask, x);
}
HDL_SIMT_INLINE unsigned __reduce_or_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::bit_or, mask, x);
}
HDL_SIMT_INLINE unsigned __reduce_xor_sync(unsigned mask, unsigned x)
{
    return simt::reduce(simt::Reduce::bit_xor, mask, x);
}
HDL_SIMT_INLINE int __reduce_add_sync(unsigned mask, int x)
{
    return static_cast<int>(simt::reduce(simt::Reduce::add, mask, static_cast<unsigned>(x)));
}
HDL_SIMT_INLINE int __reduce_min_sync(unsigned mask, int x)
{
    return static_cast<int>(simt::reduce(simt::Reduce::min, mask, static_cast<unsigned>(x)));
}
HDL_SIMT_INLINE int __reduce_max_sync(unsigned mask, int x)
{
    return static_cast<int>(simt::reduce(simt::Reduce::max, mask, static_cast<unsigned>(x)));
}

template <class T> HDL_SIMT_INLINE unsigned __match_any_sync(unsigned mask, T value)
{
    static_assert(sizeof(T) <= sizeof(uint64_t), "matches compare at most 64 bits");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return simt::match_any(mask, bits);
}

HDL_SIMT_INLINE void __threadfence() { simt::thread_fence(false); }
HDL_SIMT_INLINE void __threadfence_block() { simt::thread_fence(true); }
HDL_SIMT_INLINE void __nanosleep(unsigned) { simt::nanosleep(); }

// Through the read-only cache on the device; a load like any other here.
template <class T> HDL_SIMT_INLINE T __ldg(const T *pointer) { return *pointer; }

int atomicAdd(int *address, int value);
unsigned atomicAdd(unsigned *address, unsigned value);
unsigned long long atomicAdd(unsigned long long *address, unsigned long long value);
float atomicAdd(float *address, float value);
int atomicSub(int *address, int value);
unsigned atomicSub(unsigned *address, unsigned value);
int atomicExch(int *address, int value);
unsigned atomicExch(unsigned *address, unsigned value);
unsigned long long atomicExch(unsigned long long *address, unsigned long long value);
float atomicExch(float *address, float value);
int atomicMin(int *address, int value);
unsigned atomicMin(unsigned *address, unsigned value);
unsigned long long atomicMin(unsigned long long *address, unsigned long long value);
int atomicMax(int *address, int value);
unsigned atomicMax(unsigned *address, unsigned value);
unsigned long long atomicMax(unsigned long long *address, unsigned long long value);
int atomicAnd(int *address, int value);
unsigned atomicAnd(unsigned *address, unsigned value);
int atomicOr(int *address, int value);
unsigned atomicOr(unsigned *address, unsigned value);
int atomicXor(int *address, int value);
unsigned atomicXor(unsigned *address, unsigned value);
unsigned atomicInc(unsigned *address, unsigned limit);
unsigned atomicDec(unsigned *address, unsigned limit);
int atomicCAS(int *address, int compare, int value);
unsigned atomicCAS(unsigned *address, unsigned compare, unsigned value);
unsigned long long atomicCAS(unsigned long long *address, unsigned long long compare,
                             unsigned long long value);

#endif
