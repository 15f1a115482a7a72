// shadow_reserve.h - the shadow's own memory: large, of zeros, and real only where it is written.
#ifndef HEDDLE_SIMT_SHADOW_RESERVE_H
#define HEDDLE_SIMT_SHADOW_RESERVE_H

#include <cstddef>

namespace simt::shadow {

// Null when the address space has no room for it.
void *reserve_zeroed(size_t bytes);

// Sets reserved memory to zero again, giving back what it can.
void zero_reserved(void *begin, size_t bytes);

} // namespace simt::shadow

#endif
