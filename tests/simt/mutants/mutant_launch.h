// mutant_launch.h - device buffers and launches for the broken kernels and their twins.
#ifndef HEDDLE_SIMT_MUTANT_LAUNCH_H
#define HEDDLE_SIMT_MUTANT_LAUNCH_H

#include "simt_fault.h"

#include <cuda_runtime.h>

namespace simt_mutants {

constexpr unsigned kWarp  = 32;
constexpr unsigned kBlock = 128; // threads: more than one warp

// `count` zeros on the device.
template <class T> class Buffer {
public:
    explicit Buffer(size_t count)
    {
        cudaMalloc(&at, count * sizeof(T));
        cudaMemset(at, 0, count * sizeof(T));
        cudaDeviceSynchronize(); // the fill is queued; carves count at once
    }
    ~Buffer() { cudaFree(at); }
    Buffer(const Buffer &)            = delete;
    Buffer &operator=(const Buffer &) = delete;

    T *at = nullptr;
};

// Launches and waits. A refusal counts as the report of what is wrong.
template <class... Want, class... Give>
void launch(unsigned blocks, unsigned threads, size_t smem_bytes, void (*kernel)(Want...), Give... arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim            = dim3(blocks);
    config.blockDim           = dim3(threads);
    config.dynamicSmemBytes   = smem_bytes;
    const cudaError_t error   = cudaLaunchKernelEx(&config, kernel, arguments...);
    if (error != cudaSuccess) simt::fault("launch refused: %s", cudaGetErrorString(error));
    cudaDeviceSynchronize();
}

} // namespace simt_mutants

#endif
