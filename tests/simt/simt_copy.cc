// simt_copy.cc - a copy touches host memory when it runs, not when it is asked for; host code that relies on more is told.
//
// The bytes of the source are remembered at the call, so that a staging buffer rewritten too early is found
// (simt_host_use.cc). The destination of a download is poisoned at the call, so that an early look finds no old value.
#include "simt_copy.h"
#include "shadow.h"
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_host_use.h"
#include "simt_memory.h"
#include "simt_symbol.h"
#include <cstring>

namespace simt {
namespace {

constexpr unsigned char kPoison = 0xff;

std::string describe(const Copy &copy) { return std::string(copy.function) + " at " + source_line(copy.call_site); }

bool fails_by_request()
{
    cudaError_t asked = take_failure("copy");
    if (asked != cudaSuccess) fail_running_work(asked);
    return asked != cudaSuccess;
}

void run_copy(const Copy &copy, const void *from)
{
    if (fails_by_request()) return;
    if (is_device(copy.from)) shadow::range_access(copy.from, copy.bytes, false);
    if (is_device(copy.to)) shadow::range_access(copy.to, copy.bytes, true);
    std::memmove(copy.to, from, copy.bytes);
}

std::shared_ptr<HostUseHolder> hold(const Copy &copy, const void *host, std::vector<unsigned char> then)
{
    HostUse use{};
    use.base = static_cast<const unsigned char *>(host);
    use.bytes = copy.bytes;
    use.call_site = copy.call_site;
    use.what = describe(copy);
    use.then = std::move(then);
    use.pinned = is_pinned(host, copy.bytes);
    return std::make_shared<HostUseHolder>(std::move(use));
}

// Reads its source when it runs.
std::function<void()> prepare_upload(const Copy &copy)
{
    auto *from = static_cast<const unsigned char *>(copy.from);
    auto use = hold(copy, from, std::vector<unsigned char>(from, from + copy.bytes));
    return [copy, use] {
        use->run();
        run_copy(copy, copy.from);
    };
}

// Pageable memory that CUDA staged before it returned.
std::function<void()> prepare_staged(const Copy &copy)
{
    auto *from = static_cast<const unsigned char *>(copy.from);
    auto staged = std::make_shared<std::vector<unsigned char>>(from, from + copy.bytes);
    return [copy, staged] { run_copy(copy, staged->data()); };
}

std::function<void()> prepare_download(const Copy &copy)
{
    // Mapped memory may be in use by a kernel that is queued.
    if (!is_read_by_queued_copy(copy.to, copy.bytes) && !(pinned_flags(copy.to) & cudaHostAllocMapped))
        std::memset(copy.to, kPoison, copy.bytes);
    auto use = hold(copy, copy.to, {});
    return [copy, use] {
        run_copy(copy, copy.from);
        note_host_write(copy.to, copy.bytes);
        use->run();
    };
}

std::function<void()> prepare_device_copy(const Copy &copy)
{
    return [copy] { run_copy(copy, copy.from); };
}

// The direction that the pointers tell; false when `kind` says another.
bool resolve_kind(Copy &copy)
{
    bool to = is_device(copy.to), from = is_device(copy.from);
    cudaMemcpyKind real = to ? (from ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                             : (from ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
    bool agrees = copy.kind == cudaMemcpyDefault || copy.kind == real;
    copy.kind = real;
    return agrees;
}

cudaError_t check(Copy &copy)
{
    if (!copy.to || !copy.from) return cudaErrorInvalidValue;
    if (!resolve_kind(copy)) return cudaErrorInvalidMemcpyDirection;
    if (is_device(copy.to) && !inside_one_block(copy.to, copy.bytes)) return cudaErrorInvalidValue;
    if (is_device(copy.from) && !inside_one_block(copy.from, copy.bytes)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

unsigned device_mask(const void *a, const void *b)
{
    unsigned mask = 0;
    for (const void *p : {a, b})
        if (is_device(p)) mask |= 1u << device_of(p);
    return mask;
}

Node make_node(const Copy &copy, std::function<std::function<void()>()> prepare)
{
    Node node;
    node.what = describe(copy);
    node.devices = device_mask(copy.to, copy.from);
    node.prepare = std::move(prepare);
    return node;
}

// CUDA leaves open whether a copy of pageable memory waits; each answer is given now and then.
bool drawn_synchronous()
{
    PageablePolicy policy = config().pageable;
    return policy == PageablePolicy::staged || (policy == PageablePolicy::drawn && draw(2) == 0);
}

} // namespace

cudaError_t copy_async(Stream *stream, Copy copy)
{
    if (copy.bytes == 0) return cudaSuccess;
    cudaError_t error = check(copy);
    if (error != cudaSuccess) return error;
    switch (copy.kind) {
    case cudaMemcpyHostToHost: // synchronous, by the manual
        if (refuse_wait(stream)) return cudaErrorStreamCaptureUnsupported;
        run_until(stream->tail);
        std::memmove(copy.to, copy.from, copy.bytes);
        return device_error(stream->device);
    case cudaMemcpyHostToDevice:
        if (!stream->capture && !is_pinned(copy.from, copy.bytes) && drawn_synchronous())
            return submit(stream, make_node(copy, [copy] { return prepare_staged(copy); }));
        return submit(stream, make_node(copy, [copy] { return prepare_upload(copy); }));
    case cudaMemcpyDeviceToHost:
        error = submit(stream, make_node(copy, [copy] { return prepare_download(copy); }));
        if (error != cudaSuccess || stream->capture || is_pinned(copy.to, copy.bytes) || !drawn_synchronous()) return error;
        run_until(stream->tail);
        return device_error(stream->device);
    default:
        return submit(stream, make_node(copy, [copy] { return prepare_device_copy(copy); }));
    }
}

cudaError_t copy_now(Stream *stream, Copy copy)
{
    if (copy.bytes == 0) return cudaSuccess;
    cudaError_t error = check(copy);
    if (error != cudaSuccess) return error;
    std::function<std::function<void()>()> prepare;
    switch (copy.kind) {
    case cudaMemcpyHostToHost: prepare = [copy] { return prepare_device_copy(copy); }; break;
    case cudaMemcpyDeviceToHost: prepare = [copy] { return prepare_download(copy); }; break;
    case cudaMemcpyHostToDevice: prepare = [copy] { return prepare_staged(copy); }; break;
    default: prepare = [copy] { return prepare_device_copy(copy); }; break;
    }
    // From pageable memory: returns once the source is staged, perhaps before it has arrived.
    bool returns_early = copy.kind == cudaMemcpyDeviceToDevice ||
                         (copy.kind == cudaMemcpyHostToDevice && !is_pinned(copy.from, copy.bytes));
    if (copy.kind == cudaMemcpyHostToDevice) run_until(stream->tail);
    error = submit(stream, make_node(copy, std::move(prepare)));
    if (error == cudaSuccess && !returns_early) run_until(stream->tail);
    return error == cudaSuccess ? device_error(stream->device) : error;
}

cudaError_t fill(Stream *stream, void *to, int value, std::size_t bytes, const char *function, const void *call_site)
{
    if (bytes == 0) return cudaSuccess;
    if (is_device(to) ? !inside_one_block(to, bytes) : !is_pinned(to, bytes)) return cudaErrorInvalidValue;
    Copy place{to, to, bytes, cudaMemcpyDeviceToDevice, function, call_site};
    return submit(stream, make_node(place, [place, value]() -> std::function<void()> {
                      return [place, value] {
                          if (fails_by_request()) return;
                          if (is_device(place.to)) shadow::range_access(place.to, place.bytes, true);
                          std::memset(place.to, value, place.bytes);
                          if (!is_device(place.to)) note_host_write(place.to, place.bytes);
                      };
                  }));
}

} // namespace simt
