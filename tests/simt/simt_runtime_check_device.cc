// simt_runtime_check_device.cc - memory, launch limits, devices, and failures that a test asks for.
#include "simt_hooks.h"
#include "simt_runtime_check.h"
#include <cstdint>
#include <cstring>

namespace runtime_check {
namespace {

constexpr size_t kFourth = size_t(1) << 29; // of the 2 GiB that a device has when nobody says otherwise

bool is_lost(cudaError_t error) { return error == cudaErrorLaunchFailure; }

} // namespace

void check_memory()
{
    size_t before = 0, total = 0, now = 0;
    cudaMemGetInfo(&before, &total);
    check(before == total - simt_used_bytes(0), "free and used bytes make the whole");
    char *small = nullptr, *large = nullptr;
    check_error(cudaMalloc(&small, 10), cudaSuccess, "10 bytes");
    check_error(cudaMalloc(&large, kFourth), cudaSuccess, "a quarter of the memory");
    check(reinterpret_cast<uintptr_t>(small) % 256 == 0 && reinterpret_cast<uintptr_t>(large) % 256 == 0,
          "blocks are aligned to 256 bytes");
    cudaMemGetInfo(&now, &total);
    check(now == before - kFourth - 10, "free bytes follow");
    void *never = nullptr;
    check_error(cudaMalloc(&never, total), cudaErrorMemoryAllocation, "more than there is");
    check_error(cudaGetLastError(), cudaErrorMemoryAllocation, "the last error");
    check_error(cudaGetLastError(), cudaSuccess, "is given once");
    // Fresh memory is poisoned, in small blocks and in large ones.
    unsigned char found[4] = {};
    for (char *place : {small, large + kFourth - 4}) {
        cudaMemcpy(found, place, sizeof found, cudaMemcpyDeviceToHost);
        check(found[0] == 0xff && found[3] == 0xff, "fresh memory is poisoned");
    }
    check_error(cudaFree(small + 1), cudaErrorInvalidValue, "freeing the middle of a block");
    check_error(cudaFree(small), cudaSuccess, "free");
    check_error(cudaFree(small), cudaErrorInvalidValue, "free twice");
    check_error(cudaFree(large), cudaSuccess, "free");
    check_error(cudaFree(nullptr), cudaSuccess, "free nothing");
    check(simt_used_bytes(0) == total - before, "all is given back");
    // Addresses are dealt round and round, so many more bytes than there are can be had one after another.
    for (int i = 0; i < 20; ++i) {
        check_error(cudaMalloc(&large, 3 * kFourth), cudaSuccess, "again");
        cudaFree(large);
    }

    int *pinned = nullptr, on_stack = 0;
    cudaPointerAttributes about;
    check_error(cudaHostAlloc(&pinned, 64, cudaHostAllocDefault), cudaSuccess, "pinned memory");
    cudaPointerGetAttributes(&about, pinned + 3);
    check(about.type == cudaMemoryTypeHost, "pinned memory is known");
    cudaPointerGetAttributes(&about, &on_stack);
    check(about.type == cudaMemoryTypeUnregistered, "other memory is not");
    check_error(cudaHostRegister(&on_stack, sizeof on_stack, cudaHostRegisterDefault), cudaSuccess, "register");
    check_error(cudaFreeHost(&on_stack), cudaErrorInvalidValue, "freeing registered memory");
    check_error(cudaHostUnregister(&on_stack), cudaSuccess, "unregister");
    check_error(cudaFreeHost(pinned), cudaSuccess, "free pinned memory");
    (void)cudaGetLastError();
}

void check_launch_limits()
{
    Bench t;
    cudaMemsetAsync(t.a, 0, kBytes, t.one);
    cudaLaunchConfig_t config = grid_on(t.one);
    auto launch = [&] { return cudaLaunchKernelEx(&config, *reinterpret_cast<void (*)(int *, const int *, int, int)>(
                                                              reinterpret_cast<uintptr_t>(add_kernel_address())),
                                                  t.b, t.a, 0, 0); };
    check_error(launch(), cudaSuccess, "a launch");
    config.blockDim = dim3(1024, 2);
    check_error(launch(), cudaErrorInvalidConfiguration, "2048 threads");
    config.blockDim = dim3(1, 1, 65);
    check_error(launch(), cudaErrorInvalidConfiguration, "65 threads deep");
    config.blockDim = dim3(32);
    config.gridDim = dim3(1, 65536);
    check_error(launch(), cudaErrorInvalidConfiguration, "65536 blocks high");
    config.gridDim = dim3(0);
    check_error(launch(), cudaErrorInvalidConfiguration, "no block");
    config.gridDim = dim3(1);
    config.dynamicSmemBytes = 48 * 1024 + 16;
    check_error(launch(), cudaErrorInvalidValue, "shared memory past 48 KiB");
    const void *kernel = add_kernel_address();
    check_error(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024), cudaErrorInvalidValue,
                "asking for more than there is");
    check_error(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 * 1024), cudaSuccess, "asking");
    check_error(launch(), cudaSuccess, "then it is allowed");
    int blocks = 0;
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 256, 64 * 1024);
    check(blocks == 3, "%d blocks of 64 KiB are resident, wanted 3", blocks);
    cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 256, 0);
    check(blocks == 8, "%d blocks of 256 threads are resident, wanted 8", blocks);
    cudaFuncAttributes about;
    cudaFuncGetAttributes(&about, kernel);
    check(about.maxDynamicSharedSizeBytes == 64 * 1024, "the attribute is told");
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 48 * 1024);
    (void)cudaGetLastError();
    check_error(cudaStreamSynchronize(t.one), cudaSuccess, "a refused launch has queued nothing");
}

