// simt_schedule.cc - the order in which threads run, drawn from a seed.
#include "simt_block.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace simt {

namespace {

constexpr const char *kPolicyNames[] = {"forward", "reverse", "random", "ahead", "starved"};
constexpr unsigned kPolicies         = 5;

// An interruption one time in so many.
constexpr uint32_t kAtomicYields     = 4;
constexpr uint32_t kCollectiveYields = 16;

// Favoured and starved warps are treated like the others one time in so many, so that a warp which
// spins on what they will do does not spin for ever.
constexpr uint32_t kFairTurns = 64;

struct Schedule {
    bool chosen;                                   // by set_schedule() or the environment
    uint64_t seed;
    Policy policy;                                 // may be drawn
    uint64_t launches;
    Policy now;                                    // of this launch
    bool in_order;                                 // forward or reverse
    uint64_t state;                                // of the random numbers
    uint32_t early_of_4;                           // copies of four that land before their wait
    char text[96];
};

Schedule schedule;

// splitmix64 (Steele, Lea and Flood 2014): neighbouring seeds give unrelated numbers.
uint64_t next_random()
{
    uint64_t z = schedule.state += 0x9e3779b97f4a7c15u;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void read_environment()
{
    const char *seed   = getenv("SIMT_SEED");
    const char *policy = getenv("SIMT_POLICY");
    schedule.chosen    = true;
    schedule.seed      = seed ? strtoull(seed, nullptr, 0) : 1;
    schedule.policy    = Policy::drawn;
    for (unsigned i = 0; policy && i < kPolicies; ++i)
        if (strcmp(policy, kPolicyNames[i]) == 0) schedule.policy = static_cast<Policy>(i);
}

unsigned lowest(uint32_t bits) { return static_cast<unsigned>(__builtin_ctz(bits)); }
unsigned highest(uint32_t bits) { return 31u - static_cast<unsigned>(__builtin_clz(bits)); }

// A set bit: the first at or after a random place.
unsigned any_of(uint32_t bits)
{
    const unsigned turn = static_cast<unsigned>(next_random() >> 59);
    return (lowest(bits >> turn | bits << ((32 - turn) & 31)) + turn) & 31;
}

Thread *random_thread()
{
    Block &block = grid.blocks[any_of(grid.ready_blocks)];
    return next_lane(block, any_of(block.ready_warps));
}

Thread *favoured_thread()
{
    if (draw(kFairTurns) == 0) return random_thread();
    for (uint32_t left = grid.ready_blocks; left; left &= left - 1) {
        Block &block = grid.blocks[lowest(left)];
        if (block.ready_warps >> block.favoured & 1u) return next_lane(block, block.favoured);
    }
    return random_thread();
}

Thread *unfavoured_thread()
{
    if (draw(kFairTurns) == 0) return random_thread();
    for (uint32_t left = grid.ready_blocks; left; left &= left - 1) {
        Block &block         = grid.blocks[lowest(left)];
        const uint32_t warps = block.ready_warps & ~(1u << block.favoured);
        if (warps) return next_lane(block, any_of(warps));
    }
    return random_thread();
}

} // namespace

uint32_t draw(uint64_t bound)
{
    return static_cast<uint32_t>((next_random() >> 32) * bound >> 32);
}

void set_schedule(uint64_t seed, Policy policy)
{
    schedule.chosen   = true;
    schedule.seed     = seed;
    schedule.policy   = policy;
    schedule.launches = 0;
}

const char *schedule_text()
{
    snprintf(schedule.text, sizeof schedule.text, "seed %" PRIu64 ", policy %s, launch %" PRIu64,
             schedule.seed, kPolicyNames[static_cast<unsigned>(schedule.now)], schedule.launches);
    return schedule.text;
}

void schedule_begin(Grid &of)
{
    if (!schedule.chosen) read_environment();
    ++schedule.launches;
    schedule.state = schedule.seed;
    schedule.state = next_random() + schedule.launches;
    schedule.now   = schedule.policy == Policy::drawn ? static_cast<Policy>(draw(kPolicies))
                                                      : schedule.policy;
    schedule.in_order = schedule.now == Policy::forward || schedule.now == Policy::reverse;
    of.descending     = schedule.now == Policy::reverse;
    // All at once, all at the last moment, or some of both.
    schedule.early_of_4 = draw(3) * 2;

    // Blocks begin in an order that kernels may not know: rising, falling, or in steps that visit all.
    const uint64_t n = of.n_blocks;
    of.order_step = 1, of.next_block = 0;
    if (schedule.now == Policy::reverse) of.order_step = n - 1, of.next_block = n - 1;
    if (schedule.in_order || n < 3) return;
    of.next_block = draw(n);
    for (unsigned tries = 0; tries < 16; ++tries) {
        const uint64_t step = 1 + draw(n - 1);
        uint64_t a = n, b = step;
        while (b) {
            const uint64_t rest = a % b;
            a = b, b = rest;
        }
        if (a != 1) continue;
        of.order_step = step;
        return;
    }
}

Thread *next_thread()
{
    if (!grid.ready_blocks) return nullptr;
    switch (schedule.now) {
    case Policy::forward: {
        Block &block = grid.blocks[lowest(grid.ready_blocks)];
        return next_lane(block, lowest(block.ready_warps));
    }
    case Policy::reverse: {
        Block &block = grid.blocks[highest(grid.ready_blocks)];
        return next_lane(block, highest(block.ready_warps));
    }
    case Policy::ahead: return favoured_thread();
    case Policy::starved: return unfavoured_thread();
    default: return random_thread();
    }
}

Thread *any_thread()
{
    Block &block        = grid.blocks[any_of(grid.ready_blocks)];
    const unsigned warp = any_of(block.ready_warps);
    return &block.threads[warp * kWarpSize + any_of(block.warps[warp].runnable)];
}


unsigned next_turn() { return schedule.in_order ? 0 : draw(kWarpSize); }

bool yields_at_atomic() { return draw(kAtomicYields) == 0; }
bool yields_at_collective() { return !schedule.in_order && draw(kCollectiveYields) == 0; }
bool lands_early() { return draw(4) < schedule.early_of_4; }

} // namespace simt
