// shadow_release.h - order between threads through memory: a fence and an atomic here, an atomic there.
#ifndef HEDDLE_SIMT_SHADOW_RELEASE_H
#define HEDDLE_SIMT_SHADOW_RELEASE_H

#include "shadow_order.h"

namespace simt::shadow {

// An atomic or volatile access at `address`. Reading learns what was released there; writing after a
// fence releases what came before.
void sync_access(uintptr_t address, const Here &here, bool reads, bool writes);

// Whether `here` has learned of the marked access.
bool acquired_before(const Mark &mark, const Here &here);
// Whether the block of `here` has itself read the synchronising address, and so comes after the atomics
// whose values it saw there.
bool took_part(uintptr_t address, const Here &here);

void forget_sync_points();

// Ticks of any lane of the warp that `here` is ordered after, exclusive.
uint32_t lane_bound(const Here &here);

} // namespace simt::shadow

#endif
