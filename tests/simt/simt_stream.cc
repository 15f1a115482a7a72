// simt_stream.cc - handles of streams and events; queueing, with the clocks that order work for the race detector.
#include "simt_queue.h"
#include "simt_device_use.h"
#include "simt_executor.h"
#include <algorithm>
#include <map>
#include <unordered_set>

namespace simt {
namespace {

struct Table {
    std::unordered_set<Stream *> streams;
    std::unordered_set<Event *> events;
    std::map<int, Stream *> legacy; // by device
    std::vector<std::uint64_t> last_index; // by stream id
    std::vector<std::uint32_t> free_ids;
};

Table &table()
{
    static Table *const t = new Table;
    return *t;
}

std::uint32_t take_id()
{
    Table &t = table();
    if (t.free_ids.empty()) {
        t.last_index.push_back(0);
        return std::uint32_t(t.last_index.size() - 1);
    }
    std::uint32_t id = t.free_ids.back();
    t.free_ids.pop_back();
    return id;
}

Stream *legacy_stream(int device)
{
    Stream *&s = table().legacy[device];
    if (!s) {
        s = make_stream(device, cudaStreamDefault, 0);
        s->legacy = true;
    }
    return s;
}

// The legacy stream and the blocking streams of a device wait for each other.
void add_legacy_order(Stream *stream, std::vector<OpRef> &after)
{
    if (stream->hidden || (stream->flags & cudaStreamNonBlocking)) return;
    if (!stream->legacy) {
        after.push_back(legacy_stream(stream->device)->tail);
        return;
    }
    for (Stream *other : table().streams)
        if (other->device == stream->device && !other->hidden && !(other->flags & cudaStreamNonBlocking))
            after.push_back(other->tail);
}

} // namespace

void join_clock(std::vector<std::uint64_t> &seen, const std::vector<std::uint64_t> &more)
{
    if (seen.size() < more.size()) seen.resize(more.size(), 0);
    for (std::size_t i = 0; i < more.size(); ++i) seen[i] = std::max(seen[i], more[i]);
}

void join_clock(std::vector<std::uint64_t> &seen, const Op &op)
{
    join_clock(seen, op.seen);
    if (seen.size() <= op.stream) seen.resize(op.stream + 1, 0);
    seen[op.stream] = std::max(seen[op.stream], op.index);
}

Stream *find_stream(cudaStream_t handle, int current_device)
{
    if (handle == nullptr || handle == cudaStreamLegacy) return legacy_stream(current_device);
    auto *s = reinterpret_cast<Stream *>(handle);
    return table().streams.count(s) && !s->hidden ? s : nullptr;
}

Stream *make_stream(int device, unsigned flags, int priority, bool hidden)
{
    auto *s = new Stream;
    s->device = device;
    s->flags = flags;
    s->priority = priority;
    s->hidden = hidden;
    s->id = take_id();
    table().streams.insert(s);
    return s;
}

void drop_stream(Stream *stream)
{
    table().streams.erase(stream);
    stream->hidden = true;
    // Its id comes back only after its work: two streams alive under one id would look ordered.
    adopt_orphan(stream);
}

void release_stream_id(std::uint32_t id) { table().free_ids.push_back(id); }

std::vector<Stream *> all_streams()
{
    std::vector<Stream *> list(table().streams.begin(), table().streams.end());
    std::sort(list.begin(), list.end(), [](const Stream *a, const Stream *b) { return a->id < b->id; });
    return list;
}

Event *find_event(cudaEvent_t handle)
{
    auto *e = reinterpret_cast<Event *>(handle);
    return table().events.count(e) ? e : nullptr;
}

Event *make_event(int device, unsigned flags)
{
    auto *e = new Event;
    e->device = device;
    e->flags = flags;
    table().events.insert(e);
    return e;
}

void drop_event(Event *event)
{
    table().events.erase(event);
    delete event;
}

OpRef enqueue(Stream *stream, Work work, std::vector<OpRef> after)
{
    auto op = std::make_shared<Op>();
    op->work = std::move(work);
    op->device = stream->device;
    op->stream = stream->id;
    op->index = ++table().last_index[stream->id];
    after.push_back(stream->tail);
    add_legacy_order(stream, after);
    op->seen = host_clock();
    for (OpRef &before : after) {
        if (!before) continue;
        join_clock(op->seen, *before);
        if (!before->done) op->after.push_back(before);
    }
    if (device_error(stream->device) != cudaSuccess) {
        op->done = true;
        op->after.clear();
    } else {
        stream->queue.push_back(op);
        note_device_use(op);
    }
    stream->tail = op;
    time_passes();
    return op;
}

} // namespace simt
