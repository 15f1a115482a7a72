// simt_stream.h - what the device side and the race detector know of streams: how a launch is queued, when work runs.
#pragma once
#include <cstdint>
#include <driver_types.h>
#include <functional>
#include <vector>

namespace simt {

// What a launch passes by value: the bytes of each argument as the kernel will see them.
struct Argument {
    std::uint32_t offset, bytes;
};
struct ArgumentImage {
    std::vector<unsigned char> bytes;
    std::vector<Argument> parts;
};

// Checks a launch as the driver would and queues or records it. `name` null: looked up from `function`.
cudaError_t enqueue_launch(const cudaLaunchConfig_t &config, const char *name, const void *function,
                           std::function<void()> body, ArgumentImage arguments = {});

// Where a piece of work stands among all work: (s, i) comes before it when s < seen_count and i <= seen[s].
struct WorkClock {
    std::uint32_t stream;
    std::uint64_t index; // in its stream, from 1
    const std::uint64_t *seen;
    std::uint32_t seen_count;
    const char *what; // "kernel NAME", "cudaMemcpyAsync at FILE:LINE"
};

// Whether some host thread has waited for that work: only then may the host reuse what the work touches.
bool host_has_seen(std::uint32_t stream, std::uint64_t index);

} // namespace simt
