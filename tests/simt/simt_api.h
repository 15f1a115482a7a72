// simt_api.h - what every runtime function does first and last: the lock, failures asked for, lost devices, the last error.
#pragma once
#include "simt_queue.h"
#include <cuda_runtime_api.h>
#include <mutex>

namespace simt {

enum CallTraits : unsigned {
    kPlain = 0,
    kNoDevice = 1,        // answers without a driver or a device
    kAfterError = 2,      // does its work though the device is lost, and then says that it is
    kIgnoresError = 4,    // does not look at the device at all
    kUnsafeInCapture = 8, // ends a capture of another stream, as CUDA's modes say
};

std::recursive_mutex &api_mutex();
int current_device();
void set_current_device(int device);

// cudaSuccess, or why the call must not do its work.
cudaError_t admit_call(const char *function, unsigned traits);
// Remembers an error for cudaGetLastError.
cudaError_t settle_call(cudaError_t error);

// A failure asked for by simt_fail_next or SIMT_FAIL that is due now.
cudaError_t take_failure(const char *function);
void fail_later(const char *function, cudaError_t error, int after);
void forget_failures();

// Faults of launch code, which no kernel of the device reports, lose the device too, so that every test sees them.
void lose_device_after_fault(unsigned long faults_before);
unsigned long faults_so_far();

template <class F> cudaError_t api(const char *function, unsigned traits, F &&work)
{
    std::lock_guard<std::recursive_mutex> hold(api_mutex());
    cudaError_t error = admit_call(function, traits);
    if (error == cudaSuccess) {
        unsigned long faults = faults_so_far();
        error = work();
        lose_device_after_fault(faults);
    } else if ((traits & kAfterError) && error == device_error(current_device())) {
        work();
    }
    return settle_call(error);
}

} // namespace simt
