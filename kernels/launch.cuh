/*
 * launch.cuh - the one way in which a kernel is launched.
 *
 *     return launch(stream, "norm", norm_row_kernel<float>, dim3(blocks), dim3(kThreads), shared_bytes, args...);
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {

// Queues one kernel and counts it; arguments are converted to the parameters' types. `op` opens the line of detail on
// failure.
template <class... P, class... A>
hdl_status launch(hdl_backend_stream *stream, const char *op, void (*kernel)(P...), dim3 grid, dim3 block,
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
    return check(stream->device, cudaLaunchKernelEx(&config, kernel, static_cast<A &&>(args)...), op);
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
