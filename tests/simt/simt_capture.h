// simt_capture.h - work that is recorded instead of queued, and graphs that replay it with its arguments as they were.
#pragma once
#include "simt_queue.h"

namespace simt {

// Recorded work. `prepare` is called at each replay and gives what runs; by-value arguments were frozen in it.
struct Node {
    std::string what;
    unsigned devices = 0;
    std::function<std::function<void()>()> prepare;
    std::vector<int> after; // nodes
    int lane = 0;           // branch: 0 is the stream that captured
    // Launches only; for comparing two recordings.
    const void *function = nullptr;
    dim3 grid, block;
    std::size_t smem_bytes = 0;
    std::shared_ptr<const ArgumentImage> arguments;
};

struct Graph {
    std::vector<Node> nodes;
    int lanes = 1;
};

struct Capture {
    std::uint64_t id = 0;
    Stream *origin = nullptr;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    std::uint64_t thread = 0; // that began it
    bool broken = false;
    std::unique_ptr<Graph> graph;
    std::vector<Stream *> streams;
};

// Records a node behind what the stream's capture holds.
cudaError_t record(Stream *stream, Node node);
// Queues work now, or records it when the stream captures.
cudaError_t submit(Stream *stream, Node node);

cudaError_t begin_capture(Stream *stream, cudaStreamCaptureMode mode);
cudaError_t end_capture(Stream *stream, cudaGraph_t *graph);
// Makes the stream part of the event's capture, or its next work follow the event.
cudaError_t capture_wait(Stream *stream, const Event &event);
void capture_event(Stream *stream, Event &event);
// The stream must not be waited for: the capture is broken. True when the stream captures.
bool refuse_wait(Stream *stream);
// True when a capture forbids calls that could wait; the capture is then broken.
bool refuse_unsafe_call();
// A capture whose stream is not NonBlocking forbids work on the legacy stream.
bool refuse_legacy(const Stream *stream);
void leave_capture(Stream *stream);

void reset_captures();

} // namespace simt
