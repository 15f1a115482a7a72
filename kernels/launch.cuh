/*
 * launch.cuh - the one way in which a kernel is launched.
 *
 *     return launch(stream, "norm", listed<norm_row_kernel<float>>, dim3(blocks), dim3(kThreads), shared_bytes, ...);
 *
 * What can be launched stands in a list, and the first stream of a device loads all of it (device.cu). Since CUDA 12 a
 * kernel's module is loaded when the kernel is first used; in a decode step that would be inside a stream capture,
 * where the runtime forbids what may wait for the device, or between two lanes' steps, where loading waits for both.
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {

struct KernelEntry {
    const void        *function;
    const char        *words;                        // the compiler's, which end with kKernelMark and the kernel's name
    const KernelEntry *next;
};

inline const KernelEntry *kernel_list;               // filled when the library is loaded

constexpr char kKernelMark[] = "kKernel = ";

template <auto kKernel> const char *kernel_words() { return __PRETTY_FUNCTION__; }

template <class... P> struct ListedKernel : KernelEntry {
    ListedKernel(void (*k)(P...), const char *words)
        : KernelEntry{reinterpret_cast<const void *>(k), words, kernel_list}, kernel(k)
    {
        kernel_list = this;
    }
    void (*kernel)(P...);
};

// Whoever names listed<some_kernel> has put it into the list. Of a kernel in a header each file has an entry.
template <auto kKernel> static const ListedKernel listed{kKernel, kernel_words<kKernel>()};

// Queues one kernel and counts it; arguments are converted to the parameters' types. `op` opens the line of detail on
// failure.
template <class... P, class... A>
hdl_status launch(hdl_backend_stream *stream, const char *op, const ListedKernel<P...> &entry, dim3 grid, dim3 block,
                  size_t shared_bytes, A &&...args)
{
    static_assert(sizeof...(P) == sizeof...(A), "a kernel needs a value for each of its parameters");
    const DeviceScope scope(stream->device);
    cudaLaunchConfig_t config = {};
    config.gridDim            = grid;
    config.blockDim           = block;
    config.dynamicSmemBytes   = shared_bytes;
    config.stream             = stream->native;
    ++stream->launches;
    return check(stream->device, cudaLaunchKernelEx(&config, entry.kernel, static_cast<A &&>(args)...), op);
}

// Lets a kernel take `bytes` of shared memory, past the 48 KiB that need no asking. For the *_prepare functions.
template <class... P>
hdl_status allow_shared(hdl_backend_device *device, const char *op, void (*kernel)(P...), size_t bytes)
{
    const DeviceScope scope(device);
    return check(device, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              static_cast<int>(bytes)), op);
}

}  // namespace hdl
