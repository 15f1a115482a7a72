// shadow.h - the detector behind every load and store of a kernel: races, bounds, uninitialised reads.
//
// Kernels are compiled with g++ -fsanitize=thread; the calls that the compiler puts before each access
// (callbacks.cc) end here instead of in libtsan. For every four bytes of device memory and of the shared
// memory of resident blocks the shadow holds the last write and the last reads: by whom, and when in the
// order that barriers, __syncwarp, fences with atomics, and streams give. An access that this order does
// not place after the one before it, one of the two a write, is a race.
//
// What it cannot see: for a granule one write is kept, and of several readers the last by name and how far
// the others are spread, so a race may need another schedule to show. Two threads that write the same value
// to one place race like any two. A memcpy of more than 16 bytes that the compiler expands in place is not
// watched; an assignment of a structure is.
//
// The environment variable SIMT_SHADOW=0 turns it off. It is also off when no kernel was compiled with
// the callbacks, because half a picture would report errors that are none.
#ifndef HEDDLE_SIMT_SHADOW_H
#define HEDDLE_SIMT_SHADOW_H

#include <cstddef>
#include <cstdint>

namespace simt {

struct WorkClock;

namespace shadow {

// Memory that is watched: one reservation for all device memory, one for all slots of shared memory.
// Each is told once, before its first use.
void set_device_window(const void *base, size_t bytes);
void set_shared_window(const void *base, size_t bytes);

// ---- told by the grid's scheduler -------------------------------------------------------------------

void grid_begin();
void grid_end();
// A block takes a slot; its shared memory, inside the shared window, counts as never written.
void block_begin(uint64_t block_serial, unsigned slot, const void *smem_base, size_t smem_bytes,
                 unsigned n_threads);
void block_end(unsigned slot);
// Every thread of the block arrived at its barrier, or every lane of the mask at its __syncwarp: called
// once, before any of them goes on.
void block_barrier(unsigned slot);
void warp_sync(unsigned slot, unsigned warp, uint32_t mask);

// ---- told about the running thread (simt::running) --------------------------------------------------

// An access by code that was not compiled with the callbacks. `pc` is a return address in the kernel.
void access(const void *address, size_t bytes, bool is_write, const void *pc);
void fence(bool block_only);
// Called before the atomic's effect.
void atomic(const void *address, size_t bytes, const void *pc);
// Between the two nobody may touch the destination. Landed: the issuing thread's wait covers the copy.
void async_write_issued(const void *destination, size_t bytes, const void *pc);
void async_write_landed(const void *destination, size_t bytes);

// ---- told by memory and streams ---------------------------------------------------------------------

void alloc(const void *base, size_t bytes);
void release(const void *base, size_t bytes);
// Work that touches device memory: a kernel, a copy, a fill. One runs at a time.
void stream_work_begin(const WorkClock &clock);
void stream_work_end();
// What the work touches as a whole, kernels apart.
void range_access(const void *address, size_t bytes, bool is_write);

} // namespace shadow
} // namespace simt

// Marks a part of an allocation as a tensor of its own. From the first carve on only carved parts of that
// allocation may be touched, until it is released; a part that was given back may not be touched either.
extern "C" __attribute__((visibility("default"))) void hdl_simt_carve(void *base, size_t bytes,
                                                                     const char *name);
extern "C" __attribute__((visibility("default"))) void hdl_simt_uncarve(void *base);

#endif
