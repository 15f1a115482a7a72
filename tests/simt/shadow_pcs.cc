// shadow_pcs.cc - code addresses as numbers of 16 bits, given once and never taken back.
#include "shadow_cells.h"

namespace simt::shadow {

std::array<const void *, kPcIds> pc_of_id;

// Looks on from `first_id` for the address or for room; programs of kernels have some thousand accesses.
uint32_t intern_new_pc(const void *pc, size_t first_id)
{
    static size_t in_use = 0;
    if (!pc) return 0;
    for (size_t id = first_id;; id = (id + 1) % kPcIds) {
        if (pc_of_id[id] == pc) return uint32_t(id);
        if (pc_of_id[id] || id == 0) continue;
        if (in_use == kPcIds / 2) return 0; // a fuller table would be slow to search
        in_use++;
        pc_of_id[id] = pc;
        return uint32_t(id);
    }
}

} // namespace simt::shadow
