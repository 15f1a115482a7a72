// simt_async.cc - cp.async, as late as the rules allow: the destination is garbage until it lands.
#include "include/simt_ptx.h"

#include <cstring>
#include <vector>

#include "shadow.h"
#include "simt_block.h"

namespace simt {

namespace {

constexpr int kGarbage = 0xff;                     // a NaN in every float type, -1 in the others

struct Copy {
    unsigned char *to;
    const unsigned char *from;
    size_t bytes;                                  // to write
    bool valid;                                    // else zeros
    bool landed;
    uint64_t group;
};

// The copies of one thread in the order of their issue. Those before `first` are done with.
struct Copies {
    uint64_t block_serial;
    uint64_t group;                                // open: what is issued now belongs to it
    size_t first;
    std::vector<Copy> list;
};

std::vector<Copies> of_slot[kMaxResident];

Copies &copies_of(const Thread &thread)
{
    std::vector<Copies> &all = of_slot[thread.slot];
    if (all.empty()) all.resize(kMaxThreads);
    Copies &mine = all[thread.linear];
    if (mine.block_serial != thread.block_serial) {
        mine.block_serial = thread.block_serial;
        mine.group        = 1;
        mine.first        = 0;
        mine.list.clear();
    }
    return mine;
}

void land(Copy &copy)
{
    if (copy.landed) return;
    copy.landed = true;
    if (copy.valid) memcpy(copy.to, copy.from, copy.bytes);
    else memset(copy.to, 0, copy.bytes);
}

// Something this thread did passes time: a copy that nobody waited for yet may land.
void let_time_pass(Copies &mine)
{
    const size_t open = mine.list.size() - mine.first;
    if (open == 0 || !lands_early()) return;
    land(mine.list[mine.first + draw(open)]);
}

void finish_first(Copies &mine)
{
    Copy &copy = mine.list[mine.first++];
    land(copy);
    shadow::async_write_landed(copy.to, copy.bytes);
    --running->copies;
    if (mine.first < mine.list.size()) return;
    mine.list.clear();
    mine.first = 0;
}

} // namespace

void async_thread_ends(Thread &thread)
{
    Copies &mine = copies_of(thread);
    while (thread.copies) finish_first(mine);
}

void cp_async(void *shared, const void *global, size_t bytes, bool valid)
{
    const void *site = __builtin_return_address(0);
    if (reinterpret_cast<uintptr_t>(shared) % bytes != 0 || !in_shared(shared, bytes))
        fault_and_stop(site, "cp.async: the destination must lie in the block's shared memory, aligned to "
                       "%zu bytes", bytes);
    if (valid && reinterpret_cast<uintptr_t>(global) % bytes != 0)
        fault_and_stop(site, "cp.async: the source is not aligned to %zu bytes", bytes);
    if (valid) shadow::access(global, bytes, false, site);
    shadow::async_write_issued(shared, bytes, site);
    memset(shared, kGarbage, bytes);

    Copies &mine = copies_of(*running);
    mine.list.push_back({static_cast<unsigned char *>(shared), static_cast<const unsigned char *>(global),
                         bytes, valid, false, mine.group});
    ++running->copies;
    if (lands_early()) land(mine.list.back());
    else let_time_pass(mine);
}

void cp_async_commit()
{
    Copies &mine = copies_of(*running);
    ++mine.group;
    let_time_pass(mine);
}

void cp_async_wait(int pending)
{
    if (!running->copies) return;
    Copies &mine = copies_of(*running);
    while (running->copies && mine.list[mine.first].group + static_cast<uint64_t>(pending) < mine.group)
        finish_first(mine);
    if (running->copies) let_time_pass(mine);
}

} // namespace simt
