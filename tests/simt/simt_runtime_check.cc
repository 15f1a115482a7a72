// simt_runtime_check.cc - the host side of the stand-in behaves as the CUDA runtime's manual says, errors included.
#include "simt_runtime_check.h"
#include "simt_hooks.h"
#include <cstdarg>
#include <cstdlib>

namespace runtime_check {
namespace {

unsigned n_passed = 0, n_failed = 0;

// Schedules of queued work that every part runs under.
struct Setting {
    const char *policy;
    unsigned seed;
};
constexpr Setting kSettings[] = {{"lazy", 1}, {"lazy", 2}, {"random", 3}, {"random", 4}, {"eager", 5}};

} // namespace

void check(bool holds, const char *format, ...)
{
    ++(holds ? n_passed : n_failed);
    if (holds) return;
    char line[256], fault[512];
    std::va_list values;
    va_start(values, format);
    std::vsnprintf(line, sizeof line, format, values);
    va_end(values);
    simt_first_fault(fault, sizeof fault);
    std::printf("FAIL %s%s%s\n", line, fault[0] ? "; first fault: " : "", fault);
}

void check_error(cudaError_t found, cudaError_t wanted, const char *what)
{
    check(found == wanted, "%s: %s, wanted %s", what, cudaGetErrorName(found), cudaGetErrorName(wanted));
}

// The environment's failures are due before any reset; an error is a number or a name.
void check_failures_of_environment()
{
    void *block = nullptr;
    int n = 0;
    check_error(cudaMalloc(&block, 16), cudaErrorMemoryAllocation, "SIMT_FAIL, by name");
    check_error(cudaGetDeviceCount(&n), cudaSuccess, "SIMT_FAIL, the first call");
    check_error(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver, "SIMT_FAIL, the second");
    check_error(cudaMalloc(&block, 16), cudaSuccess, "SIMT_FAIL is over");
    cudaFree(block);
}

} // namespace runtime_check

int main()
{
    using namespace runtime_check;
    simt_set_quiet(1);
    setenv("SIMT_FAIL", "cudaMalloc:cudaErrorMemoryAllocation:0,cudaGetDeviceCount:35:1", 1);
    check_failures_of_environment();
    for (const Setting &setting : kSettings) {
        unsigned failed = n_failed;
        simt_set_streams(setting.seed, setting.policy);
        for (void (*part)() : {check_copies, check_events, check_legacy_stream, check_graphs, check_capture_errors, check_memory,
                               check_launch_limits, check_devices, check_failures}) {
            simt_reset();
            part();
        }
        if (n_failed != failed) std::printf("    (policy %s, seed %u)\n", setting.policy, setting.seed);
    }
    std::printf("%u passed, %u failed\n", n_passed, n_failed);
    return n_failed != 0;
}
