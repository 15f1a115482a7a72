// simt_deadlock.cc - where the threads of a grid wait, in words.
#include <cstdio>
#include <string>
#include <vector>

#include "simt_block.h"
#include "simt_symbol.h"

namespace simt {

namespace {

constexpr size_t kPlaces  = 8;                     // named in one report,
constexpr unsigned kRuns  = 6;                     // and groups of lanes at each

struct Place {
    const void *site;
    const char *name;
    unsigned runs;
    std::string who;
};

Place &place_of(std::vector<Place> &places, const Thread &thread)
{
    for (Place &place : places)
        if (place.site == thread.wait_site) return place;
    places.push_back({thread.wait_site, thread.wait_name, 0, ""});
    return places.back();
}

// Neighbouring lanes that wait in one place are one entry.
void add_block(std::vector<Place> &places, const Block &block)
{
    for (unsigned i = 0, end; i < block.n_threads; i = end) {
        const Thread &first = block.threads[i];
        for (end = i + 1; end < block.n_threads && block.threads[end].warp == first.warp &&
                          block.threads[end].wait_site == first.wait_site;)
            ++end;
        if (!first.wait_site) continue;
        Place &place = place_of(places, first);
        if (++place.runs > kRuns) continue;
        char text[96];
        snprintf(text, sizeof text, "%sblock (%u,%u,%u) warp %u lanes %u-%u", place.runs == 1 ? "" : ", ",
                 block.index.x, block.index.y, block.index.z, first.warp, first.lane, (end - 1) % kWarpSize);
        place.who += text;
    }
}

} // namespace

void describe_waiting(char *text, size_t bytes)
{
    std::vector<Place> places;
    for (const Block &block : grid.blocks)
        if (block.resident) add_block(places, block);
    std::string line;
    for (size_t p = 0; p < places.size() && p < kPlaces; ++p) {
        const Place &place = places[p];
        if (p) line += "; ";
        line += std::string(place.name) + " at " + source_line(place.site) + ": " + place.who;
        if (place.runs > kRuns) line += " and " + std::to_string(place.runs - kRuns) + " more groups";
    }
    snprintf(text, bytes, "%s", line.c_str());
}

} // namespace simt
