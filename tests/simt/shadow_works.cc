// shadow_works.cc - which work comes before which, by the clocks that streams and events keep.
#include "shadow_works.h"
#include "shadow.h"
#include "simt_stream.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <unordered_set>

namespace simt::shadow {

uint32_t settled = 1;

namespace {

constexpr uint32_t kNoStream = ~0u; // a grid that was run by itself

struct WorkRecord {
    uint32_t first_serial;
    uint32_t stream;
    uint64_t index;
    const std::string *what;
};

struct StreamRecord {
    std::vector<size_t> works; // places in `records`, index rising
};

std::vector<WorkRecord> records;    // serials rising
std::vector<StreamRecord> streams;  // by stream
std::vector<uint64_t> seen;         // of the running work
std::unordered_set<std::string> names;
BlockOrder work_block;
bool in_work = false;

const std::string *intern(const char *what) { return &*names.insert(what ? what : "work").first; }

// The first serial of the stream's works that the running one does not come after.
uint32_t first_unseen(const StreamRecord &stream, uint64_t seen_index, uint32_t none)
{
    const std::vector<size_t> &works = stream.works;
    if (works.empty() || records[works.back()].index <= seen_index) return none;
    auto place = std::upper_bound(works.begin(), works.end(), seen_index,
                                  [](uint64_t index, size_t w) { return index < records[w].index; });
    return records[*place].first_serial;
}

const WorkRecord *record_of(uint32_t serial)
{
    auto after = std::upper_bound(records.begin(), records.end(), serial,
                                  [](uint32_t s, const WorkRecord &r) { return s < r.first_serial; });
    return after == records.begin() ? nullptr : &*(after - 1);
}

} // namespace

void stream_work_begin(const WorkClock &clock)
{
    const uint32_t serial = take_work_serial();
    seen.assign(clock.seen, clock.seen + clock.seen_count);
    if (streams.size() <= clock.stream) streams.resize(clock.stream + 1);

    settled = serial;
    for (size_t s = 0; s < streams.size(); s++) {
        if (s == clock.stream) continue; // a stream's works run in their order
        settled = std::min(settled, first_unseen(streams[s], s < seen.size() ? seen[s] : 0, serial));
    }
    streams[clock.stream].works.push_back(records.size());
    records.push_back({serial, clock.stream, clock.index, intern(clock.what)});
    work_block.serial = serial;
    in_work           = true;
}

void stream_work_end() { in_work = false; }

Here here_of_work() { return {&work_block, nullptr, 0}; }

void work_has_grid()
{
    if (in_work) return;
    settled = peek_serial();
    records.push_back({settled, kNoStream, 0, intern("kernel")});
}

bool work_ordered(uint32_t serial)
{
    if (serial < settled || records.empty()) return true;
    const WorkRecord *old     = record_of(serial);
    const WorkRecord &current = records.back();
    if (!old || old == &current || old->stream == kNoStream || current.stream == kNoStream) return true;
    if (old->stream == current.stream) return true;
    return old->stream < seen.size() && old->index <= seen[old->stream];
}

void describe_work(uint32_t serial, char *text, size_t text_bytes)
{
    const WorkRecord *work = record_of(serial);
    if (!work)
        snprintf(text, text_bytes, "earlier work");
    else if (work->stream == kNoStream)
        snprintf(text, text_bytes, "an earlier %s", work->what->c_str());
    else
        snprintf(text, text_bytes, "%s on stream %u", work->what->c_str(), work->stream);
}

} // namespace simt::shadow
