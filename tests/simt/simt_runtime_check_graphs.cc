// simt_runtime_check_graphs.cc - capture and graphs: replay, branches, and every way in which a capture breaks.
#include "simt_hooks.h"
#include "simt_runtime_check.h"

namespace runtime_check {
namespace {

// Begins on `one`, forks to `two`, joins: c = (a + 1) on one, b = (a + 2) on two, a = b - c + ... by the caller.
cudaGraph_t record_fork(Bench &t, bool join)
{
    cudaGraph_t graph = nullptr;
    cudaEvent_t back;
    cudaEventCreateWithFlags(&back, cudaEventDisableTiming);
    check_error(cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal), cudaSuccess, "begin");
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    cudaEventRecord(t.event, t.one);
    cudaStreamWaitEvent(t.two, t.event, 0);
    add_on(t.one, t.c, t.a, 1);
    add_on(t.two, t.b, t.a, 2);
    cudaEventRecord(back, t.two);
    if (join) cudaStreamWaitEvent(t.one, back, 0);
    if (join) add_on(t.one, t.c, t.b, 10);
    check_error(cudaStreamEndCapture(t.one, &graph), join ? cudaSuccess : cudaErrorStreamCaptureUnjoined, "end");
    cudaEventDestroy(back);
    return graph;
}

cudaStreamCaptureStatus status_of(cudaStream_t stream)
{
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusInvalidated;
    cudaStreamIsCapturing(stream, &status);
    return status;
}

// Ends a capture that `breaks` has broken.
void check_broken(Bench &t, cudaError_t found, cudaError_t wanted, const char *what)
{
    cudaGraph_t graph;
    check_error(found, wanted, what);
    check(status_of(t.one) == cudaStreamCaptureStatusInvalidated, "%s invalidates the capture", what);
    check_error(cudaStreamEndCapture(t.one, &graph), cudaErrorStreamCaptureInvalidated, what);
    check(graph == nullptr, "%s: no graph", what);
    check(status_of(t.one) == cudaStreamCaptureStatusNone, "%s: the stream captures no more", what);
    (void)cudaGetLastError();
}

} // namespace

void check_graphs()
{
    Bench t;
    cudaGraph_t graph = record_fork(t, true);
    check(status_of(t.two) == cudaStreamCaptureStatusNone, "a joined branch captures no more");
    size_t n_nodes = 0;
    cudaGraphGetNodes(graph, nullptr, &n_nodes);
    check(n_nodes == 4, "%zu nodes, wanted 4", n_nodes);
    cudaGraphExec_t exec;
    check_error(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess, "instantiate");
    check_error(cudaGraphDestroy(graph), cudaSuccess, "destroy the graph");
    check_error(cudaGraphUpload(exec, t.one), cudaSuccess, "upload");
    for (int round = 0; round < 3; ++round) {
        t.count_from(100 * round); // the copy reads its source at each launch
        check_error(cudaGraphLaunch(exec, round % 2 ? t.two : t.one), cudaSuccess, "launch");
        check(t.holds(t.c, 100 * round + 12), "round %d: both branches ran, the join waited", round);
    }
    // Launches of one graph follow each other, on whatever stream.
    cudaGraphLaunch(exec, t.one);
    cudaGraphLaunch(exec, t.two);
    cudaGraphExecDestroy(exec);
    check_error(cudaDeviceSynchronize(), cudaSuccess, "two launches");
    check(simt_faults() == 0, "graphs leave no fault");
    check_error(cudaGraphLaunch(exec, t.one), cudaErrorInvalidValue, "a destroyed graph");
    check_error(cudaGraphDestroy(graph), cudaErrorInvalidValue, "destroyed twice");
}

void check_capture_errors()
{
    Bench t;
    cudaGraph_t graph;
    void *block = nullptr;
    check_error(cudaStreamEndCapture(t.one, &graph), cudaErrorIllegalState, "end without begin");
    check_error(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed), cudaErrorStreamCaptureUnsupported,
                "capture of the legacy stream");
    record_fork(t, false);
    check(status_of(t.two) == cudaStreamCaptureStatusNone, "an unjoined branch is let go");

    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal);
    check_error(cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal), cudaErrorIllegalState, "begin twice");
    check_broken(t, cudaStreamSynchronize(t.one), cudaErrorStreamCaptureUnsupported, "a wait");
    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal);
    check_broken(t, cudaStreamQuery(t.one), cudaErrorStreamCaptureUnsupported, "a query");
    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeGlobal);
    check_broken(t, cudaMalloc(&block, 16), cudaErrorStreamCaptureUnsupported, "an allocation");
    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal);
    check_broken(t, cudaMemcpy(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice), cudaErrorStreamCaptureUnsupported,
                 "a copy that waits");
    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeRelaxed);
    cudaEventRecord(t.event, t.two);
    check_broken(t, cudaStreamWaitEvent(t.one, t.event, 0), cudaErrorStreamCaptureIsolation, "an event from outside");

    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeRelaxed);
    check_error(cudaMalloc(&block, 16), cudaSuccess, "an allocation in a relaxed capture");
    check_error(cudaFree(block), cudaSuccess, "and its end");
    cudaEventRecord(t.event, t.one);
    check_error(cudaEventSynchronize(t.event), cudaErrorCapturedEvent, "waiting for a captured event");
    check_error(cudaStreamWaitEvent(t.two, t.event, 0), cudaSuccess, "fork");
    check_error(cudaStreamEndCapture(t.two, &graph), cudaErrorStreamCaptureUnmatched, "end on the other stream");
    check_error(cudaStreamEndCapture(t.one, &graph), cudaErrorStreamCaptureInvalidated, "after which it is broken");
    (void)cudaGetLastError();

    // A blocking stream and the legacy stream.
    cudaStream_t blocking;
    cudaStreamCreate(&blocking);
    cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed);
    check_error(add_on(nullptr, t.a, t.b, 1), cudaErrorStreamCaptureImplicit, "legacy work while a blocking stream captures");
    check_error(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated, "that broke the capture");
    cudaStreamDestroy(blocking);
    (void)cudaGetLastError();
    cudaStreamSynchronize(t.two);
    check_error(cudaStreamSynchronize(t.one), cudaSuccess, "the stream works again");
}

} // namespace runtime_check
