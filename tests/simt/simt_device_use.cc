// simt_device_use.cc - finds memory that was freed while a kernel may still use it, also when the kernel happened to run early.
#include "simt_device_use.h"
#include "simt_fault.h"
#include <algorithm>
#include <cstring>

namespace simt {
namespace {

std::vector<OpRef> &uses()
{
    static auto *const list = new std::vector<OpRef>;
    return *list;
}

// An aligned word of the arguments, or of a struct passed by value, is an address in [base, base + bytes).
bool points_into(const ArgumentImage &arguments, std::uintptr_t base, std::size_t bytes)
{
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= arguments.bytes.size(); at += sizeof(std::uintptr_t)) {
        std::uintptr_t word;
        std::memcpy(&word, arguments.bytes.data() + at, sizeof word);
        if (word - base < bytes) return true;
    }
    return false;
}

} // namespace

void note_device_use(const OpRef &op)
{
    if (op->work.arguments) uses().push_back(op);
}

void check_device_release(const void *base, std::size_t bytes, const void *call_site)
{
    for (const OpRef &op : uses()) {
        if (!op->done || host_has_seen(op->stream, op->index)) continue;
        if (!points_into(*op->work.arguments, reinterpret_cast<std::uintptr_t>(base), bytes)) continue;
        fault_at(call_site, "the device memory at %p (%zu bytes) is given back before the host has waited for %s", base, bytes,
                 op->work.what.c_str());
        return;
    }
}

void settle_device_uses()
{
    auto is_seen = [](const OpRef &op) { return host_has_seen(op->stream, op->index); };
    uses().erase(std::remove_if(uses().begin(), uses().end(), is_seen), uses().end());
}

void forget_device_uses() { uses().clear(); }

} // namespace simt
