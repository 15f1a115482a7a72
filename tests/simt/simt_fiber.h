// simt_fiber.h - stacks that can be left and resumed.
//
// A fiber that has never run, or was reset, starts in fiber_entry(). On x86-64 a switch is ten
// instructions; elsewhere, or with SIMT_UCONTEXT defined, it is swapcontext, which also saves the signal
// mask and is ten times slower.
#ifndef HEDDLE_SIMT_FIBER_H
#define HEDDLE_SIMT_FIBER_H

#include <cstddef>

#if !defined(__x86_64__) || defined(SIMT_UCONTEXT)
#define SIMT_PORTABLE_SWITCH 1
#include <ucontext.h>
#endif

namespace simt {

struct Fiber {
#ifdef SIMT_PORTABLE_SWITCH
    ucontext_t context;
#else
    void *stack_pointer;
#endif
    unsigned char *stack;                          // the lowest address that may be used
    size_t stack_bytes;
    void *fake_stack;                              // AddressSanitizer's
    unsigned number;
    Fiber *next_idle;
};

// Where fibers begin; it never returns. Defined by the grid.
[[noreturn]] void fiber_entry();

// A fiber that nobody uses, with its own stack; it is kept until the process ends. Null when the system
// gives no memory.
Fiber *make_fiber();

// Whether the address is one that a fiber touches which needs more stack than it has.
bool is_below_stack(const Fiber &fiber, const void *address);

// Forgets what the fiber was doing.
void reset_fiber(Fiber &fiber);

// Leaves `from`, which runs, for `to`. `from` goes on when somebody switches to it.
void switch_fiber(Fiber &from, Fiber &to);

// `fiber` stands for the calling thread's own stack, which is left and resumed like the others.
void begin_outside(Fiber &fiber);

// The first thing that runs in fiber_entry().
void fiber_entered(Fiber &fiber);

} // namespace simt

#endif
