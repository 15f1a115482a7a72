// simt_warp.h - gathering the lanes of a warp collective.
#ifndef HEDDLE_SIMT_WARP_H
#define HEDDLE_SIMT_WARP_H

#include "simt_block.h"

namespace simt {

// What a collective does once all its lanes have come: reads the lanes' data, writes their results.
// `operation` is the same for every lane, or the lanes are not in the same collective.
using Compute = void (*)(Warp &warp, uint32_t mask, unsigned operation);

// The running thread brings data() to the collective `name` that returns to `site`, and gets the result
// in the same place. Faults unless every lane of the mask is there, each with this mask and this call.
LaneData &gather(const void *site, const char *name, uint32_t mask, unsigned operation, Compute compute);

// Where the running thread leaves what it brings, before gather().
inline LaneData &lane_data() { return running->block->warps[running->warp].lane[running->lane]; }

} // namespace simt

#endif
