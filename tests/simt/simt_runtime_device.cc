// simt_runtime_device.cc - the CUDA runtime's functions about devices: how many, which one, what it can do.
#include "simt_api.h"
#include "simt_config.h"
#include "simt_grid.h"
#include "simt_hooks.h"
#include <cstdio>
#include <cstring>

using namespace simt;

namespace {

// The device that is played has the limits of compute capability 9.0, from the CUDA programming guide.
constexpr int kMajor = 9, kMinor = 0;
int major_of[kMaxDevices], minor_of[kMaxDevices]; // 0: kMajor and kMinor; simt_set_capability
constexpr int kPlainSharedBytes = 48 * 1024, kSharedPerMultiprocessor = 228 * 1024, kReservedShared = 1024;
constexpr int kThreadsPerMultiprocessor = 2048, kBlocksPerMultiprocessor = 32;
constexpr int kRegistersPerBlock = 65536;
constexpr int kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535, kMaxBlockXY = 1024, kMaxBlockZ = 64;
constexpr int kCacheBytes = 4 << 20; // small, so that what adapts to it takes its smallest form

bool is_device_number(int device) { return device >= 0 && device < config().devices; }

void fill_properties(cudaDeviceProp *p, int device)
{
    std::memset(p, 0, sizeof *p);
    std::snprintf(p->name, sizeof p->name, "CPU stand-in %d", device);
    p->uuid.bytes[0] = char(device + 1);
    p->totalGlobalMem = config().memory_bytes;
    p->sharedMemPerBlock = kPlainSharedBytes;
    p->sharedMemPerBlockOptin = config().shared_bytes;
    p->sharedMemPerMultiprocessor = kSharedPerMultiprocessor;
    p->reservedSharedMemPerBlock = kReservedShared;
    p->regsPerBlock = p->regsPerMultiprocessor = kRegistersPerBlock;
    p->warpSize = int(kWarpSize);
    p->maxThreadsPerBlock = int(kMaxThreads);
    p->maxThreadsPerMultiProcessor = kThreadsPerMultiprocessor;
    p->maxBlocksPerMultiProcessor = kBlocksPerMultiprocessor;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = kMaxBlockXY;
    p->maxThreadsDim[2] = kMaxBlockZ;
    p->maxGridSize[0] = kMaxGridX;
    p->maxGridSize[1] = p->maxGridSize[2] = kMaxGridYZ;
    p->major = major_of[device] ? major_of[device] : kMajor;
    p->minor = major_of[device] ? minor_of[device] : kMinor;
    p->multiProcessorCount = config().multiprocessors;
    p->l2CacheSize = kCacheBytes;
    p->canMapHostMemory = p->unifiedAddressing = p->concurrentKernels = 1;
    p->hostRegisterSupported = p->canUseHostPointerForRegisteredMem = 1;
    p->streamPrioritiesSupported = p->cooperativeLaunch = p->asyncEngineCount = 1;
    p->pciBusID = device + 1;
}

// False: an attribute that nothing of ours has asked for yet.
bool find_attribute(const cudaDeviceProp &p, cudaDeviceAttr attribute, int *value)
{
    const struct {
        cudaDeviceAttr attribute;
        int value;
    } known[] = {
        {cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock},
        {cudaDevAttrMaxBlockDimX, p.maxThreadsDim[0]},
        {cudaDevAttrMaxBlockDimY, p.maxThreadsDim[1]},
        {cudaDevAttrMaxBlockDimZ, p.maxThreadsDim[2]},
        {cudaDevAttrMaxGridDimX, p.maxGridSize[0]},
        {cudaDevAttrMaxGridDimY, p.maxGridSize[1]},
        {cudaDevAttrMaxGridDimZ, p.maxGridSize[2]},
        {cudaDevAttrMaxSharedMemoryPerBlock, int(p.sharedMemPerBlock)},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, int(p.sharedMemPerBlockOptin)},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, int(p.sharedMemPerMultiprocessor)},
        {cudaDevAttrReservedSharedMemoryPerBlock, int(p.reservedSharedMemPerBlock)},
        {cudaDevAttrMaxRegistersPerBlock, p.regsPerBlock},
        {cudaDevAttrMaxRegistersPerMultiprocessor, p.regsPerMultiprocessor},
        {cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor},
        {cudaDevAttrMaxBlocksPerMultiprocessor, p.maxBlocksPerMultiProcessor},
        {cudaDevAttrWarpSize, p.warpSize},
        {cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
        {cudaDevAttrComputeCapabilityMajor, p.major},
        {cudaDevAttrComputeCapabilityMinor, p.minor},
        {cudaDevAttrL2CacheSize, p.l2CacheSize},
        {cudaDevAttrConcurrentKernels, p.concurrentKernels},
        {cudaDevAttrCanMapHostMemory, p.canMapHostMemory},
        {cudaDevAttrUnifiedAddressing, p.unifiedAddressing},
        {cudaDevAttrCooperativeLaunch, p.cooperativeLaunch},
        {cudaDevAttrStreamPrioritiesSupported, p.streamPrioritiesSupported},
        {cudaDevAttrAsyncEngineCount, p.asyncEngineCount},
        {cudaDevAttrIntegrated, 0},
        {cudaDevAttrManagedMemory, 0},
        {cudaDevAttrMemoryPoolsSupported, 0},
        {cudaDevAttrPageableMemoryAccess, 0},
        {cudaDevAttrClusterLaunch, 0},
        {cudaDevAttrPciBusId, p.pciBusID},
        {cudaDevAttrPciDeviceId, 0},
        {cudaDevAttrClockRate, 1000000},
        {cudaDevAttrMemoryClockRate, 1000000},
    };
    for (const auto &row : known)
        if (row.attribute == attribute) return *value = row.value, true;
    return false;
}

} // namespace