// 64 bytes from the first device to the second, whose block and stream are given.
void check_peer_copies(char *block, cudaStream_t there)
{
    char sent[64], back[64] = "";
    char *here = nullptr;
    for (int i = 0; i < 64; ++i) sent[i] = char(i + 1);
    cudaMalloc(&here, 64);
    check_error(cudaMemcpy(here, sent, 64, cudaMemcpyHostToDevice), cudaSuccess, "bytes of the first device");
    check_error(cudaDeviceSynchronize(), cudaSuccess, "are there");
    check_error(cudaMemcpyPeerAsync(block, 1, here, 1, 64, there), cudaErrorInvalidDevice, "a peer copy that names the wrong source");
    check_error(cudaMemcpyPeerAsync(block, 0, here, 0, 64, there), cudaErrorInvalidDevice, "or the wrong destination");
    check_error(cudaMemcpyPeerAsync(sent, 1, here, 0, 64, there), cudaErrorInvalidValue, "or host memory");
    check_error(cudaMemcpyPeerAsync(block, 1, here, 0, 64, there), cudaSuccess, "a peer copy");
    check_error(cudaStreamSynchronize(there), cudaSuccess, "and its end");
    cudaMemcpy(back, block, 64, cudaMemcpyDeviceToHost);
    check(std::memcmp(sent, back, 64) == 0, "has brought the bytes");
    cudaFree(here);
    (void)cudaGetLastError();
    cudaDeviceProp about;
    simt_set_capability(1, 8, 6);
    cudaGetDeviceProperties(&about, 1);
    check(about.major == 8 && about.minor == 6, "a capability that was set");
    simt_set_capability(1, 0, 0);
    cudaGetDeviceProperties(&about, 1);
    check(about.major == 9 && about.minor == 0, "and the usual one");
    constexpr size_t kUsualShared = 227 * 1024, kSmallShared = 99 * 1024; // of 9.0 and of 8.6
    simt_set_shared_limit(kSmallShared);
    cudaGetDeviceProperties(&about, 0);
    check(about.sharedMemPerBlockOptin == kSmallShared, "a limit of shared memory that was set");
    simt_set_shared_limit(0);
    cudaGetDeviceProperties(&about, 0);
    check(about.sharedMemPerBlockOptin == kUsualShared, "and the usual one");
}

