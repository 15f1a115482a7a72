// simt_runtime.cc - the CUDA runtime's functions for memory, copies, streams and events.
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_config.h"
#include "simt_copy.h"
#include "simt_device_use.h"
#include "simt_host_use.h"
#include "simt_memory.h"

using namespace simt;

namespace {

// The stream of a call, or null and the error.
Stream *stream_of(cudaStream_t handle) { return find_stream(handle, current_device()); }

// A wait of the host for one point of a device's work.
cudaError_t wait_for(const OpRef &op, int device)
{
    run_until(op);
    return device_error(device);
}

} // namespace

extern "C" {

// ---- memory ----------------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void **block, size_t bytes)
{
    return api("cudaMalloc", kUnsafeInCapture, [&] {
        return block ? device_alloc(current_device(), bytes, block) : cudaErrorInvalidValue;
    });
}

cudaError_t cudaFree(void *block)
{
    const void *site = __builtin_return_address(0);
    return api("cudaFree", kUnsafeInCapture | kAfterError, [&] {
        check_device_release(block, device_bytes(block), site);
        return device_release(block);
    });
}

cudaError_t cudaHostAlloc(void **block, size_t bytes, unsigned flags)
{
    return api("cudaHostAlloc", kUnsafeInCapture, [&] {
        return block ? pinned_alloc(bytes, flags, block) : cudaErrorInvalidValue;
    });
}

cudaError_t cudaMallocHost(void **block, size_t bytes)
{
    return api("cudaMallocHost", kUnsafeInCapture, [&] {
        return block ? pinned_alloc(bytes, cudaHostAllocDefault, block) : cudaErrorInvalidValue;
    });
}

cudaError_t cudaFreeHost(void *block)
{
    const void *site = __builtin_return_address(0);
    return api("cudaFreeHost", kUnsafeInCapture | kAfterError, [&] {
        check_host_release(block, pinned_bytes(block), site);
        return pinned_release(block);
    });
}

cudaError_t cudaHostRegister(void *block, size_t bytes, unsigned flags)
{
    return api("cudaHostRegister", kUnsafeInCapture, [&] { return pinned_register(block, bytes, flags); });
}

cudaError_t cudaHostUnregister(void *block)
{
    const void *site = __builtin_return_address(0);
    return api("cudaHostUnregister", kUnsafeInCapture | kAfterError, [&] {
        check_host_release(block, pinned_bytes(block), site);
        return pinned_unregister(block);
    });
}

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags)
{
    return api("cudaHostGetDevicePointer", kPlain, [&] {
        if (!device || flags || !is_pinned(host, 1)) return cudaErrorInvalidValue;
        return *device = host, cudaSuccess;
    });
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    return api("cudaMemGetInfo", kPlain, [&] {
        *total_bytes = config().memory_bytes;
        *free_bytes = *total_bytes - device_used_bytes(current_device());
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer)
{
    return api("cudaPointerGetAttributes", kPlain, [&] {
        *attributes = cudaPointerAttributes{};
        bool device = is_device(pointer), pinned = !device && is_pinned(pointer, 1);
        attributes->type = device ? cudaMemoryTypeDevice : pinned ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
        attributes->device = device ? device_of(pointer) : pinned ? current_device() : cudaInvalidDeviceId;
        if (device || pinned) attributes->devicePointer = const_cast<void *>(pointer);
        if (pinned) attributes->hostPointer = const_cast<void *>(pointer);
        return cudaSuccess;
    });
}

// ---- copies ----------------------------------------------------------------------------------------------------------

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    Copy copy{to, from, bytes, kind, "cudaMemcpy", __builtin_return_address(0)};
    return api("cudaMemcpy", kUnsafeInCapture, [&] { return copy_now(stream_of(nullptr), copy); });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    Copy copy{to, from, bytes, kind, "cudaMemcpyAsync", __builtin_return_address(0)};
    return api("cudaMemcpyAsync", kPlain, [&] {
        Stream *s = stream_of(stream);
        return s ? copy_async(s, copy) : cudaErrorInvalidResourceHandle;
    });
}

cudaError_t cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t bytes, cudaStream_t stream)
{
    Copy copy{to, from, bytes, cudaMemcpyDeviceToDevice, "cudaMemcpyPeerAsync", __builtin_return_address(0)};
    return api("cudaMemcpyPeerAsync", kPlain, [&] {
        Stream *s = stream_of(stream);
        if (!s) return cudaErrorInvalidResourceHandle;
        if (!is_device(to) || !is_device(from)) return cudaErrorInvalidValue;
        if (device_of(to) != to_device || device_of(from) != from_device) return cudaErrorInvalidDevice;
        return copy_async(s, copy);
    });
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    const void *site = __builtin_return_address(0);
    return api("cudaMemset", kUnsafeInCapture, [&] {
        Stream *s = stream_of(nullptr);
        cudaError_t error = fill(s, to, value, bytes, "cudaMemset", site);
        return error == cudaSuccess && !is_device(to) ? wait_for(s->tail, s->device) : error;
    });
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    const void *site = __builtin_return_address(0);
    return api("cudaMemsetAsync", kPlain, [&] {
        Stream *s = stream_of(stream);
        return s ? fill(s, to, value, bytes, "cudaMemsetAsync", site) : cudaErrorInvalidResourceHandle;
    });
}

