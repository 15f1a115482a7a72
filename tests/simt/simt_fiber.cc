// simt_fiber.cc - stacks from mmap, and the switch between them.
#include "simt_fiber.h"

#include <cstdint>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

namespace {

constexpr size_t kStackBytes = 256 * 1024;         // touched pages count only; ASan's frames are large
constexpr size_t kGuardBytes = 64 * 1024;          // an overflow faults, even one by a frame of several pages

// All stacks begin at page boundaries. Without a shift of their own they would share the few cache
// lines that such addresses map to, and every switch would miss.
constexpr size_t kColourBytes = 5 * 64;
constexpr size_t kColourSpan  = 4096;

} // namespace

#ifndef SIMT_PORTABLE_SWITCH

// Keeps what the calling convention says a call keeps, except the floating-point control words, which
// kernels never change. Threads mostly wait in the same place, so the CPU's guess where a return goes is
// right for the other fiber as well; a jump would put all the following returns off by one.
asm(R"(
    .text
    .p2align 4
    .globl simt_switch_stack
    .hidden simt_switch_stack
    .type simt_switch_stack, @function
simt_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size simt_switch_stack, . - simt_switch_stack
)");

extern "C" __attribute__((visibility("hidden"))) void simt_switch_stack(void **keep, void *resume);

namespace {

constexpr size_t kSavedRegisters = 6;

// A stack as simt_switch_stack leaves one, so that resuming it enters fiber_entry() with the alignment
// of a call and a return address of zero, where debuggers stop.
void prepare_start(Fiber &fiber, unsigned char *top)
{
    uintptr_t *word           = reinterpret_cast<uintptr_t *>(top) - (kSavedRegisters + 2);
    word[kSavedRegisters]     = reinterpret_cast<uintptr_t>(&fiber_entry);
    word[kSavedRegisters + 1] = 0;
    for (size_t i = 0; i < kSavedRegisters; ++i) word[i] = 0;
    fiber.stack_pointer = word;
}

void switch_stack(Fiber &from, Fiber &to) { simt_switch_stack(&from.stack_pointer, to.stack_pointer); }

} // namespace

#else

namespace {

void prepare_start(Fiber &fiber, unsigned char *top)
{
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp   = fiber.stack;
    fiber.context.uc_stack.ss_size = static_cast<size_t>(top - fiber.stack);
    fiber.context.uc_link          = nullptr;
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&fiber_entry), 0);
}

void switch_stack(Fiber &from, Fiber &to) { swapcontext(&from.context, &to.context); }

} // namespace

#endif

void reset_fiber(Fiber &fiber)
{
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(fiber.stack, fiber.stack_bytes);
#endif
    fiber.fake_stack = nullptr;
    const size_t colour = fiber.number * kColourBytes % kColourSpan;
    prepare_start(fiber, fiber.stack + fiber.stack_bytes - colour);
}

Fiber *make_fiber()
{
    static unsigned made;
    void *memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    mprotect(memory, kGuardBytes, PROT_NONE);
    Fiber *fiber       = new Fiber();
    fiber->stack       = static_cast<unsigned char *>(memory) + kGuardBytes;
    fiber->stack_bytes = kStackBytes;
    fiber->number      = made++;
    reset_fiber(*fiber);
    return fiber;
}

bool is_below_stack(const Fiber &fiber, const void *address)
{
    const unsigned char *at = static_cast<const unsigned char *>(address);
    return at < fiber.stack && fiber.stack - at <= static_cast<ptrdiff_t>(kGuardBytes);
}

#ifdef SIMT_ASAN
namespace {

Fiber *outside;

// The sanitizer wants to know the stack that a switch goes to. That of the calling thread is known
// only to the sanitizer, which tells it when that stack is left for the first time.
void finish_switch(Fiber &now)
{
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(now.fake_stack, &bottom, &bytes);
    if (!outside->stack) {
        outside->stack       = static_cast<unsigned char *>(const_cast<void *>(bottom));
        outside->stack_bytes = bytes;
    }
}

} // namespace

void begin_outside(Fiber &fiber)
{
    fiber   = Fiber();
    outside = &fiber;
}

void fiber_entered(Fiber &fiber) { finish_switch(fiber); }

void switch_fiber(Fiber &from, Fiber &to)
{
    __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
    switch_stack(from, to);
    finish_switch(from);
}
#else
void begin_outside(Fiber &) {}
void fiber_entered(Fiber &) {}
void switch_fiber(Fiber &from, Fiber &to) { switch_stack(from, to); }
#endif

} // namespace simt
