// simt_host_use.cc - finds a staging buffer that the host rewrote before it had waited for the copy.
//
// The source of an upload is compared with what it was at the call twice: when the copy runs, and when a host thread has
// waited for it. So the fault is found whether the copy happened to run early or late.
#include "simt_host_use.h"
#include "simt_executor.h"
#include "simt_fault.h"
#include <algorithm>
#include <cstring>
#include <list>

namespace simt {
namespace {

using HostUses = std::list<std::shared_ptr<HostUse>>;

HostUses &host_uses()
{
    static auto *const list = new HostUses;
    return *list;
}

bool overlaps(const HostUse &use, const void *p, std::size_t bytes)
{
    auto *base = static_cast<const unsigned char *>(p);
    return base < use.base + use.bytes && use.base < base + bytes;
}

void check_source(HostUse &use, const char *when)
{
    if (use.then.empty() || use.rewritten || std::memcmp(use.base, use.then.data(), use.bytes) == 0) return;
    std::size_t at = std::size_t(std::mismatch(use.then.begin(), use.then.end(), use.base).first - use.then.begin());
    use.rewritten = true; // told once
    fault_at(use.call_site, "the host changed byte %zu of the %zu bytes at %p, the source of %s, before %s", at, use.bytes,
             static_cast<const void *>(use.base), use.what.c_str(), when);
}

} // namespace

HostUseHolder::HostUseHolder(HostUse use) : use_(std::make_shared<HostUse>(std::move(use)))
{
    host_uses().push_back(use_);
}

HostUseHolder::~HostUseHolder()
{
    // Pageable memory may be gone by the time of a wait, so only pinned memory is looked at again.
    if (!use_->ran || !use_->pinned) host_uses().remove(use_);
}

void HostUseHolder::run()
{
    check_source(*use_, "the copy had run");
    use_->ran = true;
    use_->stream = running_op()->stream;
    use_->index = running_op()->index;
}

void note_host_write(const void *p, std::size_t bytes)
{
    for (const auto &use : host_uses())
        if (overlaps(*use, p, bytes)) use->rewritten = true;
}

bool is_read_by_queued_copy(const void *p, std::size_t bytes)
{
    return std::any_of(host_uses().begin(), host_uses().end(), [&](const std::shared_ptr<HostUse> &use) {
        return !use->ran && !use->then.empty() && overlaps(*use, p, bytes);
    });
}

void check_host_release(const void *p, std::size_t bytes, const void *call_site)
{
    bool told = false;
    for (auto it = host_uses().begin(); it != host_uses().end();) {
        const auto at = it++;
        const std::shared_ptr<HostUse> use = *at;
        if (!overlaps(*use, p, bytes)) continue;
        if (!told)
            fault_at(call_site, "the pinned memory at %p is given back before the host has waited for %s", p,
                     use->what.c_str());
        told = true;
        if (use->ran) host_uses().erase(at);
    }
}

void settle_host_uses()
{
    for (auto it = host_uses().begin(); it != host_uses().end();) {
        const auto at = it++;
        const std::shared_ptr<HostUse> use = *at;
        if (!use->ran || !host_has_seen(use->stream, use->index)) continue;
        check_source(*use, "it had waited for the copy");
        host_uses().erase(at);
    }
}

void forget_host_uses()
{
    host_uses().remove_if([](const std::shared_ptr<HostUse> &use) { return use->ran; });
}

} // namespace simt
