/*
 * device.cu - devices: opening one with words for what is missing, memory through the hooks, errors as hdl_status.
 *
 * Contract   include/heddle/device.h and backend.h: open, close, describe, alloc, free, host_alloc, host_free.
 * Reference  host/cpu/cpu_backend.c and cpu_memory.c; tests/test_cuda_device.c.
 * Source     CUDA Runtime API, "Error Handling", "Device Management", "Memory Management"; CUDA Driver API, "Primary
 *            Context Management"; CUDA Programming Guide, "Lazy Loading".
 *
 * Mapping    No kernels. One device is the primary context of one GPU; calls may come from any thread.
 * Numerics   None.
 * Bound      None: nothing here runs while decoding.
 */
#include "backend_name.cuh"
#include "device.cuh"
#include "gemm_library.cuh"
#include "launch.cuh"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace hdl {
namespace {

constexpr int    kLineBytes     = 512;
constexpr size_t kBlockAlign    = 256;               // of device memory, as device.h promises
constexpr int    kLeastMajor    = 8;                 // cp.async and the bf16 mma begin with sm_80

enum MemoryKind { kDeviceMemory = 0, kPinnedMemory = 1 };    // `kind` of hdl_memory_hooks

hdl_status say(const hdl_backend_host *host, hdl_status status, const char *format, va_list values)
{
    char line[kLineBytes];
    vsnprintf(line, sizeof line, format, values);
    return host->fail(status, line);
}

__attribute__((format(printf, 3, 4)))
hdl_status say(const hdl_backend_host *host, hdl_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(host, status, format, values);
    va_end(values);
    return status;
}

// How many devices there are, or in words why there is none.
hdl_status count_devices(const hdl_backend_host *host, int *count)
{
    int driver = 0, runtime = 0;
    const cudaError_t error = cudaGetDeviceCount(count);
    if (error == cudaSuccess && *count > 0) return HDL_OK;
    (void)cudaGetLastError();
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = CUDART_VERSION;
    if (error == cudaErrorInsufficientDriver && driver == 0)
        return say(host, HDL_EDEVICE, "%s: no driver: the NVIDIA driver (libcuda.so.1) is not installed here",
                   kBackendName);
    if (error == cudaErrorInsufficientDriver)
        return say(host, HDL_EDEVICE, "%s: the driver is too old: it serves CUDA %d.%d, this library needs %d.%d",
                   kBackendName, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return say(host, HDL_EDEVICE, "%s: no device: the driver is there and sees no CUDA device "
                   "(CUDA_VISIBLE_DEVICES may hide it)", kBackendName);
    return say(host, HDL_EDEVICE, "%s: %s: %s", kBackendName, cudaGetErrorName(error), cudaGetErrorString(error));
}

// The attributes that kernels and the listing want.
hdl_status ask_properties(hdl_backend_device *device)
{
    cudaDeviceProp about;
    const hdl_status status = check(device, cudaGetDeviceProperties(&about, device->index), "device properties");
    if (status != HDL_OK) return status;
    int driver = 0, runtime = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    device->major            = about.major;
    device->minor            = about.minor;
    device->sm_count         = about.multiProcessorCount;
    device->max_shared_bytes = about.sharedMemPerBlockOptin;
    device->memory_bytes     = about.totalGlobalMem;
    snprintf(device->description, sizeof device->description,
             "%.64s, compute %d.%d, %d multiprocessors; CUDA %d.%d, driver for %d.%d", about.name,
             about.major, about.minor, about.multiProcessorCount,
             runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    if (about.major < kLeastMajor)
        return fail(device, HDL_ENOSUPPORT, "%s: %s has compute capability %d.%d, this library needs %d.0 or later",
                    kBackendName, about.name, about.major, about.minor, kLeastMajor);
    return HDL_OK;
}

// Asking for a kernel's attributes loads it.
hdl_status load_kernel(hdl_backend_device *device, const KernelEntry *kernel)
{
    char what[kLineBytes / 2];
    cudaFuncAttributes about;
    const cudaError_t error = cudaFuncGetAttributes(&about, kernel->function);
    if (error == cudaSuccess) return HDL_OK;
    // the compiler's words around the name: "... [with auto kKernel = hdl::{anonymous}::norm_row_kernel<float>]"
    const char *begin = strstr(kernel->words, kKernelMark);
    begin             = begin != nullptr ? begin + strlen(kKernelMark) : kernel->words;
    const char *end   = begin + strcspn(begin, "];");
    for (const char *at = begin; at < end && *at != '<'; ++at)
        if (*at == ':') begin = at + 1;
    snprintf(what, sizeof what, "loading the kernel %.*s", static_cast<int>(end - begin), begin);
    return check(device, error, what);
}

hdl_status load_all(hdl_backend_device *device)
{
    const DeviceScope scope(device);
    hdl_status status = HDL_OK;
    for (const KernelEntry *k = kernel_list; k != nullptr && status == HDL_OK; k = k->next)
        status = load_kernel(device, k);
    if (status == HDL_OK) status = gemm_prepare(device);
    if (status == HDL_OK) status = logit_prepare(device);
    return status == HDL_OK ? attention_prepare(device) : status;
}

pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;    // of all devices: held once for each

hdl_status prepare(hdl_backend_device *device)
{
    const DeviceScope scope(device);
    hdl_status status = check(device, cudaSetDevice(device->index), "device");     // makes the context
    if (status == HDL_OK) status = ask_properties(device);
    if (status == HDL_OK)
        status = check(device, cudaStreamCreateWithFlags(&device->setup, cudaStreamNonBlocking), "device");
    // All were built for the same devices, so that one tells whether this is among them; without a stream none runs.
    return status == HDL_OK ? load_kernel(device, kernel_list) : status;
}

// The caller's text need not outlive the call.
hdl_status keep_library_dir(hdl_backend_device *device, const char *library_dir)
{
    if (library_dir == nullptr) return HDL_OK;
    const size_t bytes  = strlen(library_dir) + 1;
    device->library_dir = static_cast<char *>(device->host->alloc(bytes));
    if (device->library_dir == nullptr)
        return fail(device, HDL_ENOMEM, "%s: no memory for the name of a folder", kBackendName);
    memcpy(device->library_dir, library_dir, bytes);
    return HDL_OK;
}

// cuDevicePrimaryCtxGetState of the driver, whose CUdevice is the runtime's number of a device and whose success is 0.
// Found once, when the runtime has loaded the driver: a library that links it would not load where there is none.
using ContextState = int (*)(int device, unsigned *flags, int *active);

ContextState   context_state;
pthread_once_t context_state_once = PTHREAD_ONCE_INIT;

// not run on the stand-in: it has no driver, and must not ask one that happens to be loaded beside it
void find_context_state()
{
    void *driver  = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *address = driver != nullptr ? dlsym(driver, "cuDevicePrimaryCtxGetState") : nullptr;
    static_assert(sizeof context_state == sizeof address, "POSIX: a function's address fits a data pointer");
    memcpy(&context_state, &address, sizeof address);
}

// not run on the stand-in: as above. True also where nobody can tell.
bool has_context(int index)
{
    unsigned flags = 0;
    int active     = 0;
    (void)pthread_once(&context_state_once, find_context_state);
    return context_state == nullptr || context_state(index, &flags, &active) != 0 || active != 0;
}

hdl_status out_of_memory(hdl_backend_device *device, const char *what, size_t bytes)
{
    size_t available = 0, total = 0;
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) available = 0;
    return fail(device, HDL_ENOMEM, "%s: %zu bytes needed, %zu free", what, bytes, available);
}

}  // namespace

hdl_status device_load_kernels(hdl_backend_device *device)
{
    if (device->lost) return fail(device, HDL_EDEVICE, "a new stream: %s:%d is lost", kBackendName, device->index);
    (void)pthread_mutex_lock(&loading);
    const hdl_status status = device->loaded ? HDL_OK : load_all(device);
    device->loaded          = status == HDL_OK;
    (void)pthread_mutex_unlock(&loading);
    return status;
}

void put_device_back(int index)
{
    if (kBackendKind == HDL_DEVICE_SIMT || has_context(index)) (void)cudaSetDevice(index);
}

DeviceScope::DeviceScope(const hdl_backend_device *device) : former_(-1)
{
    int current = -1;
    if (cudaGetDevice(&current) != cudaSuccess) current = -1;      // the error of another device, which is lost
    if (current == device->index) return;
    if (cudaSetDevice(device->index) == cudaSuccess) former_ = current;
}

DeviceScope::~DeviceScope()
{
    if (former_ >= 0) put_device_back(former_);
}

hdl_status fail(const hdl_backend_device *device, hdl_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(device->host, status, format, values);
    va_end(values);
    return status;
}

hdl_status check(const hdl_backend_device *device, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return HDL_OK;
    (void)cudaGetLastError();                        // one that does not stick would be found by the next call
    return fail(device, error == cudaErrorMemoryAllocation ? HDL_ENOMEM : HDL_EDEVICE, "%s: %s: %s", what,
                cudaGetErrorName(error), cudaGetErrorString(error));
}

hdl_status device_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    if (device->lost) return fail(device, HDL_EDEVICE, "device memory: %s:%d is lost", kBackendName, device->index);
    const DeviceScope scope(device);
    void *made = nullptr;
    if (device->hooks.alloc != nullptr) {
        made = device->hooks.alloc(bytes, kDeviceMemory, device->hooks.user);
    } else {
        const cudaError_t error = cudaMalloc(&made, bytes);
        if (error != cudaSuccess && error != cudaErrorMemoryAllocation) return check(device, error, "device memory");
        if (error != cudaSuccess) made = nullptr;
    }
    if (made == nullptr) return out_of_memory(device, "device memory", bytes);
    hdl_status status = HDL_OK;
    if (reinterpret_cast<uintptr_t>(made) % kBlockAlign != 0)
        status = fail(device, HDL_EINVAL, "device memory: the hook's block is not aligned to %zu bytes", kBlockAlign);
    if (status == HDL_OK)
        status = check(device, cudaMemsetAsync(made, 0, bytes, device->setup), "device memory");
    if (status == HDL_OK) status = check(device, cudaStreamSynchronize(device->setup), "device memory");
    if (status == HDL_OK) *block = made;
    else device_free(device, made, bytes);
    return status;
}

