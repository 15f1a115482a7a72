// simt_runtime_graph.cc - the CUDA runtime's functions for stream capture and graphs.
#include "simt_api.h"
#include "simt_graph.h"

using namespace simt;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
    return api("cudaStreamBeginCapture", kPlain, [&] {
        Stream *s = find_stream(stream, current_device());
        return s ? begin_capture(s, mode) : cudaErrorInvalidResourceHandle;
    });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    return api("cudaStreamEndCapture", kPlain, [&] {
        Stream *s = find_stream(stream, current_device());
        if (!s) return cudaErrorInvalidResourceHandle;
        return graph ? end_capture(s, graph) : cudaErrorInvalidValue;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status)
{
    return api("cudaStreamIsCapturing", kPlain, [&] {
        Stream *s = find_stream(stream, current_device());
        if (!s) return cudaErrorInvalidResourceHandle;
        if (refuse_legacy(s)) return cudaErrorStreamCaptureImplicit;
        *status = !s->capture          ? cudaStreamCaptureStatusNone
                  : s->capture->broken ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    return api("cudaGraphInstantiate", kPlain, [&] {
        if (!exec) return cudaErrorInvalidValue;
        if (flags & ~(unsigned long long)(cudaGraphInstantiateFlagUpload | cudaGraphInstantiateFlagUseNodePriority))
            return cudaErrorNotSupported;
        return instantiate_graph(graph, current_device(), exec);
    });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    return api("cudaGraphUpload", kPlain, [&] {
        if (!find_stream(stream, current_device())) return cudaErrorInvalidResourceHandle;
        return is_exec(exec) ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    return api("cudaGraphLaunch", kPlain, [&] {
        Stream *s = find_stream(stream, current_device());
        if (!s) return cudaErrorInvalidResourceHandle;
        if (refuse_legacy(s)) return cudaErrorStreamCaptureImplicit;
        return launch_exec(exec, s);
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return api("cudaGraphDestroy", kAfterError, [&] { return drop_graph(graph); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    return api("cudaGraphExecDestroy", kAfterError, [&] { return drop_exec(exec); });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    return api("cudaGraphGetNodes", kPlain, [&] {
        if (nodes || !count) return cudaErrorNotSupported; // the number of nodes, no handles
        return count_nodes(graph, count);
    });
}

} // extern "C"
