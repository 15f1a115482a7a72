// shadow_cells.h - the marks of every granule of watched memory, and the windows that are watched.
#ifndef HEDDLE_SIMT_SHADOW_CELLS_H
#define HEDDLE_SIMT_SHADOW_CELLS_H

#include <array>
#include <cstddef>
#include <cstdint>

namespace simt::shadow {

// Windows as the callbacks test them; empty while the shadow is off.
struct Watch {
    uintptr_t device_begin, device_bytes;
    uintptr_t shared_begin, shared_bytes;
};
extern Watch watch;

enum AccessFlags : unsigned {
    kWrite   = 1,
    kSync    = 2, // atomic or volatile
    kAtomic  = 4, // reads and writes at once
    kTyped   = 8, // the size is that of a type, so the address must be its multiple
    kFlying  = 16 // the write happens at some time until it is waited for
};

inline bool watched(uintptr_t address)
{
    return address - watch.device_begin < watch.device_bytes ||
           address - watch.shared_begin < watch.shared_bytes;
}

// Looks at an access of the running thread to watched memory; `pc` is a return address in the kernel.
void check_access(uintptr_t address, size_t bytes, unsigned flags, const void *pc);

// The same for a volatile access, which orders threads as a relaxed atomic does.
void volatile_access(const void *address, size_t bytes, bool is_write, const void *pc);

// Kernels compiled with callbacks are part of the process.
void found_instrumented_code();

// Memory begins or ends its life: what was known of it is void.
void forget_cells(uintptr_t begin, size_t bytes);

// Code addresses as the 16 bits that a mark holds; 0 is an unknown one.
constexpr size_t kPcIds = 1 << 16;
extern std::array<const void *, kPcIds> pc_of_id;
uint32_t intern_new_pc(const void *pc, size_t first_id);
inline uint32_t intern_pc(const void *pc)
{
    // Multiplied by the golden ratio, to spread neighbours.
    const size_t first_id = reinterpret_cast<uintptr_t>(pc) * 0x9e3779b97f4a7c15u >> 48;
    return pc_of_id[first_id] == pc ? uint32_t(first_id) : intern_new_pc(pc, first_id);
}
inline const void *interned_pc(uint32_t id) { return pc_of_id[id]; }

} // namespace simt::shadow

#endif
