// simt_mutants.cc - runs every deliberately broken piece of code, which must be reported, and its correct twin, which must not.
//
// Each runs in a process of its own, once for each seed, because some faults end the process and schedules differ. A line
// for each: how many seeds reported it, and the first report. An argument: only those whose name holds it.
#include "mutant.h"
#include "simt_grid.h"
#include "simt_hooks.h"
#include "simt_symbol.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using simt_mutants::mutant;

constexpr unsigned kSeeds = 8;
constexpr unsigned kSecondsAllowed = 60; // a run that hangs is a failure, not a wait

struct Outcome {
    std::string printed;
    int status;
};

// What `body` writes to stderr in a child process.
Outcome run_child(void (*body)(), unsigned seed)
{
    int ends[2];
    if (pipe(ends) != 0) return {"pipe failed", -1};
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(kSecondsAllowed);
        // Some bodies die by an access that the stand-in has reported: that is no finding of a sanitizer's.
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        simt::set_schedule(seed, simt::Policy::drawn);
        simt_set_streams(seed, nullptr);
        body();
        _exit(0);
    }
    close(ends[1]);
    Outcome outcome{"", -1};
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) outcome.printed.append(buffer, std::size_t(n));
    close(ends[0]);
    if (child > 0) waitpid(child, &outcome.status, 0);
    return outcome;
}

// The first line that the stand-in printed, or "".
std::string first_report(const std::string &printed)
{
    std::size_t at = printed.compare(0, 6, "simt: ") == 0 ? 0 : printed.find("\nsimt: ");
    if (at == std::string::npos) return "";
    if (at) ++at;
    return printed.substr(at, printed.find('\n', at) - at);
}

struct Count {
    unsigned passed = 0, failed = 0;
    void add(bool good) { ++(good ? passed : failed); }
};

void check_broken(const mutant &m, Count &count)
{
    unsigned reported = 0;
    std::string shown, unexpected;
    for (unsigned seed = 1; seed <= kSeeds; ++seed) {
        Outcome o = run_child(m.broken, seed);
        std::string line = first_report(o.printed);
        bool expected = line.find(m.expect) != std::string::npos;
        reported += expected;
        if (expected && shown.empty()) shown = line;
        if (!expected && unexpected.empty()) unexpected = line.empty() ? "(no report) " + o.printed : line;
    }
    bool good = reported == kSeeds;
    count.add(good);
    std::printf("%s broken: %s: reported with %u of %u seeds\n    %s\n", good ? "ok  " : "FAIL", m.name, reported, kSeeds,
                shown.c_str());
    if (!good) std::printf("    expected \"%s\", got: %s\n", m.expect, unexpected.c_str());
}

void check_twin(const mutant &m, Count &count)
{
    for (unsigned seed = 1; seed <= kSeeds; ++seed) {
        Outcome o = run_child(m.twin, seed);
        if (o.printed.empty() && o.status == 0) continue;
        count.add(false);
        std::printf("FAIL twin: %s: seed %u, status %d: %s\n", m.name, seed, o.status, o.printed.c_str());
        return;
    }
    count.add(true);
    std::printf("ok   twin: %s: silent with %u seeds\n", m.name, kSeeds);
}

std::vector<mutant> all_mutants()
{
    std::vector<mutant> all;
    for (auto list : {simt_mutants::barrier_mutants, simt_mutants::warp_mutants, simt_mutants::bounds_mutants,
                      simt_mutants::async_mutants, simt_mutants::stream_mutants})
        for (const mutant &m : list()) all.push_back(m);
    return all;
}

} // namespace

int main(int n_arguments, char **arguments)
{
    // Debug information is read once here, not again in each child.
    simt::source_line(reinterpret_cast<const void *>(&run_child));
    Count count;
    for (const mutant &m : all_mutants()) {
        if (n_arguments > 1 && !std::strstr(m.name, arguments[1])) continue;
        check_broken(m, count);
        check_twin(m, count);
    }
    std::printf("%u passed, %u failed\n", count.passed, count.failed);
    return count.failed || !count.passed;
}
