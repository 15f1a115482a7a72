/*
 * cuda_backend.cuh - what stands behind the table's handles, and how CUDA's errors become ours.
 *
 * A device is the primary context of one GPU; nothing here is global. Every entry of the table makes its device the
 * thread's current one for the length of the call (DeviceScope) and leaves the caller's choice as it was
 * (put_device_back).
 */
#pragma once
#include <cuda_runtime.h>
#include <heddle/backend.h>

constexpr int kDescriptionBytes = 192;

namespace hdl {
struct ProductLibrary;                               // gemm_library.cuh
}

struct hdl_backend_device {
    int                     index;              // CUDA's number of the device
    const hdl_backend_host *host;               // lends the error line and host memory
    hdl_memory_hooks        hooks;              // alloc == nullptr: CUDA's own memory
    cudaStream_t            setup;              // copies and zeroing outside any stream of the caller's
    int                     major, minor;       // compute capability
    int                     sm_count;
    size_t                  max_shared_bytes;   // of one block, after the attribute is raised
    uint64_t                memory_bytes;
    char                    description[kDescriptionBytes];
    char                   *library_dir;        // of the options, or nullptr: where optional libraries are looked for first
    bool                    loaded;             // all kernels are on it; device.cu has the lock
    bool                    lost;               // work on it never ends (group.cu): nothing may wait for it
    hdl::ProductLibrary    *products;           // cuBLASLt, where the caller asked for it; nullptr: ours
};

struct hdl_retired_scratch {                    // outgrown; recordings may still name it
    hdl_retired_scratch *next;
    void                *block;
    size_t               bytes;
};

struct hdl_backend_stream {
    hdl_backend_device  *device;
    cudaStream_t         native;
    bool                 owned;                 // false: wrapped, the caller's
    unsigned char       *scratch;               // one op at a time uses it, from offset 0
    size_t               scratch_bytes;
    hdl_stream_limits    limits;                // what the scratch was made for
    hdl_retired_scratch *retired;               // freed with the stream
    uint64_t             launches;              // kernels queued or recorded since it was made
    uint64_t             recorded_from;         // of these, when the recording that is being made began
};

namespace hdl {

// Makes a device current again that was so before, if it is in use: since CUDA 12 cudaSetDevice makes the context of the
// device that it names, which takes hundreds of MB, and a thread that never chose has device 0.
void put_device_back(int index);

// Makes the device current for this thread; puts the former one back at the end.
class DeviceScope {
public:
    explicit DeviceScope(const hdl_backend_device *device);
    ~DeviceScope();
    DeviceScope(const DeviceScope &) = delete;
    DeviceScope &operator=(const DeviceScope &) = delete;

private:
    int former_;                                // -1: nothing to put back
};

// Records the line of detail; returns `status`.
__attribute__((format(printf, 3, 4)))
hdl_status fail(const hdl_backend_device *device, hdl_status status, const char *format, ...);

// HDL_OK, HDL_ENOMEM or HDL_EDEVICE with the line "what: cudaErrorName: text".
hdl_status check(const hdl_backend_device *device, cudaError_t error, const char *what);

// Device memory, 256-byte aligned, zeroed, through the hooks; freeing NULL is fine. Freeing waits for the device, so
// that of one that is lost all memory stays taken, and no more is given.
hdl_status device_alloc(hdl_backend_device *device, size_t bytes, void **block);
void       device_free(hdl_backend_device *device, void *block, size_t bytes);

// A copy that is done when it returns, for weights and tables at load. Never on a caller's stream.
hdl_status device_write(hdl_backend_device *device, void *to, const void *from, size_t bytes);

// hdl_dtype_bytes for the dtypes that weights, tables and hidden rows have; the library's own is not linked here.
inline size_t dtype_bytes(hdl_dtype dtype) { return dtype == HDL_F32 ? 4 : dtype == HDL_I8 ? 1 : 2; }

// Bytes of scratch that the ops of one author's files need for these limits; the largest is what a stream gets.
size_t gemm_scratch_bytes(const hdl_stream_limits &limits);
size_t logit_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits &limits);
size_t attention_scratch_bytes(const hdl_stream_limits &limits);

// Function attributes (shared memory past 48 KiB), set once with the device's first stream, so that no op sets any.
hdl_status gemm_prepare(hdl_backend_device *device);
hdl_status logit_prepare(hdl_backend_device *device);
hdl_status attention_prepare(hdl_backend_device *device);

// `bytes` of scratch for an op, or HDL_EWORKSPACE with the sizes when the stream was reserved for less.
hdl_status scratch(hdl_backend_stream *stream, const char *op, size_t bytes, void **block);

}  // namespace hdl
