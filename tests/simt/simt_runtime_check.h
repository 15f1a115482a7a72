// simt_runtime_check.h - what the parts of the runtime's check share: counting, buffers, a kernel.
#ifndef HEDDLE_SIMT_RUNTIME_CHECK_H
#define HEDDLE_SIMT_RUNTIME_CHECK_H

#include <cstdio>
#include <cuda_runtime.h>

namespace runtime_check {

void check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_error(cudaError_t found, cudaError_t wanted, const char *what);

constexpr int kNumbers = 200; // no multiple of a block
constexpr int kThreads = 64;
constexpr size_t kBytes = kNumbers * sizeof(int);

// Two streams that CUDA does not order, three device buffers, two pinned ones.
struct Bench {
    explicit Bench(unsigned stream_flags = cudaStreamNonBlocking);
    ~Bench();
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    // Pinned numbers first, first + 1, ...
    void count_from(int first);
    // All numbers of `block` are first + i; waits for the device.
    bool holds(const int *block, int first);

    cudaStream_t one = nullptr, two = nullptr;
    cudaEvent_t event = nullptr;
    int *a = nullptr, *b = nullptr, *c = nullptr;
    int *pinned = nullptr, *answer = nullptr;
};

cudaLaunchConfig_t grid_on(cudaStream_t stream);
// to[i] = from[i] + add
cudaError_t add_on(cudaStream_t stream, int *to, const int *from, int add);
const void *add_kernel_address();

void check_copies();
void check_events();
void check_legacy_stream();
void check_graphs();
void check_capture_errors();
void check_memory();
void check_launch_limits();
void check_devices();
void check_failures();

} // namespace runtime_check

#endif
