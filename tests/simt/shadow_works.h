// shadow_works.h - the order between pieces of work: kernels and copies in streams.
#ifndef HEDDLE_SIMT_SHADOW_WORKS_H
#define HEDDLE_SIMT_SHADOW_WORKS_H

#include "shadow_order.h"

namespace simt::shadow {

// The running work as one that accesses memory itself, for copies and fills.
Here here_of_work();

// A grid begins. One that belongs to no stream comes after all work before it.
void work_has_grid();

// Accesses with a serial below this come before the running work, whatever their stream.
extern uint32_t settled;
inline uint32_t settled_serial() { return settled; }
// Whether the work that the serial belongs to comes before the running one.
bool work_ordered(uint32_t serial);

// "kernel norm<float> on stream 3" of the work that the serial belongs to.
void describe_work(uint32_t serial, char *text, size_t text_bytes);

} // namespace simt::shadow

#endif
