// shadow_order.cc - the order of accesses in a grid, kept up to date by barriers and __syncwarp.
#include "shadow_order.h"
#include "shadow.h"
#include "shadow_release.h"
#include "shadow_works.h"
#include "simt_fault.h"
#include "simt_grid.h"

#include <algorithm>

namespace simt::shadow {
namespace {

uint32_t next_serial = 1; // 0 marks memory that was never touched
uint32_t grid_first  = 1;
std::array<BlockOrder, kMaxResident> slots;
std::vector<uint3> block_indices; // of the grid's blocks in the order they began

void tick(WarpOrder &warp)
{
    if (warp.tick < kTickLimit) warp.tick++;
}

// Exclusive bound of the ticks of `other` that `lane` is ordered after.
uint32_t known_tick(const WarpOrder &warp, unsigned lane, unsigned other)
{
    // Past the limit ticks no longer tell accesses apart, so the warp counts as one thread.
    if (warp.tick == kTickLimit) return kTickLimit + 1;
    return warp.partial ? std::max(warp.full, (*warp.known)[lane][other]) : warp.full;
}

uint32_t known_tick_of_any(const WarpOrder &warp, unsigned lane)
{
    uint32_t bound = known_tick(warp, lane, lane);
    if (warp.partial)
        for (uint32_t other : (*warp.known)[lane]) bound = std::max(bound, other);
    return bound;
}

} // namespace

uint32_t take_serial() { return next_serial++; }

uint32_t take_work_serial()
{
    grid_first = next_serial;
    return next_serial++;
}

uint32_t peek_serial() { return next_serial; }
uint32_t grid_first_serial() { return grid_first; }

uint3 block_index(uint32_t serial) { return block_indices[serial - grid_first]; }

const Here *here_of(const Thread &thread)
{
    BlockOrder &block = slots[thread.slot];
    if (thread.linear >= block.n_threads) return nullptr;
    Here &here = block.threads[thread.linear];
    block_indices[block.serial - grid_first] = thread.block_idx;

    here = {&block, &block.warps[thread.linear / kLanes], thread.linear};
    running->shadow = &here;
    return &here;
}

bool ordered_within(const Mark &mark, const Here &here)
{
    if (mark.thread() == here.thread || mark.barrier() < here.block->barrier) return true;
    if (mark.thread() / kLanes != here.thread / kLanes || !here.warp) return false;
    return mark.tick() < known_tick(*here.warp, here.thread % kLanes, mark.thread() % kLanes);
}

bool ordered(const Mark &mark, const Here &here)
{
    if (mark.block() == here.block->serial)
        return ordered_within(mark, here) || acquired_before(mark, here);
    if (mark.block() < grid_first) return work_ordered(mark.block());
    return acquired_before(mark, here);
}

// Where several threads have read, only the last is known by name. What cannot be told from that counts
// as ordered: the shadow must not cry over code that is right.
bool readers_ordered(const Mark &mark, const Here &here)
{
    if (mark.scope() == kOneThread || mark.block() < grid_first) return ordered(mark, here);
    if (mark.scope() == kGrid || mark.block() != here.block->serial) return !here.block->acquired.empty();
    if (mark.barrier() < here.block->barrier) return true;
    if (!here.block->acquired.empty()) return true;
    if (mark.scope() == kBlock || mark.thread() / kLanes != here.thread / kLanes) return false;
    return mark.tick() < known_tick_of_any(*here.warp, here.thread % kLanes);
}

// ---- told by the grid's scheduler -------------------------------------------------------------------

void grid_begin()
{
    faults_of_next_launch();
    grid_first = next_serial;
    block_indices.clear();
    forget_sync_points();
    work_has_grid();
}

void grid_end()
{
    forget_sync_points();
    for (BlockOrder &block : slots) block.n_threads = 0;
    grid_first = next_serial;
}

void block_begin(uint64_t, unsigned slot, const void *smem_base, size_t smem_bytes,
                 unsigned n_threads)
{
    BlockOrder &block = slots[slot];
    block.serial      = take_serial();
    block_indices.push_back({});
    block.barrier     = 1;
    block.n_threads   = n_threads;
    block.smem_begin  = reinterpret_cast<uintptr_t>(smem_base);
    block.smem_end    = block.smem_begin + smem_bytes;
    block.fenced      = false;
    block.fenced_device = false;
    block.acquired.clear();
    block.fences.assign(n_threads, Fence{});
    block.threads.resize(n_threads);
    block.warps.resize((n_threads + kLanes - 1) / kLanes);
    for (size_t w = 0; w < block.warps.size(); w++) {
        WarpOrder &warp = block.warps[w];
        const unsigned lanes = std::min<unsigned>(kLanes, n_threads - unsigned(w) * kLanes);
        warp.tick    = 1;
        warp.full    = 0;
        warp.partial = false;
        warp.lanes   = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    }
}

void block_end(unsigned slot)
{
    slots[slot].n_threads = 0;
    slots[slot].acquired.clear();
}

void block_barrier(unsigned slot)
{
    BlockOrder &block = slots[slot];
    block.barrier++;
    for (WarpOrder &warp : block.warps) {
        warp.tick    = 1;
        warp.full    = 0;
        warp.partial = false;
    }
}

void warp_sync(unsigned slot, unsigned warp_index, uint32_t mask)
{
    WarpOrder &warp = slots[slot].warps[warp_index];
    tick(warp);
    if ((mask & warp.lanes) == warp.lanes) {
        warp.full = warp.tick;
        return;
    }
    if (!warp.known) warp.known = std::make_unique<Known>();
    if (!warp.partial) *warp.known = Known{};
    warp.partial = true;

    std::array<uint32_t, kLanes> joined{};
    for (unsigned lane = 0; lane < kLanes; lane++) {
        if (!(mask >> lane & 1)) continue;
        for (unsigned other = 0; other < kLanes; other++)
            joined[other] = std::max(joined[other], (*warp.known)[lane][other]);
    }
    for (unsigned lane = 0; lane < kLanes; lane++)
        if (mask >> lane & 1) joined[lane] = warp.tick;
    for (unsigned lane = 0; lane < kLanes; lane++)
        if (mask >> lane & 1) (*warp.known)[lane] = joined;
}

void fence(bool block_only)
{
    const Here *here = here_of_running();
    if (!here) return;
    tick(*here->warp);
    here->block->fences[here->thread] = {here->block->barrier, here->warp->tick};
    here->block->fenced               = true;
    if (!block_only) here->block->fenced_device = true;
}

uint32_t lane_bound(const Here &here)
{
    return known_tick_of_any(*here.warp, here.thread % kLanes);
}

} // namespace simt::shadow
