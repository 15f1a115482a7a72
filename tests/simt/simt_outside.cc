// simt_outside.cc - work of a library outside the stand-in: queued, recorded and watched as its own kernels are.
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_hooks.h"
#include "simt_memory.h"
#include "shadow.h"

using namespace simt;

namespace {

struct Outside {
    std::vector<simt_part> parts;
    void (*run)(const void *);
    std::vector<unsigned char> user;
};

void run_outside(const Outside &work)
{
    const cudaError_t asked = take_failure("kernel");
    if (asked != cudaSuccess) return fail_running_work(asked);
    for (const simt_part &part : work.parts) shadow::range_access(part.base, part.bytes, part.writes != 0);
    work.run(work.user.data());
}

} // namespace

extern "C" int simt_queue_work(void *handle, const char *what, const simt_part *parts, int n, void (*run)(const void *),
                               const void *user, size_t user_bytes)
{
    return api("cudaLaunchKernelEx", kPlain, [&] {
        Stream *stream = find_stream(static_cast<cudaStream_t>(handle), current_device());
        if (!stream || stream->device != current_device()) return cudaErrorInvalidResourceHandle;
        const auto *bytes = static_cast<const unsigned char *>(user);
        const Outside work{{parts, parts + n}, run, {bytes, bytes + user_bytes}};
        Node node;
        node.what = what;
        for (const simt_part &part : work.parts) {
            if (!is_device(part.base) || !inside_one_block(part.base, part.bytes)) return cudaErrorInvalidValue;
            node.devices |= 1u << device_of(part.base);
        }
        node.prepare = [work]() -> std::function<void()> { return [work] { run_outside(work); }; };
        return submit(stream, std::move(node));
    });
}
