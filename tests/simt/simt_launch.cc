// simt_launch.cc - launches: refused where a device would refuse them, else queued; what a program asks about its kernels.
#include "simt_api.h"
#include "simt_capture.h"
#include "simt_fault.h"
#include "simt_grid.h"
#include "simt_hooks.h"
#include "simt_memory.h"
#include "simt_symbol.h"
#include <unordered_map>
#include <unordered_set>

using namespace simt;

namespace {

// Limits of compute capability 9.0, from the CUDA programming guide's table of technical specifications.
constexpr unsigned kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535;
constexpr unsigned kMaxBlockXY = 1024, kMaxBlockZ = 64;
constexpr size_t kPlainSharedBytes = 48 * 1024;         // more must be asked for with cudaFuncSetAttribute
constexpr size_t kMostArgumentBytes = 4096;             // what every driver takes; since CUDA 12.1 some take more
constexpr size_t kSharedPerMultiprocessor = 228 * 1024;
constexpr size_t kSharedReservedPerBlock = 1024;
constexpr unsigned kThreadsPerMultiprocessor = 2048, kBlocksPerMultiprocessor = 32;
constexpr int kRegisters = 32; // nobody counts them here; a number that lets every block be resident

uint64_t launches_run = 0;

// cudaFuncAttributeMaxDynamicSharedMemorySize of each kernel that set it, by (device, kernel).
std::unordered_map<const void *, int> &shared_limits(int device)
{
    static auto *const limits = new std::unordered_map<const void *, int>[kMaxDevices];
    return limits[device];
}

// Kernels whose code is on the device: those that were asked for their attributes, or launched outside a capture.
std::unordered_set<const void *> &loaded_kernels(int device)
{
    static auto *const loaded = new std::unordered_set<const void *>[kMaxDevices];
    return loaded[device];
}

// A device loads a kernel when it is first used, and loading may wait for the device: not inside a capture. The real
// runtime may get through; it does not promise to.
void note_use(const Stream &stream, const void *function)
{
    if (!stream.capture) loaded_kernels(stream.device).insert(function);
    else if (!loaded_kernels(stream.device).count(function))
        fault("kernel %s is first used inside a capture: cudaFuncGetAttributes loads it before", function_name(function));
}

size_t shared_limit(int device, const void *function)
{
    auto it = shared_limits(device).find(function);
    return it == shared_limits(device).end() ? kPlainSharedBytes : size_t(it->second);
}

bool is_dimension(dim3 d, unsigned x, unsigned y, unsigned z)
{
    return d.x && d.y && d.z && d.x <= x && d.y <= y && d.z <= z;
}

unsigned resident_blocks(unsigned threads, size_t smem_bytes)
{
    unsigned whole_warps = (threads + kWarpSize - 1) / kWarpSize * kWarpSize;
    unsigned by_threads = kThreadsPerMultiprocessor / whole_warps;
    unsigned by_shared = unsigned(kSharedPerMultiprocessor / (smem_bytes + kSharedReservedPerBlock));
    unsigned blocks = by_threads < by_shared ? by_threads : by_shared;
    return blocks < kBlocksPerMultiprocessor ? blocks : kBlocksPerMultiprocessor;
}

cudaError_t check_attributes(const cudaLaunchConfig_t &config)
{
    for (unsigned i = 0; i < config.numAttrs; ++i) {
        const cudaLaunchAttribute &a = config.attrs[i];
        switch (a.id) {
        case cudaLaunchAttributeIgnore:
        case cudaLaunchAttributePriority:
        case cudaLaunchAttributeProgrammaticStreamSerialization: // allows overlap, promises none
            break;
        case cudaLaunchAttributeCooperative: {
            unsigned threads = config.blockDim.x * config.blockDim.y * config.blockDim.z;
            unsigned long long blocks = 1ull * config.gridDim.x * config.gridDim.y * config.gridDim.z;
            unsigned long long resident =
                1ull * unsigned(simt::config().multiprocessors) * resident_blocks(threads, config.dynamicSmemBytes);
            // The stand-in itself keeps kMaxResident blocks alive; more could wait for each other for ever.
            if (a.val.cooperative && (blocks > resident || blocks > kMaxResident)) return cudaErrorCooperativeLaunchTooLarge;
            break;
        }
        default: return cudaErrorNotSupported;
        }
    }
    return cudaSuccess;
}

cudaError_t check_launch(const cudaLaunchConfig_t &config, const void *function, int device)
{
    if (!is_dimension(config.gridDim, kMaxGridX, kMaxGridYZ, kMaxGridYZ)) return cudaErrorInvalidConfiguration;
    if (!is_dimension(config.blockDim, kMaxBlockXY, kMaxBlockXY, kMaxBlockZ)) return cudaErrorInvalidConfiguration;
    if (config.blockDim.x * config.blockDim.y * config.blockDim.z > kMaxThreads) return cudaErrorInvalidConfiguration;
    if (config.dynamicSmemBytes > shared_limit(device, function)) return cudaErrorInvalidValue;
    if (config.dynamicSmemBytes > simt::config().shared_bytes) return cudaErrorInvalidValue; // it has been lowered since
    return check_attributes(config);
}

void run_launch(const Launch &launch)
{
    ++launches_run;
    cudaError_t asked = take_failure("kernel");
    if (asked != cudaSuccess) return fail_running_work(asked);
    unsigned long faults = fault_count();
    if (!run_grid(launch) && fault_count() == faults) fail_running_work(cudaErrorLaunchFailure);
}

} // namespace

