// simt_memory.h - device memory, which the host cannot touch, and the host memory that copies may use.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cuda_runtime_api.h>

namespace simt {

struct Range {
    unsigned char *base;
    std::size_t bytes;
};

// One reservation holds the memory of all devices.
Range device_range();
bool is_device(const void *p);
int device_of(const void *p); // -1: host memory
// All of [p, p + bytes) lies in one block of cudaMallocHost, cudaHostAlloc or cudaHostRegister.
bool is_pinned(const void *p, std::size_t bytes);
// Flags given to cudaHostAlloc, and the size of the block that starts at p; 0 for other memory.
unsigned pinned_flags(const void *p);
std::size_t pinned_bytes(const void *p);
// All of [p, p + bytes) lies in one live block of cudaMalloc.
bool inside_one_block(const void *p, std::size_t bytes);
// Size of the live block of cudaMalloc that starts at p; 0 for other memory.
std::size_t device_bytes(const void *p);
// "byte 12 of 64 allocated", "byte 12 of 64 freed"; false when no block was ever there.
bool describe_address(const void *p, char *line, std::size_t line_bytes);

cudaError_t device_alloc(int device, std::size_t bytes, void **block);
cudaError_t device_release(void *block);
std::size_t device_used_bytes(int device);
// Calls that allocated, pinned memory included.
extern std::uint64_t allocations;

cudaError_t pinned_alloc(std::size_t bytes, unsigned flags, void **block);
cudaError_t pinned_release(void *block);
cudaError_t pinned_register(void *block, std::size_t bytes, unsigned flags);
cudaError_t pinned_unregister(void *block);

// While a window is open, the memory of the devices in its mask can be reached; otherwise a touch is a fault.
class DeviceWindow {
public:
    DeviceWindow() = default;
    ~DeviceWindow() { admit(0); }
    DeviceWindow(const DeviceWindow &) = delete;
    DeviceWindow &operator=(const DeviceWindow &) = delete;
    void admit(unsigned device_mask);
};
unsigned admitted_devices();

// Prints what a touch of forbidden memory was, then lets the process die of it.
void install_guard();
// For a thread that runs kernels: so that it can be said which of their stacks has overflowed.
void guard_this_thread();

} // namespace simt
