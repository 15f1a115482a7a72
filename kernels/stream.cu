/*
 * stream.cu - streams, their scratch, copies, and events.
 *
 * Contract   include/heddle/device.h and backend.h: stream_*, upload, download, event_*.
 * Reference  host/cpu/cpu_stream.c; tests/test_cuda_device.c.
 * Source     CUDA Runtime API, "Stream Management", "Event Management".
 *
 * Mapping    No kernels. Own streams do not wait for CUDA's default stream. Scratch is taken when a stream is
 *            reserved and only grows; an outgrown block lives until the stream closes, since recordings name it.
 * Numerics   None.
 * Bound      Copies: the bus. Nothing waits but stream_wait and event_sync.
 */
#include "device.cuh"
#include "gemm_library.cuh"

struct hdl_backend_event {
    hdl_backend_device *device;
    cudaEvent_t         native;
};

namespace hdl {
namespace {

int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }
size_t  larger(size_t a, size_t b) { return a > b ? a : b; }

hdl_status new_stream(hdl_backend_device *device, cudaStream_t native, bool owned, hdl_backend_stream **stream)
{
    auto *made = static_cast<hdl_backend_stream *>(device->host->alloc(sizeof(hdl_backend_stream)));
    if (made == nullptr) return fail(device, HDL_ENOMEM, "stream: no memory for its header");
    made->device = device;
    made->native = native;
    made->owned  = owned;
    *stream      = made;
    return HDL_OK;
}

// Keeps the outgrown block where a recording still finds it.
hdl_status retire_scratch(hdl_backend_stream *stream)
{
    if (stream->scratch == nullptr) return HDL_OK;
    auto *kept = static_cast<hdl_retired_scratch *>(stream->device->host->alloc(sizeof(hdl_retired_scratch)));
    if (kept == nullptr) return fail(stream->device, HDL_ENOMEM, "reserve: no memory for a list entry");
    kept->next      = stream->retired;
    kept->block     = stream->scratch;
    kept->bytes     = stream->scratch_bytes;
    stream->retired = kept;
    stream->scratch = nullptr;
    return HDL_OK;
}

}  // namespace

hdl_status stream_create(hdl_backend_device *device, hdl_backend_stream **stream)
{
    const DeviceScope scope(device);
    cudaStream_t native = nullptr;
    hdl_status status   = device_load_kernels(device);
    if (status == HDL_OK)
        status = check(device, cudaStreamCreateWithFlags(&native, cudaStreamNonBlocking), "stream");
    if (status != HDL_OK) return status;
    status = new_stream(device, native, true, stream);
    if (status != HDL_OK) (void)cudaStreamDestroy(native);
    return status;
}

hdl_status stream_wrap(hdl_backend_device *device, void *native, hdl_backend_stream **stream)
{
    const hdl_status status = device_load_kernels(device);
    return status == HDL_OK ? new_stream(device, static_cast<cudaStream_t>(native), false, stream) : status;
}

hdl_status stream_reserve(hdl_backend_stream *stream, const hdl_stream_limits *asked)
{
    const hdl_stream_limits &old = stream->limits;
    hdl_stream_limits grown      = HDL_STREAM_LIMITS_INIT;       // what was promised once stays promised
    grown.M  = larger(asked->M, old.M);
    grown.K  = larger(asked->K, old.K);
    grown.N  = larger(asked->N, old.N);
    grown.V  = larger(asked->V, old.V);
    grown.Tk = larger(asked->Tk, old.Tk);
    grown.H  = larger(asked->H, old.H);
    grown.D  = larger(asked->D, old.D);
    const size_t bytes = larger(gemm_scratch_bytes(grown) + library_scratch_bytes(stream->device, grown),
                                larger(logit_scratch_bytes(stream->device, grown), attention_scratch_bytes(grown)));
    if (bytes > stream->scratch_bytes) {
        void *block       = nullptr;
        hdl_status status = device_alloc(stream->device, bytes, &block);
        if (status == HDL_OK) status = retire_scratch(stream);
        if (status != HDL_OK) {
            device_free(stream->device, block, bytes);
            return status;
        }
        stream->scratch       = static_cast<unsigned char *>(block);
        stream->scratch_bytes = bytes;
    }
    stream->limits = grown;
    return HDL_OK;
}

hdl_status scratch(hdl_backend_stream *stream, const char *op, size_t bytes, void **block)
{
    if (bytes > stream->scratch_bytes)
        return fail(stream->device, HDL_EWORKSPACE, "%s: %zu bytes of scratch needed, the stream was reserved for %zu",
                    op, bytes, stream->scratch_bytes);
    *block = stream->scratch;
    return HDL_OK;
}

void stream_close(hdl_backend_stream *stream)
{
    if (stream == nullptr) return;
    hdl_backend_device *device = stream->device;
    const DeviceScope scope(device);
    (void)cudaStreamSynchronize(stream->native);     // queued work may use the scratch
    device_free(device, stream->scratch, stream->scratch_bytes);
    while (stream->retired != nullptr) {
        hdl_retired_scratch *kept = stream->retired;
        stream->retired           = kept->next;
        device_free(device, kept->block, kept->bytes);
        device->host->free(kept);
    }
    if (stream->owned) (void)cudaStreamDestroy(stream->native);
    device->host->free(stream);
}

hdl_status stream_wait(hdl_backend_stream *stream)
{
    const DeviceScope scope(stream->device);
    return check(stream->device, cudaStreamSynchronize(stream->native), "wait");
}

hdl_status stream_upload(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    if (bytes == 0) return HDL_OK;
    const DeviceScope scope(stream->device);
    return check(stream->device, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream->native), "upload");
}

hdl_status stream_download(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    if (bytes == 0) return HDL_OK;
    const DeviceScope scope(stream->device);
    return check(stream->device, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream->native), "download");
}

hdl_status event_create(hdl_backend_device *device, hdl_backend_event **event)
{
    const DeviceScope scope(device);
    auto *made = static_cast<hdl_backend_event *>(device->host->alloc(sizeof(hdl_backend_event)));
    if (made == nullptr) return fail(device, HDL_ENOMEM, "event: no memory for its header");
    made->device            = device;
    const cudaError_t error = cudaEventCreateWithFlags(&made->native, cudaEventDisableTiming);
    const hdl_status status = check(device, error, "event");
    if (status == HDL_OK) *event = made;
    else device->host->free(made);
    return status;
}

void event_close(hdl_backend_event *event)
{
    if (event == nullptr) return;
    const DeviceScope scope(event->device);
    (void)cudaEventDestroy(event->native);
    event->device->host->free(event);
}

hdl_status event_record(hdl_backend_stream *stream, hdl_backend_event *event)
{
    const DeviceScope scope(stream->device);
    return check(stream->device, cudaEventRecord(event->native, stream->native), "event record");
}

hdl_status event_wait(hdl_backend_stream *stream, hdl_backend_event *event)
{
    const DeviceScope scope(stream->device);
    return check(stream->device, cudaStreamWaitEvent(stream->native, event->native, 0), "event wait");
}

hdl_status event_sync(hdl_backend_event *event)
{
    const DeviceScope scope(event->device);
    return check(event->device, cudaEventSynchronize(event->native), "event sync");
}

}  // namespace hdl
