// simt_grid.cc - the life of a grid: blocks take slots, threads take fibers, until all have returned.
//
// Fibers switch to each other directly. A thread that returns hands its stack to the next thread that
// has not begun, without a switch, so a grid in which nothing waits runs on a single stack.
#include "simt_grid.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "shadow.h"
#include "simt_block.h"
#include "simt_fault.h"
#include "simt_fiber.h"
#include "simt_memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(base, bytes) ((void)(base), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(base, bytes) ((void)(base), (void)(bytes))
#endif

// The built-in variables of kernels.
extern "C" {
uint3 simt_thread_index, simt_block_index;
__attribute__((visibility("hidden"))) dim3 simt_block_size, simt_grid_size;
}

namespace simt {

Thread *running;
Grid grid;

namespace {

constexpr unsigned kThreadsAtOnce   = 4096;        // resident blocks times their threads, about
constexpr size_t kSharedSlotBytes   = 512 * 1024;  // apart by more than any off-by-some
constexpr size_t kSharedAlign       = 16;          // all that a kernel may count on
constexpr int kGarbage              = 0xff;        // a NaN in every float type, -1 in the others
constexpr uint64_t kYieldLimit      = 1u << 24;    // a third of a second of switches

Fiber outside;                                     // the calling thread's own stack
Fiber *idle_fibers;
std::vector<Fiber *> all_fibers;
std::vector<Thread> threads[kMaxResident];
std::vector<Warp> warps[kMaxResident];
unsigned char *shared_window;
uint64_t blocks_of_process;
dim3 threads_made_for[kMaxResident];

Fiber *take_fiber()
{
    if (Fiber *fiber = idle_fibers) {
        idle_fibers = fiber->next_idle;
        return fiber;
    }
    Fiber *fiber = make_fiber();
    if (!fiber) fault_and_stop(nullptr, "no memory for the stack of a thread");
    all_fibers.push_back(fiber);
    return fiber;
}

void give_fiber(Fiber *fiber)
{
    fiber->next_idle = idle_fibers;
    idle_fibers      = fiber;
}

// What depends on the shape of a block alone.
void make_threads(unsigned slot, const dim3 &shape)
{
    Block &block    = grid.blocks[slot];
    block.slot      = slot;
    block.n_threads = shape.x * shape.y * shape.z;
    block.n_warps   = (block.n_threads + kWarpSize - 1) / kWarpSize;
    dim3 &made_for  = threads_made_for[slot];
    if (made_for.x == shape.x && made_for.y == shape.y && made_for.z == shape.z && !threads[slot].empty())
        return;
    made_for = shape;
    threads[slot].assign(block.n_threads, Thread());
    warps[slot].assign(block.n_warps, Warp());
    block.threads = threads[slot].data();
    block.warps   = warps[slot].data();
    for (unsigned i = 0; i < block.n_threads; ++i) {
        Thread &t    = block.threads[i];
        t.thread_idx = {i % shape.x, i / shape.x % shape.y, i / (shape.x * shape.y)};
        t.linear     = i;
        t.warp       = i / kWarpSize;
        t.lane       = i % kWarpSize;
        t.slot       = slot;
        t.block      = &block;
        block.warps[t.warp].lanes |= 1u << t.lane;
    }
}

void begin_block(Block &block)
{
    const Launch &launch = *grid.launch;
    const uint64_t number = grid.next_block;
    grid.next_block       = (number + grid.order_step) % grid.n_blocks;
    ++grid.begun;
    block.index    = {static_cast<unsigned>(number % launch.grid.x),
                      static_cast<unsigned>(number / launch.grid.x % launch.grid.y),
                      static_cast<unsigned>(number / launch.grid.x / launch.grid.y)};
    block.serial   = ++blocks_of_process;
    block.resident = true;
    block.live     = block.n_threads;
    block.favoured = draw(block.n_warps);
    block.barrier  = BlockBarrier();
    for (unsigned w = 0; w < block.n_warps; ++w) {
        Warp &warp        = block.warps[w];
        warp.done         = 0;
        warp.gathers_open = 0;
        warp.turn         = next_turn();
        make_runnable(block, w, warp.lanes);
    }
    ASAN_UNPOISON_MEMORY_REGION(block.shared, launch.smem_bytes);
    memset(block.shared, kGarbage, launch.smem_bytes);
    shadow::block_begin(block.serial, block.slot, block.shared, launch.smem_bytes, block.n_threads);
}

void end_block(Block &block)
{
    block.resident = false;
    shadow::block_end(block.slot);
    ASAN_POISON_MEMORY_REGION(block.shared, grid.launch->smem_bytes);
    ++grid.ended;
}

[[noreturn]] void report_deadlock()
{
    static char text[2048];                        // this stack is left for good
    describe_waiting(text, sizeof text);
    fault_and_stop(running->wait_site, "deadlock, every thread waits: %s", text);
}

// No lane of the running thread's warp can run. What runs instead, null when the grid is at its end.
Thread *warp_returned(Block &block, const Thread &t)
{
    warp_waits(block, t.warp);
    if (block.live == 0) {
        end_block(block);
        if (grid.begun < grid.n_blocks) begin_block(block);
    }
    Thread *next = next_thread();
    if (!next && grid.ended < grid.n_blocks) report_deadlock();
    return next;
}

// The running thread has returned. Comes back when its stack has another thread to run.
void thread_returned()
{
    Thread &t    = *running;
    Block &block = *t.block;
    Warp &warp   = block.warps[t.warp];
    if (t.copies) async_thread_ends(t);
    if (block.barrier.arrived) check_barrier_at_return(block);
    if (warp.gathers_open) check_gathers_at_return(warp, t);
    warp.done |= 1u << t.lane;
    warp.runnable &= ~(1u << t.lane);
    grid.yields = 0;
    --block.live;

    Thread *next = warp.runnable ? next_lane(block, t.warp) : warp_returned(block, t);
    Fiber *mine  = t.fiber;
    t.fiber      = nullptr;
    give_fiber(mine);                              // a thread that begins takes it first
    if (next) go_to(next, mine);
    else switch_fiber(*mine, outside);
}

bool check_launch(const Launch &l)
{
    const uint64_t n = static_cast<uint64_t>(l.block.x) * l.block.y * l.block.z;
    constexpr unsigned kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535, kMaxBlockZ = 64;
    if (n >= 1 && n <= kMaxThreads && l.block.z <= kMaxBlockZ && l.grid.x >= 1 && l.grid.y >= 1 &&
        l.grid.z >= 1 && l.grid.x <= kMaxGridX && l.grid.y <= kMaxGridYZ && l.grid.z <= kMaxGridYZ &&
        l.smem_bytes <= kMaxSharedBytes)
        return true;
    fault("%s: no device takes grid (%u,%u,%u), block (%u,%u,%u) with %zu bytes of shared memory",
          l.kernel_name, l.grid.x, l.grid.y, l.grid.z, l.block.x, l.block.y, l.block.z, l.smem_bytes);
    return false;
}

bool map_shared_window()
{
    if (shared_window) return true;
    const size_t bytes = kMaxResident * kSharedSlotBytes;
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fault("no memory for shared memory");
        return false;
    }
    shared_window = static_cast<unsigned char *>(memory);
    shadow::set_shared_window(shared_window, bytes);
    ASAN_POISON_MEMORY_REGION(shared_window, bytes);
    return true;
}

void begin_grid(const Launch &launch)
{
    grid.launch       = &launch;
    grid.n_blocks     = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
    grid.begun        = 0;
    grid.ended        = 0;
    grid.ready_blocks = 0;
    grid.yields       = 0;
    grid.stopped      = false;
    simt_grid_size    = launch.grid;
    simt_block_size   = launch.block;
    schedule_begin(grid);

    const unsigned n_threads = launch.block.x * launch.block.y * launch.block.z;
    uint64_t slots           = kThreadsAtOnce / n_threads;
    if (slots > kMaxResident) slots = kMaxResident;
    if (slots > grid.n_blocks) slots = grid.n_blocks;
    grid.slots = static_cast<unsigned>(slots);
    for (unsigned s = 0; s < grid.slots; ++s) {
        make_threads(s, launch.block);
        // An odd multiple of the alignment: a kernel that counts on more meets an odd address.
        const size_t shift   = kSharedAlign * (1 + 2 * draw(4));
        grid.blocks[s].shared = shared_window + s * kSharedSlotBytes + kSharedSlotBytes / 4 + shift;
        begin_block(grid.blocks[s]);
    }
}

// Threads that never run again leave nothing behind: kernels own no resources.
void abandon_threads()
{
    for (Block &block : grid.blocks) {
        if (block.resident) end_block(block);
        block.ready_warps = 0;
        for (unsigned w = 0; w < block.n_warps; ++w) block.warps[w].runnable = 0;
        for (unsigned i = 0; i < block.n_threads; ++i) {
            block.threads[i].fiber     = nullptr;
            block.threads[i].wait_site = nullptr;
        }
    }
    idle_fibers = nullptr;
    for (Fiber *fiber : all_fibers) {
        reset_fiber(*fiber);
        give_fiber(fiber);
    }
}

} // namespace

