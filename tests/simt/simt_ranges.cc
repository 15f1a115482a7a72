// simt_ranges.cc - NVTX ranges, counted: how many were begun, and how many are open in all threads.
#include "include/nvtx3/nvToolsExt.h"
#include "simt_hooks.h"
#include <atomic>

namespace {

std::atomic<uint64_t> begun;
std::atomic<int64_t> open; // below 0: a thread has ended what it had not begun
thread_local int level;

} // namespace

extern "C" {

int nvtxRangePushA(const char *message)
{
    if (!message) return -1;
    begun++;
    open++;
    return level++;
}

int nvtxRangePop(void)
{
    open--;
    return --level;
}

uint64_t simt_ranges_begun(void) { return begun; }

int64_t simt_ranges_open(void) { return open; }

} // extern "C"