void device_free(hdl_backend_device *device, void *block, size_t bytes)
{
    if (block == nullptr || device->lost) return;
    const DeviceScope scope(device);
    if (device->hooks.free != nullptr) device->hooks.free(block, bytes, kDeviceMemory, device->hooks.user);
    else (void)cudaFree(block);
}

hdl_status device_write(hdl_backend_device *device, void *to, const void *from, size_t bytes)
{
    const DeviceScope scope(device);
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, device->setup);
    const hdl_status status = check(device, error, "copy to the device");
    return status == HDL_OK ? check(device, cudaStreamSynchronize(device->setup), "copy to the device") : status;
}

hdl_status pinned_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    const DeviceScope scope(device);
    void *made = nullptr;
    if (device->hooks.alloc != nullptr) {
        made = device->hooks.alloc(bytes, kPinnedMemory, device->hooks.user);
    } else {
        const cudaError_t error = cudaHostAlloc(&made, bytes, cudaHostAllocPortable);
        if (error != cudaSuccess && error != cudaErrorMemoryAllocation)
            return check(device, error, "pinned host memory");
        if (error != cudaSuccess) made = nullptr;
    }
    if (made == nullptr) return out_of_memory(device, "pinned host memory", bytes);
    memset(made, 0, bytes);
    *block = made;
    return HDL_OK;
}

