/*
 * graph.cu - recordings: a stretch of a stream captured as a CUDA graph, launched again by one call.
 *
 * Contract   include/heddle/device.h, hdl_record_*; backend.h: record_begin, record_end, replay, graph_close,
 *            graph_launches.
 * Reference  host/cpu/cpu_record.c; tests/test_cuda_device.c.
 * Source     CUDA Runtime API, "Graph Management", "Stream Management" (capture).
 *
 * Mapping    No kernels. Ops allocate nothing and set no attributes, so that capture needs no special case. A
 *            recording names the scratch of the stream that made it, which therefore has to live as long; replayed on
 *            another stream it waits for the maker's work, and the maker for it.
 * Numerics   None.
 * Bound      One graph launch, about 2 us of host time and 1 us a node on the device.
 */
#include "device.cuh"

struct hdl_backend_graph {
    hdl_backend_stream *maker;
    cudaGraphExec_t     ready;
    cudaEvent_t         turn;       // hands the scratch from stream to stream
    uint64_t            launches;   // kernels that one replay starts
};

namespace hdl {
namespace {

// `later` goes on only when all that `earlier` has queued is done.
cudaError_t order(hdl_backend_graph *graph, cudaStream_t earlier, cudaStream_t later)
{
    const cudaError_t error = cudaEventRecord(graph->turn, earlier);
    return error == cudaSuccess ? cudaStreamWaitEvent(later, graph->turn, 0) : error;
}

}  // namespace

hdl_status record_begin(hdl_backend_stream *stream)
{
    const DeviceScope scope(stream->device);
    stream->recorded_from = stream->launches;
    // thread-local: what other threads do meanwhile, allocations among it, is theirs
    return check(stream->device, cudaStreamBeginCapture(stream->native, cudaStreamCaptureModeThreadLocal),
                 "record begin");
}

hdl_status record_end(hdl_backend_stream *stream, hdl_backend_graph **graph)
{
    hdl_backend_device *device = stream->device;
    const DeviceScope scope(device);
    cudaGraph_t captured = nullptr;
    hdl_status status    = check(device, cudaStreamEndCapture(stream->native, &captured), "record end");
    if (status != HDL_OK) return status;
    auto *made = static_cast<hdl_backend_graph *>(device->host->alloc(sizeof(hdl_backend_graph)));
    if (made == nullptr) {
        status = fail(device, HDL_ENOMEM, "record end: no memory for its header");
    } else {
        made->maker    = stream;
        made->launches = stream->launches - stream->recorded_from;
        status         = check(device, cudaGraphInstantiate(&made->ready, captured, 0), "record end");
    }
    if (status == HDL_OK)
        status = check(device, cudaEventCreateWithFlags(&made->turn, cudaEventDisableTiming), "record end");
    (void)cudaGraphDestroy(captured);
    if (status == HDL_OK) *graph = made;
    else graph_close(made);
    return status;
}

hdl_status graph_replay(hdl_backend_stream *stream, hdl_backend_graph *graph)
{
    const DeviceScope scope(stream->device);
    const cudaStream_t maker = graph->maker->native;
    const bool away          = stream != graph->maker;
    cudaError_t error        = away ? order(graph, maker, stream->native) : cudaSuccess;
    if (error == cudaSuccess) error = cudaGraphLaunch(graph->ready, stream->native);
    if (error == cudaSuccess && away) error = order(graph, stream->native, maker);
    return check(stream->device, error, "replay");
}

uint64_t graph_launches(const hdl_backend_graph *graph) { return graph->launches; }

void graph_close(hdl_backend_graph *graph)
{
    if (graph == nullptr) return;
    hdl_backend_device *device = graph->maker->device;
    const DeviceScope scope(device);
    if (graph->ready != nullptr) (void)cudaGraphExecDestroy(graph->ready);
    if (graph->turn != nullptr) (void)cudaEventDestroy(graph->turn);
    device->host->free(graph);
}

}  // namespace hdl
