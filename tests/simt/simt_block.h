// simt_block.h - the state of the blocks that are resident: shared by the files of the stand-in's core.
#ifndef HEDDLE_SIMT_BLOCK_H
#define HEDDLE_SIMT_BLOCK_H

#include "include/simt_device.h"
#include "simt_fiber.h"
#include "simt_grid.h"

// What kernels see as threadIdx and blockIdx; simt_device.h declares them constant.
extern "C" {
extern __attribute__((visibility("hidden"))) uint3 simt_thread_index, simt_block_index;
}

namespace simt {

constexpr unsigned kMaxWarps = kMaxThreads / kWarpSize;

// What a lane hands to a warp collective, and what it gets back.
union LaneData {
    struct {
        uint64_t value;
        int operand;
        int width;
    } shuffle;
    uint64_t word;
    struct {
        uint4 a;
        uint2 b;
        union {
            float4 f;
            int4 i;
        } d;
    } mma;
    const void *row;
    uint4 words;
};

// A collective that gathers its lanes. Several may be under way in a warp, with disjoint masks.
struct Gather {
    const void *site;
    const char *name;
    uint32_t mask, arrived;
};

struct Warp {
    uint32_t lanes;                                // those that exist
    uint32_t runnable;                             // not yet started ones too
    uint32_t done;
    unsigned turn;                                 // the lane that is looked at first
    unsigned gathers_open;
    Gather gathers[kWarpSize];
    LaneData lane[kWarpSize];
};

// The barrier of a block: who has come, and what it will answer.
struct BlockBarrier {
    const void *site;
    Barrier kind;
    unsigned arrived;
    unsigned votes;                                // arrivals whose predicate held
    int answer;                                    // of the barrier that completed last
};

struct Block {
    bool resident;
    uint3 index;
    uint64_t serial;
    unsigned slot;
    unsigned n_threads, n_warps;
    unsigned live;                                 // threads that have not returned
    unsigned favoured;                             // the warp that Policy::ahead and ::starved mean
    uint32_t ready_warps;                          // those with a runnable thread
    BlockBarrier barrier;
    unsigned char *shared;
    Thread *threads;
    Warp *warps;
};

// The grid that runs.
struct Grid {
    const Launch *launch;
    Block blocks[kMaxResident];
    uint32_t ready_blocks;                         // slots with a runnable thread
    unsigned slots;
    uint64_t n_blocks, begun, ended;
    uint64_t next_block, order_step;               // numbers, modulo n_blocks
    uint64_t yields;                               // in a row, with nothing else between them
    bool descending;                               // lanes of a warp run from the highest down
    bool stopped;
};

extern Grid grid;

// Lets any thread run before the running one goes on.
void yield_to_any();

// Whether all of it is shared memory of the block that runs.
inline bool in_shared(const void *address, size_t bytes)
{
    const uintptr_t base = reinterpret_cast<uintptr_t>(running->block->shared);
    const uintptr_t at   = reinterpret_cast<uintptr_t>(address);
    return at >= base && bytes <= grid.launch->smem_bytes && at - base <= grid.launch->smem_bytes - bytes;
}

// A thread may run again, or for the first time.
inline void make_runnable(Block &block, unsigned warp, uint32_t lanes)
{
    block.warps[warp].runnable |= lanes;
    block.ready_warps |= 1u << warp;
    grid.ready_blocks |= 1u << block.slot;
}

// No lane of the warp is runnable any more.
inline void warp_waits(Block &block, unsigned warp)
{
    block.ready_warps &= ~(1u << warp);
    if (!block.ready_warps) grid.ready_blocks &= ~(1u << block.slot);
}

// Faults that name a call of the kernel and end the grid.
[[noreturn]] void fault_and_stop(const void *site, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Gives a thread that begins its fiber and forgets what was there before.
void begin_thread(Thread &thread);

// The warp of the running thread has nothing to run: the choice among the others. Faults if there is none.
Thread *leave_warp();

// The lane of a warp that runs next; one must be runnable.
inline Thread *next_lane(const Block &block, unsigned warp)
{
    const uint32_t bits = block.warps[warp].runnable;
    if (grid.descending) return &block.threads[warp * kWarpSize + 31u - static_cast<unsigned>(__builtin_clz(bits))];
    const unsigned turn = block.warps[warp].turn;
    const uint32_t turned = bits >> turn | bits << ((kWarpSize - turn) % kWarpSize);
    return &block.threads[warp * kWarpSize + (static_cast<unsigned>(__builtin_ctz(turned)) + turn) % kWarpSize];
}

// Makes `next` the thread that runs; returns when somebody switches back to `from`, the calling fiber.
inline void go_to(Thread *next, Fiber *from)
{
    if (!next->fiber) begin_thread(*next);
    running           = next;
    simt_thread_index = next->thread_idx;
    simt_block_index  = next->block_idx;
    if (next->fiber != from) switch_fiber(*from, *next->fiber);
}

// Lets the running thread wait in the call that returns to `site` until somebody makes it runnable. A warp
// runs on while any of its lanes can: the shadow sees a race in any order, and the host's caches like it.
inline void park(const void *site, const char *name)
{
    Thread &t   = *running;
    Warp &warp  = t.block->warps[t.warp];
    t.wait_site = site;
    t.wait_name = name;
    grid.yields = 0;
    warp.runnable &= ~(1u << t.lane);
    go_to(warp.runnable ? next_lane(*t.block, t.warp) : leave_warp(), t.fiber);
    t.wait_site = nullptr;
}

// ---- simt_barrier.cc and simt_warp.cc: who waits for whom --------------------------------------------

// Faults when others wait for the running thread, which returned.
void check_barrier_at_return(const Block &block);
void check_gathers_at_return(const Warp &warp, const Thread &thread);

// ---- simt_deadlock.cc -------------------------------------------------------------------------------

// Each call that threads wait in, and who they are.
void describe_waiting(char *text, size_t bytes);

// ---- simt_schedule.cc: what runs next ---------------------------------------------------------------

// A draw from the schedule's random numbers, below `bound` (at most 2^32).
uint32_t draw(uint64_t bound);

void schedule_begin(Grid &of);
// A runnable thread by the policy, of whatever warp, or null.
Thread *next_thread();
// The lane that a warp begins with from now on.
unsigned next_turn();
// A runnable thread whatever the policy; there must be one.
Thread *any_thread();
// Whether the running thread is interrupted at a place where it may be: an atomic, or a collective that
// is complete.
bool yields_at_atomic();
bool yields_at_collective();
// The same for an asynchronous copy: whether it lands now.
bool lands_early();

// ---- simt_async.cc: copies under way ----------------------------------------------------------------

// A thread returns: the copies that it did not wait for land.
void async_thread_ends(Thread &thread);

} // namespace simt

#endif
