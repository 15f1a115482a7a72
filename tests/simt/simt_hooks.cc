// simt_hooks.cc - what tests may ask and change.
#include "simt_hooks.h"
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_config.h"
#include "simt_device_use.h"
#include "simt_fault.h"
#include "simt_grid.h"
#include "simt_host_use.h"
#include <cstdio>
#include <cstring>

using namespace simt;

extern "C" {

void simt_fail_next(const char *function, int error, int after)
{
    std::lock_guard<std::recursive_mutex> hold(api_mutex());
    fail_later(function, cudaError_t(error), after);
}

void simt_reset(void)
{
    std::lock_guard<std::recursive_mutex> hold(api_mutex());
    reset_captures();
    reset_streams();
    forget_host_uses();
    forget_device_uses();
    forget_failures();
    clear_faults();
}

void simt_set_schedule(uint64_t seed, const char *policy)
{
    static constexpr const char *kNames[] = {"forward", "reverse", "random", "ahead", "starved"}; // as in Policy
    int found = int(Policy::drawn);
    for (int i = 0; policy && i < int(Policy::drawn); ++i)
        if (std::strcmp(policy, kNames[i]) == 0) found = i;
    std::lock_guard<std::recursive_mutex> hold(api_mutex());
    set_schedule(seed, Policy(found));
}

int simt_queue_copy(void *to, const void *from, size_t bytes, void *stream)
{
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream));
}

void simt_hold(void *stream, int on)
{
    std::lock_guard<std::recursive_mutex> hold(api_mutex());
    Stream *found = find_stream(static_cast<cudaStream_t>(stream), 0);
    if (found) found->held = on != 0;
}

void simt_set_quiet(int on) { quiet = on != 0; }

uint64_t simt_faults(void) { return fault_count(); }

size_t simt_first_fault(char *line, size_t line_bytes)
{
    return size_t(std::snprintf(line, line_bytes, "%s", first_fault().c_str()));
}

} // extern "C"
