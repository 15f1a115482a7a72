// simt_device_use.h - which queued work was given which device memory, for the moment when that memory is freed.
#pragma once
#include "simt_queue.h"

namespace simt {

// The op was queued; its arguments are searched for pointers when memory is freed.
void note_device_use(const OpRef &op);
// Device memory is given back: a fault when work that has run used it and no host thread has waited for that work. Work
// that has not run yet is left to the race detector, which then names the line of the kernel that touches freed memory.
void check_device_release(const void *base, std::size_t bytes, const void *call_site);
// Forgets work that the host has waited for.
void settle_device_uses();
void forget_device_uses();

} // namespace simt
