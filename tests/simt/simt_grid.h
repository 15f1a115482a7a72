// simt_grid.h - runs the grid of a kernel: blocks, their threads as fibers, and the order they run in.
//
// Every CUDA thread is a fiber of the one host thread that runs the grid. A fiber runs until it waits (for
// a barrier, the other lanes of a warp collective) or may be interrupted (an atomic); what runs next is
// the choice of a schedule drawn from a seed. The first fault ends the grid.
#ifndef HEDDLE_SIMT_GRID_H
#define HEDDLE_SIMT_GRID_H

#include <cstddef>
#include <cstdint>
#include <functional>

#include <vector_types.h>

namespace simt {

constexpr unsigned kWarpSize    = 32;
constexpr unsigned kMaxThreads  = 1024;            // of a block, as on every device since sm_20
constexpr unsigned kMaxResident = 8;               // blocks that run at the same time
constexpr size_t kMaxSharedBytes = 227 * 1024;     // of a block on sm_90, the largest there is

struct Block;
struct Fiber;

// A thread of a resident block. The objects belong to the slot and serve its later blocks too.
struct Thread {
    uint3 thread_idx, block_idx;
    unsigned linear;                               // within the block
    unsigned warp, lane;
    unsigned slot;                                 // of the block, < kMaxResident
    uint64_t block_serial;                         // counts the blocks of the process
    const char *kernel;
    void *shadow;                                  // the shadow's own; null when the thread starts
    Block *block;
    Fiber *fiber;                                  // null until the thread first runs
    const void *wait_site;                         // the call that it waits in,
    const char *wait_name;                         // null while it waits for nothing
    unsigned copies;                               // its asynchronous copies not waited for yet
};

// The thread whose code runs now; null outside of a grid.
extern Thread *running;
inline const Thread *current() { return running; }

struct Launch {
    const char *kernel_name;
    dim3 grid, block;
    size_t smem_bytes;
    std::function<void()> body;                    // what one thread does
};

// Runs a grid to its end on the calling thread; false after a fault. One grid runs at a time.
bool run_grid(const Launch &launch);

// Leaves the grid that runs, whose threads never run again. Called by a fault.
[[noreturn]] void stop_grid();

// Which runnable thread is next. `drawn` draws one of the others for each launch.
enum class Policy {
    forward,                                       // the lowest thread of the lowest warp
    reverse,
    random,
    ahead,                                         // one warp of each block runs far ahead
    starved,                                       // one warp of each block runs when no other can
    drawn
};

// Until this is called, the environment decides: SIMT_SEED (1) and SIMT_POLICY (drawn).
void set_schedule(uint64_t seed, Policy policy);
// "seed 7, policy ahead, launch 12": what the running grid was scheduled by, or the last one.
const char *schedule_text();

// Lets another thread run when the schedule wants it. What may spin calls it, with the return address of
// its call; a grid in which nothing but this happens is a fault.
void may_yield(const void *site = nullptr);

} // namespace simt

#endif
