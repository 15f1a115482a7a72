// simt_core_check.h - what the parts of the core's check share: counting, device buffers, launches.
//
// Only the runtime's own functions are used here, so the parts that ask nothing of the stand-in itself
// (fragments, warp, device) also compile with nvcc and say the same on a GPU.
#ifndef HEDDLE_SIMT_CORE_CHECK_H
#define HEDDLE_SIMT_CORE_CHECK_H

#include <cstdint>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

namespace core_check {

// Counts a check; a failed one prints its line.
void check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

// splitmix64 of the seed: inputs that depend on nothing else.
class Random {
public:
    explicit Random(uint64_t seed) : state(seed) {}
    uint32_t next()
    {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return static_cast<uint32_t>((z ^ z >> 31) >> 32);
    }

private:
    uint64_t state;
};

// An array on the device and its copy on the host.
template <class T> class Array {
public:
    explicit Array(size_t count) : host(count)
    {
        cudaMalloc(reinterpret_cast<void **>(&device), count * sizeof(T));
        cudaMemset(device, 0, count * sizeof(T));
        cudaDeviceSynchronize();
    }
    ~Array() { cudaFree(device); }
    Array(const Array &)            = delete;
    Array &operator=(const Array &) = delete;

    void upload() { cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice); }
    void download() { cudaMemcpy(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost); }

    std::vector<T> host;
    T *device = nullptr;
};

// Launches and waits.
template <class... Want, class... Give>
cudaError_t launch(dim3 blocks, dim3 threads, size_t smem_bytes, void (*kernel)(Want...), Give... arguments)
{
    cudaLaunchConfig_t config = {};
    config.gridDim            = blocks;
    config.blockDim           = threads;
    config.dynamicSmemBytes   = smem_bytes;
    const cudaError_t error   = cudaLaunchKernelEx(&config, kernel, arguments...);
    const cudaError_t waited  = cudaDeviceSynchronize();
    return error != cudaSuccess ? error : waited;
}

constexpr unsigned kWarp    = 32;
constexpr unsigned kAll     = 0xffffffffu;

// Under one schedule.
void check_fragments();
void check_warp();
void check_device();
void check_async();
void check_grid();
// Under any schedule.
void check_every_value();
// Under schedules of their own.
void check_schedules();
void check_faults();

} // namespace core_check

#endif
