// simt_warp.cc - the warp collectives of CUDA C++: shuffles, votes, reductions, __syncwarp.
#include "simt_warp.h"

#include "shadow.h"
#include "simt_symbol.h"

namespace simt {

namespace {

unsigned lowest(uint32_t bits) { return static_cast<unsigned>(__builtin_ctz(bits)); }

[[noreturn]] void refuse_mask(const void *site, const char *name, const Warp &warp, uint32_t mask)
{
    if (!(mask >> running->lane & 1u))
        fault_and_stop(site, "%s: mask 0x%08x leaves out the lane itself, %u", name, mask, running->lane);
    if (mask & ~warp.lanes)
        fault_and_stop(site, "%s: mask 0x%08x names lanes that the block does not have, 0x%08x", name, mask,
                       mask & ~warp.lanes);
    fault_and_stop(site, "%s: mask 0x%08x names lanes that have returned, 0x%08x", name, mask,
                   mask & warp.done);
}

// The collective that the running lane joins: the one under way with its mask, or a new one.
Gather &join(Warp &warp, const void *site, const char *name, uint32_t mask)
{
    Gather *found = nullptr;
    for (unsigned i = 0; i < warp.gathers_open; ++i) {
        Gather &g = warp.gathers[i];
        if (g.mask == mask && g.name == name && (g.site == site || same_source_line(g.site, site))) {
            found = &g;
        } else if ((g.mask >> running->lane & 1u) && (g.arrived & mask)) {
            // Each waits for the other: lanes of that collective are wanted here, and this lane there.
            fault_and_stop(site,
                           "lane %u is in %s with mask 0x%08x, lanes 0x%08x wait for it in %s with mask "
                           "0x%08x at %s",
                           running->lane, name, mask, g.arrived, g.name, g.mask,
                           source_line(g.site).c_str());
        }
    }
    if (found) return *found;
    Gather &g = warp.gathers[warp.gathers_open++];
    g         = {site, name, mask, 0};
    return g;
}

void compute_shuffle(Warp &warp, uint32_t mask, unsigned operation)
{
    uint64_t given[kWarpSize];
    for (unsigned l = 0; l < kWarpSize; ++l) given[l] = warp.lane[l].shuffle.value;
    for (uint32_t left = mask; left; left &= left - 1) {
        const int lane    = static_cast<int>(lowest(left));
        LaneData &data    = warp.lane[lane];
        const int width   = data.shuffle.width, operand = data.shuffle.operand;
        const int segment = lane & ~(width - 1), last = segment + width - 1;
        int source = lane;
        switch (static_cast<Shuffle>(operation)) {
        case Shuffle::index: source = segment | (operand & (width - 1)); break;
        case Shuffle::up: source = lane - operand; break;
        case Shuffle::down: source = lane + operand; break;
        case Shuffle::butterfly: source = lane ^ operand; break;
        }
        // What would reach beyond the segment reads the lane's own value.
        if (source < (operation == static_cast<unsigned>(Shuffle::butterfly) ? 0 : segment) || source > last)
            source = lane;
        data.shuffle.operand = source;
        data.shuffle.value   = given[source];
    }
}

void compute_vote(Warp &warp, uint32_t mask, unsigned)
{
    uint32_t ballot = 0;
    for (uint32_t left = mask; left; left &= left - 1)
        if (warp.lane[lowest(left)].word) ballot |= left & (~left + 1);
    for (uint32_t left = mask; left; left &= left - 1) warp.lane[lowest(left)].word = ballot;
}

uint32_t reduced(Reduce kind, uint32_t a, uint32_t b)
{
    const bool less = static_cast<int32_t>(a) < static_cast<int32_t>(b);
    switch (kind) {
    case Reduce::min: return less ? a : b;
    case Reduce::max: return less ? b : a;
    case Reduce::min_unsigned: return a < b ? a : b;
    case Reduce::max_unsigned: return a < b ? b : a;
    case Reduce::bit_and: return a & b;
    case Reduce::bit_or: return a | b;
    case Reduce::bit_xor: return a ^ b;
    default: return a + b;
    }
}

void compute_reduce(Warp &warp, uint32_t mask, unsigned operation)
{
    uint32_t left  = mask & (mask - 1);
    uint32_t total = static_cast<uint32_t>(warp.lane[lowest(mask)].word);
    for (; left; left &= left - 1)
        total = reduced(static_cast<Reduce>(operation), total,
                        static_cast<uint32_t>(warp.lane[lowest(left)].word));
    for (left = mask; left; left &= left - 1) warp.lane[lowest(left)].word = total;
}

void compute_match(Warp &warp, uint32_t mask, unsigned)
{
    uint64_t given[kWarpSize];
    for (unsigned l = 0; l < kWarpSize; ++l) given[l] = warp.lane[l].word;
    for (uint32_t left = mask; left; left &= left - 1) {
        uint32_t same = 0;
        for (uint32_t other = mask; other; other &= other - 1)
            if (given[lowest(other)] == given[lowest(left)]) same |= other & (~other + 1);
        warp.lane[lowest(left)].word = same;
    }
}

void compute_sync(Warp &, uint32_t mask, unsigned)
{
    shadow::warp_sync(running->slot, running->warp, mask);
}

} // namespace

void check_gathers_at_return(const Warp &warp, const Thread &thread)
{
    for (unsigned i = 0; i < warp.gathers_open; ++i) {
        const Gather &g = warp.gathers[i];
        if (g.mask >> thread.lane & 1u)
            fault_and_stop(g.site, "lane %u returned, lanes 0x%08x wait for it in %s with mask 0x%08x",
                           thread.lane, g.arrived, g.name, g.mask);
    }
}

LaneData &gather(const void *site, const char *name, uint32_t mask, unsigned operation, Compute compute)
{
    const unsigned w = running->warp, lane = running->lane;
    Block &block     = *running->block;
    Warp &warp       = block.warps[w];
    if (!(mask >> lane & 1u) || (mask & (~warp.lanes | warp.done))) refuse_mask(site, name, warp, mask);
    Gather &g = join(warp, site, name, mask);
    g.arrived |= 1u << lane;
    if (g.arrived != mask) {
        park(site, name);
        return warp.lane[lane];
    }
    g = warp.gathers[--warp.gathers_open];
    compute(warp, mask, operation);
    make_runnable(block, w, mask);
    warp.turn = next_turn();
    if (yields_at_collective()) yield_to_any();
    return warp.lane[lane];
}

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width)
{
    static const char *const names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync",
                                        "__shfl_xor_sync"};
    const void *site = __builtin_return_address(0);
    const char *name = names[static_cast<unsigned>(kind)];
    if (width < 1 || width > static_cast<int>(kWarpSize) || (width & (width - 1)) != 0)
        fault_and_stop(site, "%s: width %d is no power of two up to 32", name, width);
    LaneData &data       = lane_data();
    data.shuffle.value   = value;
    data.shuffle.operand = operand;
    data.shuffle.width   = width;
    gather(site, name, mask, static_cast<unsigned>(kind), compute_shuffle);
    if (!(mask >> data.shuffle.operand & 1u))
        fault_and_stop(site, "%s: lane %u reads lane %d, which mask 0x%08x leaves out", name, running->lane,
                       data.shuffle.operand, mask);
    return data.shuffle.value;
}

