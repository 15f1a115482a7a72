// mutant.h - the table of deliberately broken kernels and launch code, each beside its correct twin: the
// stand-in must report the first and stay silent about the second.
#ifndef HEDDLE_SIMT_MUTANT_H
#define HEDDLE_SIMT_MUTANT_H

#include <vector>

namespace simt_mutants {

struct mutant {
    const char *name;
    void (*broken)();   // must leave at least one fault behind
    void (*twin)();     // the same work done right: must leave none
    const char *expect; // a piece of the first fault's line
};

// The device-side faults, one list from each file of broken kernels.
std::vector<mutant> barrier_mutants();
std::vector<mutant> warp_mutants();
std::vector<mutant> bounds_mutants();
std::vector<mutant> async_mutants();

// Launch code: streams, staging buffers, recorded steps, freed memory.
std::vector<mutant> stream_mutants();

} // namespace simt_mutants

#endif
