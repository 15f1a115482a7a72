// shadow_release.cc - releases kept at the address that made them, acquired by whoever reads there.
//
// Modelled on "fence; relaxed atomic" as a release and on an atomic or volatile read as an acquire. A
// fence after the read is not asked for: much correct code has none there.
#include "shadow_release.h"

#include <unordered_map>

namespace simt::shadow {
namespace {

// What one thread released: accesses of its block before these times.
struct Release {
    uint32_t block, barrier;
    uint32_t thread;
    uint32_t own_tick;  // of the thread itself
    uint32_t lane_tick; // of the other lanes of its warp
    bool device;        // the fence was not for the block alone

    bool operator==(const Release &other) const
    {
        return block == other.block && barrier == other.barrier && thread == other.thread &&
               own_tick == other.own_tick && lane_tick == other.lane_tick && device == other.device;
    }
    bool covers(const Mark &mark) const
    {
        if (mark.block() != block) return false;
        if (mark.barrier() != barrier) return mark.barrier() < barrier;
        if (mark.thread() == thread) return mark.tick() < own_tick;
        return mark.thread() / kLanes == thread / kLanes && mark.tick() < lane_tick;
    }
};

} // namespace

struct SyncPoint {
    std::vector<Release> releases;                                  // in the order they were made
    std::unordered_map<uint32_t, std::vector<uint32_t>> of_block;   // serial -> places in `releases`

    void add(const Release &release)
    {
        std::vector<uint32_t> &places = of_block[release.block];
        for (uint32_t place : places)
            if (releases[place] == release) return;
        places.push_back(uint32_t(releases.size()));
        releases.push_back(release);
    }
};

namespace {

std::unordered_map<uintptr_t, SyncPoint> points;

Release release_of(const Here &here)
{
    const BlockOrder &block = *here.block;
    const Fence &own        = block.fences[here.thread];
    const uint32_t own_tick = own.barrier == block.barrier ? own.tick : 0;
    return {block.serial, block.barrier, here.thread, own_tick, lane_bound(here), block.fenced_device};
}

// What a block has learned it passes on with its own releases.
void pass_on(SyncPoint &to, const Here &here)
{
    for (const Acquired &acquired : here.block->acquired) {
        if (acquired.point == &to) continue;
        for (size_t i = 0; i < acquired.count; i++) to.add(acquired.point->releases[i]);
    }
}

void acquire(const SyncPoint &point, const Here &here)
{
    for (const Acquired &earlier : here.block->acquired)
        if (earlier.point == &point && earlier.count == point.releases.size() &&
            ordered_within(earlier.when, here))
            return;
    here.block->acquired.push_back({&point, point.releases.size(), mark_of(here, 0, true)});
}

} // namespace

void sync_access(uintptr_t address, const Here &here, bool reads, bool writes)
{
    const bool releases = writes && here.block->fenced;
    if (points.empty() && !releases) return;

    auto found = points.find(address);
    if (reads && found != points.end()) acquire(found->second, here);
    if (!releases) return;
    SyncPoint &point = found != points.end() ? found->second : points[address];
    pass_on(point, here);
    point.add(release_of(here));
}

bool acquired_before(const Mark &mark, const Here &here)
{
    const bool same_block = mark.block() == here.block->serial;
    for (const Acquired &acquired : here.block->acquired) {
        if (!ordered_within(acquired.when, here)) continue;
        auto places = acquired.point->of_block.find(mark.block());
        if (places == acquired.point->of_block.end()) continue;
        for (uint32_t place : places->second) {
            const Release &release = acquired.point->releases[place];
            if (place < acquired.count && (release.device || same_block) && release.covers(mark))
                return true;
        }
    }
    return false;
}

bool took_part(uintptr_t address, const Here &here)
{
    auto found = points.find(address);
    if (found == points.end()) return false;
    for (const Acquired &acquired : here.block->acquired)
        if (acquired.point == &found->second && ordered_within(acquired.when, here)) return true;
    return false;
}

void forget_sync_points() { points.clear(); }

} // namespace simt::shadow
