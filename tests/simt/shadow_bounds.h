// shadow_bounds.h - which bytes of device memory may be touched: allocations, and the tensors carved in them.
#ifndef HEDDLE_SIMT_SHADOW_BOUNDS_H
#define HEDDLE_SIMT_SHADOW_BOUNDS_H

#include <cstddef>
#include <cstdint>

namespace simt::shadow {

constexpr size_t kUnitBytes = 16; // granularity: tensors and allocations begin at multiples of it

// For each unit of device memory, how many of its leading bytes may be touched.
extern unsigned char *valid_bytes;
extern uintptr_t valid_begin;

void bounds_reserve(uintptr_t begin, size_t bytes);

// Whether all of [address, address + bytes) may be touched. For up to 16 bytes two looks suffice.
inline bool may_touch(uintptr_t address, size_t bytes)
{
    const uintptr_t offset = address - valid_begin, end = offset + bytes;
    for (uintptr_t unit = offset / kUnitBytes; unit * kUnitBytes < end; unit++) {
        const uintptr_t in_unit = end - unit * kUnitBytes;
        if (valid_bytes[unit] < (in_unit < kUnitBytes ? in_unit : kUnitBytes)) return false;
    }
    return true;
}

// "8 bytes past the end of tensor 'keys' (640 bytes)": where an address lies, for a fault line.
void describe_place(uintptr_t address, char *text, size_t text_bytes);

} // namespace simt::shadow

#endif
