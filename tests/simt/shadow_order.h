// shadow_order.h - what comes before what: blocks, warps and threads of the grid that runs, and their marks.
//
// Time in a block is its count of barriers; between two barriers each warp counts ticks, one for every
// __syncwarp and fence. A mark is who and when in these terms, so that most questions of order are a
// comparison of two numbers.
#ifndef HEDDLE_SIMT_SHADOW_ORDER_H
#define HEDDLE_SIMT_SHADOW_ORDER_H

#include "simt_grid.h"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace simt::shadow {

constexpr unsigned kLanes      = 32;
constexpr uint32_t kTickLimit  = (1u << 22) - 1; // what a mark can hold; ticks stop there

// Which threads a mark of reading speaks of: the one it names, or several of its warp, block or grid.
enum Scope : uint32_t { kOneThread, kWarp, kBlock, kGrid };

// An access to one granule of memory, in two words because that is how fast it must be compared and stored.
struct Mark {
    uint64_t when; // serial of the block or copy (0: no access yet), above it the barriers before the access
    uint64_t who;  // from bit 0: thread in its block 10, tick of its warp 22, code address 16 (intern_pc),
                   // bytes of the granule 4, bytes that the block has written so far 4, scope 2, sync, flying

    static constexpr unsigned kTickBit = 10, kPcBit = 32, kMaskBit = 48, kWrittenBit = 52, kScopeBit = 56;
    static constexpr uint64_t kSync   = uint64_t(1) << 58; // atomic or volatile
    static constexpr uint64_t kFlying = uint64_t(1) << 59; // an asynchronous copy not waited for
    static constexpr uint32_t kAllBytes = 0xf;

    uint32_t block() const { return uint32_t(when); }
    uint32_t barrier() const { return uint32_t(when >> 32); }
    uint32_t thread() const { return who & 1023; }
    uint32_t tick() const { return uint32_t(who) >> kTickBit; }
    uint32_t pc() const { return who >> kPcBit & 0xffff; }
    uint32_t mask() const { return who >> kMaskBit & kAllBytes; }
    uint32_t written() const { return who >> kWrittenBit & kAllBytes; }
    Scope scope() const { return Scope(who >> kScopeBit & 3); }
    bool sync() const { return who & kSync; }
    bool flying() const { return who & kFlying; }

    static uint64_t mask_bits(uint32_t mask) { return uint64_t(mask) << kMaskBit; }
    static uint64_t written_bits(uint32_t mask) { return uint64_t(mask) << kWrittenBit; }
    static uint64_t scope_bits(Scope scope) { return uint64_t(scope) << kScopeBit; }

    // The same thread with nothing in between that orders it anew.
    bool same_time(const Mark &other) const
    {
        return when == other.when && uint32_t(who) == uint32_t(other.who);
    }
};
static_assert(sizeof(Mark) == 16, "two marks a granule: eight times the memory that is watched");

// Each lane's ticks of the others that it is ordered after: [lane][other], exclusive.
using Known = std::array<std::array<uint32_t, kLanes>, kLanes>;

struct WarpOrder {
    uint32_t tick = 1;
    uint32_t full = 0;            // accesses of any lane before this tick come before any lane's next
    std::unique_ptr<Known> known; // made at the first __syncwarp of a part of the warp
    bool partial = false;         // `known` holds something since the last barrier
    uint32_t lanes = 0;           // mask of the lanes that exist
};

// A thread's last fence.
struct Fence {
    uint32_t barrier = 0, tick = 0; // tick 0: none
};

struct SyncPoint;

// What a thread learned when it read a synchronising address: the first `count` releases there.
struct Acquired {
    const SyncPoint *point;
    size_t count;
    Mark when;
};

struct BlockOrder;

// The thread whose access is looked at. A copy is a block of its own without warps.
struct Here {
    BlockOrder *block;
    WarpOrder *warp;
    unsigned thread;
};

struct BlockOrder {
    uint32_t serial = 0; // the shadow's own count
    uint32_t barrier = 1;
    unsigned n_threads = 0;
    uintptr_t smem_begin = 0, smem_end = 0;
    bool fenced = false, fenced_device = false; // some thread executed a fence
    std::vector<WarpOrder> warps;
    std::vector<Fence> fences; // one a thread
    std::vector<Acquired> acquired;
    std::vector<Here> threads; // what a thread's own pointer of the shadow's shows to
};

// Null outside of a grid.
const Here *here_of(const Thread &thread);
inline const Here *here_of_running()
{
    const Thread *thread = running;
    if (!thread) return nullptr;
    return thread->shadow ? static_cast<const Here *>(thread->shadow) : here_of(*thread);
}

// A mark of an access that happens now, without the bytes it touches.
inline Mark mark_of(const Here &here, uint32_t pc_id, bool sync)
{
    const uint64_t tick = here.warp ? here.warp->tick : 0;
    return {uint64_t(here.block->barrier) << 32 | here.block->serial,
            here.thread | tick << Mark::kTickBit | uint64_t(pc_id) << Mark::kPcBit |
                (sync ? Mark::kSync : 0)};
}

// Serials are given to blocks and copies in the order in which they run.
uint32_t take_serial();
uint32_t take_work_serial(); // of a work, which also ends the grid before it
uint32_t peek_serial();
// The first serial of the grid that runs.
uint32_t grid_first_serial();
// Where a block of that grid lies in it.
uint3 block_index(uint32_t serial);

// Whether the marked access comes before what `here` does next. `ordered_within` looks at threads of one
// block only, and at barriers and warps only.
bool ordered_within(const Mark &mark, const Here &here);
bool ordered(const Mark &mark, const Here &here);
// The same for a mark of reading, which may stand for many readers.
bool readers_ordered(const Mark &mark, const Here &here);

} // namespace simt::shadow

#endif