void fiber_entry()
{
    fiber_entered(*running->fiber);
    for (;;) {
        grid.launch->body();
        thread_returned();
    }
}

bool run_grid(const Launch &launch)
{
    if (!check_launch(launch) || !map_shared_window()) return false;
    guard_this_thread();
    faults_of_next_launch();
    shadow::grid_begin();
    begin_grid(launch);
    begin_outside(outside);
    go_to(next_thread(), &outside);
    running = nullptr;
    if (grid.stopped) abandon_threads();
    shadow::grid_end();
    return !grid.stopped;
}

void stop_grid()
{
    Fiber *mine  = running->fiber;
    grid.stopped = true;
    switch_fiber(*mine, outside);
    __builtin_unreachable();
}

void fault_and_stop(const void *site, const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (site) fault_at(site, "%s", text);
    else fault("%s", text);
    stop_grid();
}

void begin_thread(Thread &thread)
{
    thread.fiber        = take_fiber();
    thread.block_idx    = thread.block->index;
    thread.block_serial = thread.block->serial;
    thread.kernel       = grid.launch->kernel_name;
    thread.shadow       = nullptr;
    thread.copies       = 0;
}

Thread *leave_warp()
{
    warp_waits(*running->block, running->warp);
    Thread *next = next_thread();
    if (!next) report_deadlock();
    return next;
}

void yield_to_any() { go_to(any_thread(), running->fiber); }

void may_yield(const void *site)
{
    if (!yields_at_atomic()) return;
    if (++grid.yields > kYieldLimit) fault_and_stop(site, "every thread that can run spins");
    yield_to_any();
}

unsigned char *shared_memory() { return running->block->shared; }

} // namespace simt