namespace simt {

cudaError_t enqueue_launch(const cudaLaunchConfig_t &config, const char *name, const void *function,
                           std::function<void()> body, ArgumentImage arguments)
{
    return api("cudaLaunchKernelEx", kPlain, [&] {
        Stream *stream = find_stream(config.stream, current_device());
        if (!stream || stream->device != current_device()) return cudaErrorInvalidResourceHandle;
        cudaError_t error = check_launch(config, function, stream->device);
        if (error != cudaSuccess) return error;
        if (arguments.bytes.size() > kMostArgumentBytes) return cudaErrorInvalidValue;
        note_use(*stream, function);
        Launch launch{name ? name : function_name(function), config.gridDim, config.blockDim, config.dynamicSmemBytes,
                      std::move(body)};
        Node node;
        node.what = std::string("kernel ") + launch.kernel_name;
        node.devices = 1u << stream->device;
        node.function = function;
        node.grid = config.gridDim;
        node.block = config.blockDim;
        node.smem_bytes = config.dynamicSmemBytes;
        node.arguments = std::make_shared<const ArgumentImage>(std::move(arguments));
        node.prepare = [launch]() -> std::function<void()> { return [launch] { run_launch(launch); }; };
        return submit(stream, std::move(node));
    });
}

} // namespace simt

extern "C" {

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value)
{
    return api("cudaFuncSetAttribute", kPlain, [&] {
        if (!function) return cudaErrorInvalidDeviceFunction;
        if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess; // a hint
        if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || size_t(value) > config().shared_bytes)
            return cudaErrorInvalidValue;
        shared_limits(current_device())[function] = value;
        return cudaSuccess;
    });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function)
{
    constexpr int kVersion = 90;
    return api("cudaFuncGetAttributes", kPlain, [&] {
        if (!attributes || !function) return cudaErrorInvalidValue;
        loaded_kernels(current_device()).insert(function);
        *attributes = cudaFuncAttributes{};
        attributes->maxThreadsPerBlock = int(kMaxThreads);
        attributes->numRegs = kRegisters;
        attributes->binaryVersion = attributes->ptxVersion = kVersion;
        attributes->maxDynamicSharedSizeBytes = int(shared_limit(current_device(), function));
        return cudaSuccess;
    });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int threads, size_t smem_bytes)
{
    return api("cudaOccupancyMaxActiveBlocksPerMultiprocessor", kPlain, [&] {
        if (!blocks || !function || threads < 1 || unsigned(threads) > kMaxThreads) return cudaErrorInvalidValue;
        bool fits = smem_bytes <= shared_limit(current_device(), function);
        return *blocks = fits ? int(resident_blocks(unsigned(threads), smem_bytes)) : 0, cudaSuccess;
    });
}

uint64_t simt_launches(void) { return launches_run; }

} // extern "C"
