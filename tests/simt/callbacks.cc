// callbacks.cc - what g++ -fsanitize=thread calls before every access, answered by the shadow.
//
// The names and their meaning are the compiler's; nothing of libtsan is linked. An access to memory that
// is not watched, such as a fiber's stack, costs two comparisons.
#include "shadow.h"
#include "shadow_cells.h"
#include "simt_grid.h"

#include <cstdint>

using namespace simt::shadow;

namespace {

[[gnu::always_inline]] inline void touch(const volatile void *address, size_t bytes, unsigned flags,
                                         const void *pc)
{
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (__builtin_expect(watched(at), 0)) check_access(at, bytes, flags, pc);
}

constexpr int kRelaxed = __ATOMIC_RELAXED, kConsume = __ATOMIC_CONSUME, kAcquire = __ATOMIC_ACQUIRE;

// An atomic operation of the compiler with its order: a stronger one than relaxed is a fence as well.
inline void touch_atomic(const volatile void *address, size_t bytes, bool writes, int order, const void *pc)
{
    if (!watched(reinterpret_cast<uintptr_t>(address))) return;
    if (writes && order != kRelaxed && order != kConsume && order != kAcquire) fence(false);
    if (writes)
        atomic(const_cast<const void *>(address), bytes, pc);
    else
        volatile_access(const_cast<const void *>(address), bytes, false, pc);
}

} // namespace

#define PC __builtin_return_address(0)

extern "C" {

void __tsan_init() { found_instrumented_code(); }
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}

#define ACCESS(bytes)                                                                              \
    void __tsan_read##bytes(void *p) { touch(p, bytes, kTyped, PC); }                              \
    void __tsan_write##bytes(void *p) { touch(p, bytes, kTyped | kWrite, PC); }                    \
    void __tsan_unaligned_read##bytes(void *p) { touch(p, bytes, 0, PC); }                         \
    void __tsan_unaligned_write##bytes(void *p) { touch(p, bytes, kWrite, PC); }                   \
    void __tsan_volatile_read##bytes(void *p)                                                      \
    {                                                                                              \
        if (!watched(reinterpret_cast<uintptr_t>(p))) return;                                      \
        simt::may_yield(PC); /* it may be read until it changes */                                   \
        volatile_access(p, bytes, false, PC);                                                      \
    }                                                                                              \
    void __tsan_volatile_write##bytes(void *p)                                                     \
    {                                                                                              \
        if (watched(reinterpret_cast<uintptr_t>(p))) volatile_access(p, bytes, true, PC);          \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *p, size_t bytes) { touch(p, bytes, 0, PC); }
void __tsan_write_range(void *p, size_t bytes) { touch(p, bytes, kWrite, PC); }
void __tsan_vptr_read(void **p) { touch(p, sizeof *p, 0, PC); }
void __tsan_vptr_update(void **p, void *) { touch(p, sizeof *p, kWrite, PC); }

// The operations themselves are the compiler's own, at their strongest order.
#define ATOMIC_FETCH(bits, name)                                                                   \
    uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile uint##bits##_t *p,                  \
                                                      uint##bits##_t v, int order)                 \
    {                                                                                              \
        touch_atomic(p, bits / 8, true, order, PC);                                                \
        return __atomic_fetch_##name(p, v, __ATOMIC_SEQ_CST);                                      \
    }
#define ATOMIC_COMPARE(bits, name)                                                                 \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile uint##bits##_t *p,                  \
                                                      uint##bits##_t *expected,                    \
                                                      uint##bits##_t v, int order, int)            \
    {                                                                                              \
        touch_atomic(p, bits / 8, true, order, PC);                                                \
        return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST,                \
                                           __ATOMIC_SEQ_CST);                                      \
    }
#define ATOMIC(bits)                                                                               \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order)         \
    {                                                                                              \
        touch_atomic(p, bits / 8, false, order, PC);                                               \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order)      \
    {                                                                                              \
        touch_atomic(p, bits / 8, true, order, PC);                                                \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *p, uint##bits##_t v,    \
                                                  int order)                                       \
    {                                                                                              \
        touch_atomic(p, bits / 8, true, order, PC);                                                \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p,          \
                                                              uint##bits##_t expected,             \
                                                              uint##bits##_t v, int order, int)    \
    {                                                                                              \
        touch_atomic(p, bits / 8, true, order, PC);                                                \
        __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);   \
        return expected;                                                                           \
    }                                                                                              \
    ATOMIC_COMPARE(bits, strong)                                                                   \
    ATOMIC_COMPARE(bits, weak)                                                                     \
    ATOMIC_FETCH(bits, add)                                                                        \
    ATOMIC_FETCH(bits, sub)                                                                        \
    ATOMIC_FETCH(bits, and)                                                                        \
    ATOMIC_FETCH(bits, or)                                                                         \
    ATOMIC_FETCH(bits, xor)                                                                        \
    ATOMIC_FETCH(bits, nand)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int)
{
    fence(false);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

} // extern "C"