unsigned vote(Vote kind, unsigned mask, bool predicate)
{
    static const char *const names[] = {"__ballot_sync", "__any_sync", "__all_sync"};
    lane_data().word = predicate;
    const unsigned ballot =
        static_cast<unsigned>(gather(__builtin_return_address(0), names[static_cast<unsigned>(kind)], mask,
                                     0, compute_vote).word);
    if (kind == Vote::any) return ballot != 0;
    return kind == Vote::all ? ballot == mask : ballot;
}

unsigned reduce(Reduce kind, unsigned mask, unsigned value)
{
    static const char *const names[] = {"__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync",
                                        "__reduce_min_sync", "__reduce_max_sync", "__reduce_and_sync",
                                        "__reduce_or_sync",  "__reduce_xor_sync"};
    const unsigned operation = static_cast<unsigned>(kind);
    lane_data().word         = value;
    return static_cast<unsigned>(
        gather(__builtin_return_address(0), names[operation], mask, operation, compute_reduce).word);
}

unsigned match_any(unsigned mask, uint64_t value)
{
    lane_data().word = value;
    return static_cast<unsigned>(
        gather(__builtin_return_address(0), "__match_any_sync", mask, 0, compute_match).word);
}

void sync_warp(unsigned mask)
{
    gather(__builtin_return_address(0), "__syncwarp", mask, 0, compute_sync);
}

unsigned active_mask()
{
    fault_and_stop(__builtin_return_address(0),
                   "__activemask: which lanes run together is the hardware's luck");
}

} // namespace simt
