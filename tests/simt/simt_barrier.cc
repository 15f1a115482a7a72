// simt_barrier.cc - __syncthreads and its voting sisters, fences, and the places where threads may yield.
#include "shadow.h"
#include "simt_block.h"
#include "simt_symbol.h"

namespace simt {

namespace {

constexpr const char *kNames[] = {"__syncthreads", "__syncthreads_or", "__syncthreads_and",
                                  "__syncthreads_count"};

const char *name_of(Barrier kind) { return kNames[static_cast<unsigned>(kind)]; }

int answer_of(const BlockBarrier &barrier, unsigned n_threads)
{
    switch (barrier.kind) {
    case Barrier::any: return barrier.votes != 0;
    case Barrier::all: return barrier.votes == n_threads;
    case Barrier::count: return static_cast<int>(barrier.votes);
    default: return 0;
    }
}

} // namespace

void check_barrier_at_return(const Block &block)
{
    fault_and_stop(block.barrier.site, "%u threads of the block wait in %s, which this thread left out "
                   "and returned", block.barrier.arrived, name_of(block.barrier.kind));
}

int sync_block(Barrier kind, bool predicate)
{
    const void *site      = __builtin_return_address(0);
    Block &block          = *running->block;
    BlockBarrier &barrier = block.barrier;
    if (block.live != block.n_threads)
        fault_and_stop(site, "%u threads of the block have returned and never reach this %s",
                       block.n_threads - block.live, name_of(kind));
    if (barrier.arrived == 0) {
        barrier.site  = site;
        barrier.kind  = kind;
        barrier.votes = 0;
    } else if (barrier.kind != kind ||
               (barrier.site != site && !same_source_line(barrier.site, site))) {
        fault_and_stop(site, "divergent barrier: this thread is in %s, %u threads of the block are in "
                       "%s at %s", name_of(kind), barrier.arrived, name_of(barrier.kind),
                       source_line(barrier.site).c_str());
    }
    barrier.votes += predicate;
    if (++barrier.arrived < block.n_threads) {
        park(site, name_of(kind));
        return barrier.answer;
    }
    barrier.answer  = answer_of(barrier, block.n_threads);
    barrier.arrived = 0;
    shadow::block_barrier(block.slot);
    for (unsigned w = 0; w < block.n_warps; ++w) make_runnable(block, w, block.warps[w].lanes);
    return barrier.answer;
}

void thread_fence(bool block_only)
{
    shadow::fence(block_only);
    may_yield(__builtin_return_address(0));
}

void nanosleep() { may_yield(__builtin_return_address(0)); }

} // namespace simt