void check_devices()
{
    int n = -1, device = -1, version = -1;
    check_error(cudaGetDeviceCount(&n), cudaSuccess, "count");
    check(n == 1, "one device, found %d", n);
    simt_set_devices(2);
    cudaSetDevice(1);
    cudaGetDevice(&device);
    check(device == 1, "the second device");
    char *block = nullptr;
    cudaMalloc(&block, 64);
    check(simt_used_bytes(1) == 64, "memory of the second device");
    cudaStream_t there;
    cudaStreamCreateWithFlags(&there, cudaStreamNonBlocking);
    check_error(cudaMemsetAsync(block, 0, 64, there), cudaSuccess, "work of the second device");
    check_error(cudaStreamSynchronize(there), cudaSuccess, "and its end");
    cudaSetDevice(0);
    cudaLaunchConfig_t config = grid_on(there);
    check_error(cudaLaunchKernelEx(&config, *reinterpret_cast<void (*)(int)>(reinterpret_cast<uintptr_t>(add_kernel_address())), 0),
                cudaErrorInvalidResourceHandle, "a launch on a stream of another device");
    check_peer_copies(block, there);
    cudaStreamDestroy(there);
    cudaFree(block);
    check_error(cudaSetDevice(2), cudaErrorInvalidDevice, "a third device");
    simt_set_devices(0);
    check_error(cudaGetDeviceCount(&n), cudaErrorNoDevice, "no device");
    check(n == 0, "and none is counted");
    simt_set_devices(-1);
    check_error(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver, "no driver");
    check_error(cudaMalloc(&block, 16), cudaErrorInsufficientDriver, "nothing works without a driver");
    check_error(cudaDriverGetVersion(&version), cudaSuccess, "but asking for its version");
    check(version == 0, "which is 0");
    check_error(cudaRuntimeGetVersion(&version), cudaSuccess, "the runtime has one");
    simt_set_devices(1);
    int value = 0;
    check_error(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess, "attribute");
    check(value == 227 * 1024, "227 KiB of shared memory");
    (void)cudaGetLastError();
}

void check_failures()
{
    char *block = nullptr;
    simt_fail_next("cudaMalloc", cudaErrorMemoryAllocation, 1);
    check_error(cudaMalloc(&block, 16), cudaSuccess, "the call before the failure");
    cudaFree(block);
    check_error(cudaMalloc(&block, 16), cudaErrorMemoryAllocation, "the failure");
    check_error(cudaMalloc(&block, 16), cudaSuccess, "the call after it");
    cudaFree(block);
    {
        Bench t;
        t.count_from(0);
        cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
        cudaStreamSynchronize(t.one);
        simt_fail_next("kernel", cudaErrorLaunchFailure, 1);
        add_on(t.one, t.b, t.a, 1);
        add_on(t.one, t.c, t.b, 1);
        cudaMemcpyAsync(t.answer, t.c, kBytes, cudaMemcpyDeviceToHost, t.one);
        check(is_lost(cudaStreamSynchronize(t.one)), "a kernel that fails is told at the wait");
        check(t.answer[0] == -1, "what was queued behind it has not run");
        check(is_lost(cudaMalloc(&block, 16)) && is_lost(cudaGetLastError()) && is_lost(cudaGetLastError()),
              "the device answers nothing else");
        check(is_lost(cudaStreamSynchronize(t.two)), "on other streams neither");
    }
    simt_reset();
    check(simt_used_bytes(0) == 0, "memory is given back after a device error, %zu bytes are left", simt_used_bytes(0));
    check_error(cudaMalloc(&block, 16), cudaSuccess, "after a reset it works again");
    cudaFree(block);
    {
        Bench t;
        simt_fail_next("copy", cudaErrorECCUncorrectable, 0);
        cudaMemsetAsync(t.a, 0, kBytes, t.one);
        check_error(cudaStreamSynchronize(t.one), cudaErrorECCUncorrectable, "a fill that fails is told at the wait");
    }
    simt_reset();
    simt_fail_next("cudaStreamSynchronize", cudaErrorIllegalAddress, 0);
    check_error(cudaStreamSynchronize(nullptr), cudaErrorIllegalAddress, "an error of the device");
    check_error(cudaMalloc(&block, 16), cudaErrorIllegalAddress, "stays");
    simt_reset();
    check(std::strcmp(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice") == 0, "names of errors");
    check(std::strcmp(cudaGetErrorString(cudaError_t(12345)), "unrecognized error code") == 0, "an error without a name");
}

} // namespace runtime_check