extern "C" {

void simt_set_capability(int device, int major, int minor)
{
    major_of[device] = major;
    minor_of[device] = minor;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    if (!count) return cudaErrorInvalidValue;
    *count = 0;
    return api("cudaGetDeviceCount", kIgnoresError, [&] { return *count = config().devices, cudaSuccess; });
}

cudaError_t cudaSetDevice(int device)
{
    return api("cudaSetDevice", kIgnoresError, [&] {
        if (!is_device_number(device)) return cudaErrorInvalidDevice;
        return set_current_device(device), cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int *device)
{
    return api("cudaGetDevice", kIgnoresError, [&] { return *device = current_device(), cudaSuccess; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    return api("cudaGetDeviceProperties", kIgnoresError, [&] {
        if (!is_device_number(device)) return cudaErrorInvalidDevice;
        return fill_properties(properties, device), cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    return api("cudaDeviceGetAttribute", kIgnoresError, [&] {
        if (!is_device_number(device)) return cudaErrorInvalidDevice;
        cudaDeviceProp properties;
        fill_properties(&properties, device);
        return find_attribute(properties, attribute, value) ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int device)
{
    return api("cudaDeviceGetPCIBusId", kIgnoresError, [&] {
        if (!is_device_number(device)) return cudaErrorInvalidDevice;
        return std::snprintf(text, size_t(bytes), "0000:%02x:00.0", unsigned(device + 1)) < bytes ? cudaSuccess
                                                                                                 : cudaErrorInvalidValue;
    });
}

cudaError_t cudaSetDeviceFlags(unsigned)
{
    return api("cudaSetDeviceFlags", kIgnoresError, [] { return cudaSuccess; });
}

// Without a driver the version is 0, and asking is no error.
cudaError_t cudaDriverGetVersion(int *version)
{
    return api("cudaDriverGetVersion", kNoDevice,
               [&] { return *version = config().driver ? CUDART_VERSION : 0, cudaSuccess; });
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    return api("cudaRuntimeGetVersion", kNoDevice, [&] { return *version = CUDART_VERSION, cudaSuccess; });
}

} // extern "C"