// ---- streams ---------------------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    return api("cudaStreamCreateWithPriority", kPlain, [&] {
        if (!stream || (flags & ~unsigned(cudaStreamNonBlocking))) return cudaErrorInvalidValue;
        *stream = reinterpret_cast<cudaStream_t>(make_stream(current_device(), flags, priority));
        return cudaSuccess;
    });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return api("cudaStreamCreateWithFlags", kPlain, [&] {
        if (!stream || (flags & ~unsigned(cudaStreamNonBlocking))) return cudaErrorInvalidValue;
        *stream = reinterpret_cast<cudaStream_t>(make_stream(current_device(), flags, 0));
        return cudaSuccess;
    });
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    return api("cudaStreamDestroy", kAfterError, [&] {
        Stream *s = stream ? stream_of(stream) : nullptr;
        if (!s || s->legacy) return cudaErrorInvalidResourceHandle;
        leave_capture(s);
        drop_stream(s);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return api("cudaStreamSynchronize", kPlain, [&] {
        Stream *s = stream_of(stream);
        if (!s) return cudaErrorInvalidResourceHandle;
        if (refuse_wait(s)) return cudaErrorStreamCaptureUnsupported;
        if (refuse_legacy(s)) return cudaErrorStreamCaptureImplicit;
        return wait_for(s->tail, s->device);
    });
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    return api("cudaStreamQuery", kPlain, [&] {
        Stream *s = stream_of(stream);
        if (!s) return cudaErrorInvalidResourceHandle;
        if (refuse_wait(s)) return cudaErrorStreamCaptureUnsupported;
        bool done = poll(s->tail);
        cudaError_t error = device_error(s->device);
        return error != cudaSuccess ? error : done ? cudaSuccess : cudaErrorNotReady;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    return api("cudaStreamWaitEvent", kPlain, [&] {
        Stream *s = stream_of(stream);
        Event *e = find_event(event);
        if (!s || !e) return cudaErrorInvalidResourceHandle;
        // Inside a capture an external event would be a node of its own; nothing of ours uses that.
        if (flags != cudaEventWaitDefault) return cudaErrorNotSupported;
        if (e->capture_id || s->capture) return capture_wait(s, *e);
        if (e->point) enqueue(s, {"cudaStreamWaitEvent", nullptr, 0}, {e->point});
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceSynchronize(void)
{
    return api("cudaDeviceSynchronize", kUnsafeInCapture, [&] {
        run_all(current_device());
        return device_error(current_device());
    });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    constexpr int kGreatest = -5; // as devices of the capability we play answer
    return api("cudaDeviceGetStreamPriorityRange", kPlain, [&] {
        if (least) *least = 0;
        if (greatest) *greatest = kGreatest;
        return cudaSuccess;
    });
}

// ---- events ----------------------------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    return api("cudaEventCreateWithFlags", kPlain, [&] {
        if (!event) return cudaErrorInvalidValue;
        *event = reinterpret_cast<cudaEvent_t>(make_event(current_device(), flags));
        return cudaSuccess;
    });
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    return api("cudaEventDestroy", kAfterError, [&] {
        Event *e = find_event(event);
        if (!e) return cudaErrorInvalidResourceHandle;
        return drop_event(e), cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    return api("cudaEventRecord", kPlain, [&] {
        Stream *s = stream_of(stream);
        Event *e = find_event(event);
        if (!s || !e || e->device != s->device) return cudaErrorInvalidResourceHandle;
        if (s->capture) return capture_event(s, *e), cudaSuccess;
        if (refuse_legacy(s)) return cudaErrorStreamCaptureImplicit;
        e->capture_id = 0;
        e->nodes.clear();
        e->point = enqueue(s, {"cudaEventRecord", nullptr, 0});
        return cudaSuccess;
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return api("cudaEventSynchronize", kPlain, [&] {
        Event *e = find_event(event);
        if (!e) return cudaErrorInvalidResourceHandle;
        if (e->capture_id) return cudaErrorCapturedEvent;
        return wait_for(e->point, e->device);
    });
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    return api("cudaEventQuery", kUnsafeInCapture, [&] {
        Event *e = find_event(event);
        if (!e) return cudaErrorInvalidResourceHandle;
        if (e->capture_id) return cudaErrorCapturedEvent;
        bool done = poll(e->point);
        cudaError_t error = device_error(e->device);
        return error != cudaSuccess ? error : done ? cudaSuccess : cudaErrorNotReady;
    });
}

// Time on the stand-in says nothing; the call has its place in programs that measure, so it answers a positive number.
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    constexpr float kSomeTime = 0.001f;
    return api("cudaEventElapsedTime", kPlain, [&] {
        Event *a = find_event(start), *b = find_event(end);
        if (!a || !b || !a->point || !b->point) return cudaErrorInvalidResourceHandle;
        if ((a->flags | b->flags) & cudaEventDisableTiming) return cudaErrorInvalidResourceHandle;
        if (!a->point->done || !b->point->done) return cudaErrorNotReady;
        return *milliseconds = kSomeTime, cudaSuccess;
    });
}

} // extern "C"
