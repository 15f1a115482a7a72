// simt_api.cc - errors of the runtime: their names, the last one of each thread, and failures that tests ask for.
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_config.h"
#include "simt_fault.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace simt {
namespace {

struct ErrorName {
    cudaError_t code;
    const char *name, *text;
};

#define ERROR_ROW(code, text) {code, #code, text}
constexpr ErrorName kErrors[] = {
    ERROR_ROW(cudaSuccess, "no error"),
    ERROR_ROW(cudaErrorInvalidValue, "invalid argument"),
    ERROR_ROW(cudaErrorMemoryAllocation, "out of memory"),
    ERROR_ROW(cudaErrorInitializationError, "initialization error"),
    ERROR_ROW(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR_ROW(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR_ROW(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR_ROW(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR_ROW(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR_ROW(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR_ROW(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    ERROR_ROW(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    ERROR_ROW(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR_ROW(cudaErrorNotReady, "device not ready"),
    ERROR_ROW(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR_ROW(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR_ROW(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    ERROR_ROW(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    ERROR_ROW(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    ERROR_ROW(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR_ROW(cudaErrorNotPermitted, "operation not permitted"),
    ERROR_ROW(cudaErrorNotSupported, "operation not supported"),
    ERROR_ROW(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR_ROW(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ERROR_ROW(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    ERROR_ROW(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    ERROR_ROW(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR_ROW(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    ERROR_ROW(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    ERROR_ROW(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    ERROR_ROW(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR_ROW(cudaErrorUnknown, "unknown error"),
};
#undef ERROR_ROW

const ErrorName *find_error(cudaError_t code)
{
    auto it = std::find_if(std::begin(kErrors), std::end(kErrors), [code](const ErrorName &e) { return e.code == code; });
    return it == std::end(kErrors) ? nullptr : it;
}

struct Failure {
    std::string function;
    cudaError_t error;
    int after;
};

cudaError_t parse_error(const std::string &text)
{
    for (const ErrorName &e : kErrors)
        if (text == e.name) return e.code;
    return cudaError_t(std::atoi(text.c_str()));
}

// SIMT_FAIL is "function:error:after", several with commas; the error a number or its name.
std::vector<Failure> read_failures()
{
    std::vector<Failure> list;
    const char *text = std::getenv("SIMT_FAIL");
    std::string rest = text ? text : "";
    while (!rest.empty()) {
        std::string item = rest.substr(0, rest.find(','));
        rest = item.size() == rest.size() ? "" : rest.substr(item.size() + 1);
        std::size_t first = item.find(':');
        if (first == std::string::npos) continue;
        std::size_t second = item.find(':', first + 1);
        std::string error = item.substr(first + 1, second == std::string::npos ? second : second - first - 1);
        int after = second == std::string::npos ? 0 : std::atoi(item.c_str() + second + 1);
        list.push_back({item.substr(0, first), parse_error(error), after});
    }
    return list;
}

std::vector<Failure> &failures()
{
    static auto *const list = new std::vector<Failure>(read_failures());
    return *list;
}

// Errors after which a device answers nothing else.
bool loses_device(cudaError_t error)
{
    return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorLaunchTimeout ||
           error == cudaErrorECCUncorrectable;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int device_of_thread = 0;

} // namespace

std::recursive_mutex &api_mutex()
{
    static auto *const mutex = new std::recursive_mutex;
    return *mutex;
}

int current_device() { return device_of_thread; }
void set_current_device(int device) { device_of_thread = device; }

cudaError_t take_failure(const char *function)
{
    auto &list = failures();
    for (auto it = list.begin(); it != list.end(); ++it) {
        if (it->function != function) continue;
        if (it->after-- > 0) return cudaSuccess;
        cudaError_t error = it->error;
        list.erase(it);
        return error;
    }
    return cudaSuccess;
}

cudaError_t admit_call(const char *function, unsigned traits)
{
    cudaError_t asked = take_failure(function);
    if (asked != cudaSuccess) {
        if (loses_device(asked)) set_device_error(current_device(), asked);
        return asked;
    }
    if (traits & kNoDevice) return cudaSuccess;
    if (!config().driver) return cudaErrorInsufficientDriver;
    if (config().devices == 0) return cudaErrorNoDevice;
    if (traits & kIgnoresError) return cudaSuccess;
    if ((traits & kUnsafeInCapture) && refuse_unsafe_call()) return cudaErrorStreamCaptureUnsupported;
    return device_error(current_device());
}

unsigned long faults_so_far() { return fault_count(); }

void lose_device_after_fault(unsigned long faults_before)
{
    // A fault of queued work has already lost the device it ran on, which may be another one.
    if (fault_count() == faults_before) return;
    for (int i = 0; i < kMaxDevices; ++i)
        if (device_error(i) != cudaSuccess) return;
    set_device_error(current_device(), cudaErrorLaunchFailure);
}

cudaError_t settle_call(cudaError_t error)
{
    // "Not ready" is an answer, not an error.
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

void fail_later(const char *function, cudaError_t error, int after) { failures().push_back({function, error, after}); }

void forget_failures()
{
    failures().clear();
    last_error = cudaSuccess;
}

} // namespace simt

extern "C" {

const char *cudaGetErrorName(cudaError_t error)
{
    const simt::ErrorName *e = simt::find_error(error);
    return e ? e->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    const simt::ErrorName *e = simt::find_error(error);
    return e ? e->text : "unrecognized error code";
}

// A lost device is the answer until it is reset; any other error is given once.
cudaError_t cudaGetLastError(void)
{
    std::lock_guard<std::recursive_mutex> hold(simt::api_mutex());
    cudaError_t error = simt::device_error(simt::current_device());
    if (error == cudaSuccess) error = simt::last_error;
    simt::last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    std::lock_guard<std::recursive_mutex> hold(simt::api_mutex());
    cudaError_t error = simt::device_error(simt::current_device());
    return error != cudaSuccess ? error : simt::last_error;
}

} // extern "C"
