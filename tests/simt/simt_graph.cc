// simt_graph.cc - graphs: what was recorded, queued again at each launch; branches run beside each other on streams of their own.
#include "simt_graph.h"
#include "simt_api.h"
#include "simt_fault.h"
#include "simt_hooks.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unordered_map>

namespace simt {
namespace {

struct Exec {
    std::shared_ptr<const Graph> graph;
    std::vector<Stream *> lanes; // [0] is null: that branch runs on the stream of the launch
    OpRef last;                  // launches of one graph follow each other
};

struct Graphs {
    std::unordered_map<cudaGraph_t, std::shared_ptr<const Graph>> graphs;
    std::unordered_map<cudaGraphExec_t, std::unique_ptr<Exec>> execs;
    std::shared_ptr<const Graph> recent[2]; // the last two that were instantiated, older first
};

Graphs &table()
{
    static auto *const t = new Graphs;
    return *t;
}

std::string hex_bytes(const unsigned char *bytes, std::size_t n)
{
    constexpr std::size_t kShown = 16; // a pointer or a vector; a struct by value is cut
    std::string text;
    char pair[4];
    for (std::size_t i = 0; i < std::min(n, kShown); ++i) {
        std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
        text += pair;
    }
    return n > kShown ? text + "..." : text;
}

// True when two launches are the same; else a fault says where they differ.
bool same_launch(const Node &a, const Node &b)
{
    const char *what = a.what.c_str();
    if (a.function != b.function) {
        fault("recorded step: %s in one recording is %s in the other", what, b.what.c_str());
        return false;
    }
    if (std::memcmp(&a.grid, &b.grid, sizeof a.grid) != 0 || std::memcmp(&a.block, &b.block, sizeof a.block) != 0 ||
        a.smem_bytes != b.smem_bytes) {
        fault("recorded step: %s has another grid, block or shared memory in the other recording", what);
        return false;
    }
    for (std::size_t i = 0; a.arguments && i < a.arguments->parts.size(); ++i) {
        Argument p = a.arguments->parts[i];
        const unsigned char *left = a.arguments->bytes.data() + p.offset, *right = b.arguments->bytes.data() + p.offset;
        if (std::memcmp(left, right, p.bytes) == 0) continue;
        std::size_t at = std::size_t(std::mismatch(left, left + p.bytes, right).first - left);
        at = at / sizeof(std::uint32_t) * sizeof(std::uint32_t);
        fault("recorded step: %s has its argument %zu frozen: bytes from %zu are %s in one recording and %s in the other",
              what, i + 1, at, hex_bytes(left + at, p.bytes - at).c_str(), hex_bytes(right + at, p.bytes - at).c_str());
        return false;
    }
    return true;
}

} // namespace

cudaGraph_t adopt_graph(std::unique_ptr<Graph> graph)
{
    auto handle = reinterpret_cast<cudaGraph_t>(graph.get());
    table().graphs[handle] = std::move(graph);
    return handle;
}

cudaError_t drop_graph(cudaGraph_t handle) { return table().graphs.erase(handle) ? cudaSuccess : cudaErrorInvalidValue; }

cudaError_t count_nodes(cudaGraph_t handle, std::size_t *count)
{
    auto it = table().graphs.find(handle);
    if (it == table().graphs.end()) return cudaErrorInvalidValue;
    return *count = it->second->nodes.size(), cudaSuccess;
}

cudaError_t instantiate_graph(cudaGraph_t handle, int device, cudaGraphExec_t *exec)
{
    auto it = table().graphs.find(handle);
    if (it == table().graphs.end()) return cudaErrorInvalidValue;
    auto made = std::make_unique<Exec>();
    made->graph = it->second;
    made->lanes.assign(1, nullptr);
    for (int i = 1; i < it->second->lanes; ++i) made->lanes.push_back(make_stream(device, cudaStreamNonBlocking, 0, true));
    *exec = reinterpret_cast<cudaGraphExec_t>(made.get());
    table().execs[*exec] = std::move(made);
    table().recent[0] = table().recent[1];
    table().recent[1] = it->second;
    return cudaSuccess;
}

cudaError_t drop_exec(cudaGraphExec_t handle)
{
    auto it = table().execs.find(handle);
    if (it == table().execs.end()) return cudaErrorInvalidValue;
    for (Stream *lane : it->second->lanes)
        if (lane) drop_stream(lane);
    table().execs.erase(it);
    return cudaSuccess;
}

bool is_exec(cudaGraphExec_t handle) { return table().execs.count(handle) != 0; }

cudaError_t launch_exec(cudaGraphExec_t handle, Stream *stream)
{
    auto it = table().execs.find(handle);
    if (it == table().execs.end()) return cudaErrorInvalidValue;
    if (stream->capture) return cudaErrorStreamCaptureUnsupported;
    Exec &exec = *it->second;
    OpRef entry = enqueue(stream, {"graph launch", nullptr, 0}, {exec.last});
    std::vector<OpRef> ops;
    for (const Node &node : exec.graph->nodes) {
        std::vector<OpRef> after{entry};
        for (int before : node.after) after.push_back(ops[std::size_t(before)]);
        Stream *lane = node.lane ? exec.lanes[std::size_t(node.lane)] : stream;
        ops.push_back(enqueue(lane, {node.what, node.prepare(), node.devices, node.arguments}, std::move(after)));
    }
    exec.last = enqueue(stream, {"graph end", nullptr, 0}, std::move(ops));
    return cudaSuccess;
}

} // namespace simt

extern "C" int simt_compare_recordings(void)
{
    std::lock_guard<std::recursive_mutex> hold(simt::api_mutex());
    auto &a = simt::table().recent[0], &b = simt::table().recent[1];
    if (!a || !b || a->nodes.size() != b->nodes.size()) {
        simt::fault("recorded step: %zu pieces of work in one recording, %zu in the other", a ? a->nodes.size() : 0,
                    b ? b->nodes.size() : 0);
        return 1;
    }
    for (std::size_t i = 0; i < a->nodes.size(); ++i)
        if (!simt::same_launch(a->nodes[i], b->nodes[i])) return 1;
    return 0;
}