void pinned_free(hdl_backend_device *device, void *block, size_t bytes)
{
    if (block == nullptr || device->lost) return;
    const DeviceScope scope(device);
    if (device->hooks.free != nullptr) device->hooks.free(block, bytes, kPinnedMemory, device->hooks.user);
    else (void)cudaFreeHost(block);
}

hdl_status device_count(const hdl_backend_host *host, int32_t *n)
{
    int count = 0;
    const hdl_status status = count_devices(host, &count);
    *n = count;
    return status;
}

hdl_status device_open(int index, const hdl_device_options *options, const hdl_backend_host *host,
                       hdl_backend_device **device)
{
    int count = 0;
    const hdl_status counted = count_devices(host, &count);
    if (counted != HDL_OK) return counted;
    if (index < 0 || index >= count)
        return say(host, HDL_EDEVICE, "%s: device %d was asked for, the driver sees %d, numbered from 0", kBackendName,
                   index, count);
    auto *made = static_cast<hdl_backend_device *>(host->alloc(sizeof(hdl_backend_device)));
    if (made == nullptr) return say(host, HDL_ENOMEM, "%s: no memory for the device", kBackendName);
    made->index = index;
    made->host  = host;
    if (options != nullptr && options->hooks != nullptr) made->hooks = *options->hooks;
    hdl_status status = options != nullptr ? keep_library_dir(made, options->library_dir) : HDL_OK;
    if (status == HDL_OK) status = prepare(made);
    if (status == HDL_OK && options != nullptr && options->products == HDL_PRODUCTS_CUBLASLT)
        status = product_library_open(made);
    if (status == HDL_OK) *device = made;
    else device_close(made);
    return status;
}

void device_close(hdl_backend_device *device)
{
    if (device == nullptr) return;
    const DeviceScope scope(device);
    if (device->setup != nullptr) (void)cudaStreamDestroy(device->setup);
    product_library_close(device);
    device->host->free(device->library_dir);
    device->host->free(device);
}

hdl_status device_describe(const hdl_backend_device *device, hdl_device_info *info)
{
    info->name         = kBackendName;
    info->description  = device->description;
    info->kind         = kBackendKind;
    info->index        = device->index;
    info->native_bf16  = 1;
    info->memory_bytes = device->memory_bytes;
    product_library_describe(device, info);
    return HDL_OK;
}

}  // namespace hdl
