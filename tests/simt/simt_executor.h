// simt_executor.h - between the streams and the executor that runs what they hold.
#pragma once
#include "simt_queue.h"

namespace simt {

// What every host thread that waited has seen done.
std::vector<std::uint64_t> &host_clock();
void join_clock(std::vector<std::uint64_t> &seen, const Op &op);
void join_clock(std::vector<std::uint64_t> &seen, const std::vector<std::uint64_t> &more);
// A destroyed stream; the executor deletes it when its work is done.
void adopt_orphan(Stream *stream);
void release_stream_id(std::uint32_t id);
// A host thread has waited: host memory used by work that it has now seen is its own again.
void settle_host_uses();
// Something was queued: unless the policy is lazy, some work may run now.
void time_passes();

} // namespace simt
