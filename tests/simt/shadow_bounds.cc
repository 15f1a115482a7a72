// shadow_bounds.cc - allocations and carved tensors, kept twice: as bytes to test and as a map to explain.
#include "shadow_bounds.h"
#include "shadow.h"
#include "shadow_cells.h"
#include "shadow_reserve.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

namespace simt::shadow {

unsigned char *valid_bytes = nullptr;
uintptr_t valid_begin      = 0;

namespace {

struct Tensor {
    size_t bytes;
    std::string name;
};

struct Allocation {
    size_t bytes;
    bool freed  = false;
    bool carved = false;                 // only `tensors` may be touched
    std::map<uintptr_t, Tensor> tensors; // those given back too
};

std::map<uintptr_t, Allocation> allocations; // freed ones too, until their place is taken
std::mutex lock;                             // hosts carve while kernels run

void set_valid(uintptr_t begin, size_t bytes, bool valid)
{
    if (!valid_bytes || bytes == 0) return;
    const size_t offset = begin - valid_begin;
    const size_t first = offset / kUnitBytes, whole = (offset + bytes) / kUnitBytes;
    if (whole > first) memset(valid_bytes + first, valid ? int(kUnitBytes) : 0, whole - first);
    const size_t rest = (offset + bytes) % kUnitBytes;
    if (rest) valid_bytes[whole] = valid ? static_cast<unsigned char>(rest) : 0;
}

// The entry that begins at or before `address`.
template <class Map> auto at_or_before(Map &map, uintptr_t address)
{
    auto after = map.upper_bound(address);
    return after == map.begin() ? map.end() : std::prev(after);
}

Allocation *allocation_of(uintptr_t address, uintptr_t &begin)
{
    auto found = at_or_before(allocations, address);
    if (found == allocations.end()) return nullptr;
    begin = found->first;
    return &found->second;
}

void describe_tensor(const Allocation &allocation, uintptr_t address, char *text, size_t text_bytes)
{
    auto before = at_or_before(allocation.tensors, address);
    if (before == allocation.tensors.end()) {
        snprintf(text, text_bytes, "before the first tensor of its allocation");
        return;
    }
    const Tensor &tensor  = before->second;
    const uintptr_t place = address - before->first;
    if (place >= tensor.bytes)
        snprintf(text, text_bytes, "%zu bytes past the end of tensor '%s' (%zu bytes)",
                 size_t(place - tensor.bytes), tensor.name.c_str(), tensor.bytes);
    else
        snprintf(text, text_bytes, "byte %zu of %s '%s' (%zu bytes)", size_t(place),
                 may_touch(address, 1) ? "tensor" : "a tensor given back,", tensor.name.c_str(),
                 tensor.bytes);
}

} // namespace

void bounds_reserve(uintptr_t begin, size_t bytes)
{
    valid_begin = begin;
    valid_bytes = static_cast<unsigned char *>(reserve_zeroed(bytes / kUnitBytes + 1));
}

void describe_place(uintptr_t address, char *text, size_t text_bytes)
{
    const std::lock_guard<std::mutex> hold(lock);
    uintptr_t begin              = 0;
    const Allocation *allocation = allocation_of(address, begin);
    if (!allocation) {
        snprintf(text, text_bytes, "before every allocation");
        return;
    }
    const size_t place = address - begin;
    if (place >= allocation->bytes)
        snprintf(text, text_bytes, "%zu bytes past the end of an allocation of %zu bytes",
                 place - allocation->bytes, allocation->bytes);
    else if (allocation->freed)
        snprintf(text, text_bytes, "byte %zu of a freed allocation of %zu bytes", place,
                 allocation->bytes);
    else if (allocation->carved)
        describe_tensor(*allocation, address, text, text_bytes);
    else
        snprintf(text, text_bytes, "byte %zu of an allocation of %zu bytes", place,
                 allocation->bytes);
}

void alloc(const void *base, size_t bytes)
{
    const auto begin = reinterpret_cast<uintptr_t>(base);
    const std::lock_guard<std::mutex> hold(lock);
    auto old = allocations.lower_bound(begin);
    while (old != allocations.end() && old->first < begin + std::max<size_t>(bytes, 1))
        old = allocations.erase(old);
    allocations[begin] = {bytes, false, false, {}};
    set_valid(begin, bytes, true);
    forget_cells(begin, bytes);
}

void release(const void *base, size_t bytes)
{
    const auto begin = reinterpret_cast<uintptr_t>(base);
    const std::lock_guard<std::mutex> hold(lock);
    auto found = allocations.find(begin);
    if (found != allocations.end()) found->second.freed = true;
    set_valid(begin, bytes, false);
    forget_cells(begin, bytes);
}

} // namespace simt::shadow

using namespace simt::shadow;

void hdl_simt_carve(void *base, size_t bytes, const char *name)
{
    const auto at = reinterpret_cast<uintptr_t>(base);
    const std::lock_guard<std::mutex> hold(lock);
    uintptr_t begin        = 0;
    Allocation *allocation = allocation_of(at, begin);
    if (!allocation || allocation->freed || at - begin + bytes > allocation->bytes) return;
    if (!allocation->carved) set_valid(begin, allocation->bytes, false);
    allocation->carved = true;
    auto old           = allocation->tensors.lower_bound(at);
    while (old != allocation->tensors.end() && old->first < at + bytes)
        old = allocation->tensors.erase(old);
    allocation->tensors[at] = {bytes, name ? name : ""};
    set_valid(at, bytes, true);
}

void hdl_simt_uncarve(void *base)
{
    const auto at = reinterpret_cast<uintptr_t>(base);
    const std::lock_guard<std::mutex> hold(lock);
    uintptr_t begin        = 0;
    Allocation *allocation = allocation_of(at, begin);
    if (!allocation) return;
    auto tensor = allocation->tensors.find(at);
    if (tensor != allocation->tensors.end()) set_valid(at, tensor->second.bytes, false);
}
