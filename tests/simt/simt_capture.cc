// simt_capture.cc - stream capture with CUDA's rules: forks and joins through events, and what breaks a capture.
#include "simt_capture.h"
#include "simt_graph.h"
#include <algorithm>
#include <functional>
#include <thread>

namespace simt {
namespace {

std::vector<std::unique_ptr<Capture>> &captures()
{
    static auto *const list = new std::vector<std::unique_ptr<Capture>>;
    return *list;
}

std::uint64_t this_thread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

Capture *find_capture(std::uint64_t id)
{
    for (auto &c : captures())
        if (c->id == id) return c.get();
    return nullptr;
}

void join(Capture &capture, Stream *stream)
{
    stream->capture = &capture;
    stream->lane = capture.graph->lanes++;
    stream->capture_tail.clear();
    capture.streams.push_back(stream);
}

// Every node must be behind the origin's tail, else a branch was never joined.
bool all_joined(const Capture &capture)
{
    std::vector<bool> reached(capture.graph->nodes.size(), false);
    std::vector<int> open = capture.origin->capture_tail;
    while (!open.empty()) {
        int node = open.back();
        open.pop_back();
        if (reached[std::size_t(node)]) continue;
        reached[std::size_t(node)] = true;
        const auto &after = capture.graph->nodes[std::size_t(node)].after;
        open.insert(open.end(), after.begin(), after.end());
    }
    return std::find(reached.begin(), reached.end(), false) == reached.end();
}

void drop_capture(Capture *capture)
{
    for (Stream *s : capture->streams) {
        s->capture = nullptr;
        s->capture_tail.clear();
        s->lane = 0;
    }
    auto &list = captures();
    list.erase(std::find_if(list.begin(), list.end(), [capture](auto &c) { return c.get() == capture; }));
}

} // namespace

cudaError_t record(Stream *stream, Node node)
{
    Capture &capture = *stream->capture;
    if (capture.broken) return cudaErrorStreamCaptureInvalidated;
    node.after = stream->capture_tail;
    node.lane = stream->lane;
    stream->capture_tail = {int(capture.graph->nodes.size())};
    capture.graph->nodes.push_back(std::move(node));
    return cudaSuccess;
}

cudaError_t submit(Stream *stream, Node node)
{
    if (stream->capture) return record(stream, std::move(node));
    if (refuse_legacy(stream)) return cudaErrorStreamCaptureImplicit;
    enqueue(stream, {node.what, node.prepare(), node.devices, node.arguments});
    return cudaSuccess;
}

cudaError_t begin_capture(Stream *stream, cudaStreamCaptureMode mode)
{
    if (stream->legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    static std::uint64_t last_id = 0;
    auto capture = std::make_unique<Capture>();
    capture->id = ++last_id;
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = this_thread();
    capture->graph = std::make_unique<Graph>();
    capture->graph->lanes = 0;
    join(*capture, stream);
    captures().push_back(std::move(capture));
    return cudaSuccess;
}

cudaError_t end_capture(Stream *stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    Capture *capture = stream->capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != stream) {
        capture->broken = true;
        return cudaErrorStreamCaptureUnmatched;
    }
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != this_thread())
        return cudaErrorStreamCaptureWrongThread;
    cudaError_t error = capture->broken        ? cudaErrorStreamCaptureInvalidated
                        : !all_joined(*capture) ? cudaErrorStreamCaptureUnjoined
                                                : cudaSuccess;
    if (error == cudaSuccess) *graph = adopt_graph(std::move(capture->graph));
    drop_capture(capture);
    return error;
}

void capture_event(Stream *stream, Event &event)
{
    event.point = nullptr;
    event.capture_id = stream->capture->id;
    event.nodes = stream->capture_tail;
}

cudaError_t capture_wait(Stream *stream, const Event &event)
{
    Capture *from = find_capture(event.capture_id);
    if (!from) { // an event from outside any capture that goes on
        if (stream->capture) stream->capture->broken = true;
        return cudaErrorStreamCaptureIsolation;
    }
    if (from->broken) return cudaErrorStreamCaptureInvalidated;
    if (stream->legacy) return cudaErrorStreamCaptureImplicit;
    if (stream->capture && stream->capture != from) {
        stream->capture->broken = from->broken = true;
        return cudaErrorStreamCaptureMerge;
    }
    if (!stream->capture) join(*from, stream);
    for (int node : event.nodes)
        if (std::find(stream->capture_tail.begin(), stream->capture_tail.end(), node) == stream->capture_tail.end())
            stream->capture_tail.push_back(node);
    return cudaSuccess;
}

bool refuse_wait(Stream *stream)
{
    if (stream->capture) stream->capture->broken = true;
    return stream->capture != nullptr;
}

bool refuse_unsafe_call()
{
    bool refused = false;
    for (auto &c : captures()) {
        if (c->mode == cudaStreamCaptureModeRelaxed) continue;
        if (c->mode == cudaStreamCaptureModeThreadLocal && c->thread != this_thread()) continue;
        c->broken = refused = true;
    }
    return refused;
}

bool refuse_legacy(const Stream *stream)
{
    if (!stream->legacy) return false;
    bool refused = false;
    for (auto &c : captures())
        for (Stream *s : c->streams)
            if (s->device == stream->device && !(s->flags & cudaStreamNonBlocking)) c->broken = refused = true;
    return refused;
}

void leave_capture(Stream *stream)
{
    if (!stream->capture) return;
    Capture *capture = stream->capture;
    capture->broken = true;
    if (capture->origin == stream) return drop_capture(capture);
    auto &list = capture->streams;
    list.erase(std::find(list.begin(), list.end(), stream));
}

void reset_captures()
{
    while (!captures().empty()) drop_capture(captures().back().get());
}

} // namespace simt
