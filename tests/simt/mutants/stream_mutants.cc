// stream_mutants.cc - launch code that is wrong on the host's side: streams, staging buffers, recorded steps, freed memory.
#include "mutant.h"
#include "shadow.h"
#include "simt_hooks.h"
#include <cstring>
#include <cuda_runtime.h>

namespace simt_mutants {
namespace {

constexpr int kNumbers = 256;
constexpr int kThreads = 64;
constexpr size_t kBytes = kNumbers * sizeof(float);

__global__ void scale_kernel(float *to, const float *from, int n, float factor)
{
    int i = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) to[i] = from[i] * factor;
}

// The count is read from memory, so a recorded launch follows it.
__global__ void scale_counted_kernel(float *to, const float *from, const int *n, float factor)
{
    int i = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < *n) to[i] = from[i] * factor;
}

cudaLaunchConfig_t grid_for(cudaStream_t stream)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(kNumbers / kThreads);
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    return config;
}

void scale(cudaStream_t stream, float *to, const float *from, int n = kNumbers, float factor = 2.0f)
{
    cudaLaunchConfig_t config = grid_for(stream);
    cudaLaunchKernelEx(&config, scale_kernel, to, from, n, factor);
}

// Two streams that CUDA does not order, three buffers on the device (the first two hold zeros), one pinned.
struct Bench {
    cudaStream_t one, two;
    cudaEvent_t event;
    float *a, *b, *c, *pinned;

    Bench()
    {
        cudaStreamCreateWithFlags(&one, cudaStreamNonBlocking);
        cudaStreamCreateWithFlags(&two, cudaStreamNonBlocking);
        cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        for (float **block : {&a, &b, &c}) cudaMalloc(block, kBytes);
        cudaMallocHost(&pinned, kBytes);
        std::memset(pinned, 0, kBytes);
        cudaMemsetAsync(a, 0, kBytes, one);
        cudaMemsetAsync(b, 0, kBytes, one);
        cudaStreamSynchronize(one);
    }

    ~Bench()
    {
        cudaDeviceSynchronize();
        for (float *block : {a, b, c}) cudaFree(block);
        cudaFreeHost(pinned);
        cudaEventDestroy(event);
        cudaStreamDestroy(one);
        cudaStreamDestroy(two);
    }

    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    // Work of stream two waits for all that stream one holds.
    void order()
    {
        cudaEventRecord(event, one);
        cudaStreamWaitEvent(two, event, 0);
    }
};

void two_streams_write(bool ordered)
{
    Bench t;
    scale(t.one, t.c, t.a);
    if (ordered) t.order();
    scale(t.two, t.c, t.b);
    cudaDeviceSynchronize();
}

void upload_and_use(bool ordered)
{
    Bench t;
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    if (ordered) t.order();
    scale(t.two, t.c, t.a);
    cudaDeviceSynchronize();
}

void rewrite_staging(bool after_copy)
{
    Bench t;
    t.pinned[0] = 1.0f;
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    if (after_copy) cudaStreamSynchronize(t.one);
    t.pinned[0] = 2.0f;
    cudaMemcpyAsync(t.b, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    cudaStreamSynchronize(t.one);
}

void look_from_host(bool through_copy)
{
    Bench t;
    scale(t.one, t.c, t.a);
    if (through_copy) cudaMemcpyAsync(t.pinned, t.c, kBytes, cudaMemcpyDeviceToHost, t.one);
    cudaStreamSynchronize(t.one);
    volatile float first = through_copy ? t.pinned[0] : t.c[0];
    (void)first;
}

// The kernel that a recording holds has been loaded, as a device does at its first use.
template <class... T> void load(void (*kernel)(T...))
{
    cudaFuncAttributes about;
    cudaFuncGetAttributes(&about, kernel);
}

// Records a step twice, as a test does that wants to know whether a recording is still true later.
void record_step(bool counted)
{
    Bench t;
    int *count;
    load(scale_kernel);
    load(scale_counted_kernel);
    cudaMalloc(&count, sizeof *count);
    for (int n : {3, 4}) {
        std::memcpy(t.pinned, &n, sizeof n);
        cudaMemcpyAsync(count, t.pinned, sizeof n, cudaMemcpyHostToDevice, t.one);
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        cudaLaunchConfig_t config = grid_for(t.one);
        cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal);
        if (counted) cudaLaunchKernelEx(&config, scale_counted_kernel, t.c, t.a, count, 2.0f);
        else scale(t.one, t.c, t.a, n);
        cudaStreamEndCapture(t.one, &graph);
        cudaGraphInstantiate(&exec, graph, 0);
        cudaGraphLaunch(exec, t.one);
        cudaStreamSynchronize(t.one);
        cudaGraphExecDestroy(exec);
        cudaGraphDestroy(graph);
    }
    simt_compare_recordings();
    cudaFree(count);
}

void record_first_use(bool loaded)
{
    Bench t;
    cudaGraph_t graph;
    if (loaded) load(scale_kernel);
    cudaStreamBeginCapture(t.one, cudaStreamCaptureModeThreadLocal);
    scale(t.one, t.c, t.a);
    cudaStreamEndCapture(t.one, &graph);
    cudaGraphDestroy(graph);
}

void wait_for_held(bool released)
{
    Bench t;
    simt_hold(t.one, 1);
    scale(t.one, t.c, t.a);
    if (released) simt_hold(t.one, 0);
    cudaStreamSynchronize(t.one);
}

void free_memory(bool after_use)
{
    Bench t;
    float *scratch;
    cudaMalloc(&scratch, kBytes);
    scale(t.one, scratch, t.a);
    if (after_use) cudaStreamSynchronize(t.one);
    cudaFree(scratch);
    cudaStreamSynchronize(t.one);
}

// A pool of two pages; the first goes back to the pool and is dealt again.
void recycle_page(bool after_use)
{
    constexpr size_t kPageBytes = kBytes / 2;
    constexpr int kPageNumbers = kNumbers / 2;
    Bench t;
    hdl_simt_carve(t.a, kPageBytes, "page 0");
    hdl_simt_carve(t.a + kPageNumbers, kPageBytes, "page 1");
    scale(t.one, t.c, t.a, kPageNumbers);
    if (after_use) cudaStreamSynchronize(t.one);
    hdl_simt_uncarve(t.a);
    hdl_simt_carve(t.a, kPageBytes, "page 0 again");
    scale(t.two, t.a, t.b, kPageNumbers);
    cudaDeviceSynchronize();
}

void free_pinned(bool after_use)
{
    Bench t;
    float *staging;
    cudaMallocHost(&staging, kBytes);
    std::memset(staging, 0, kBytes);
    cudaMemcpyAsync(t.a, staging, kBytes, cudaMemcpyHostToDevice, t.one);
    if (after_use) cudaStreamSynchronize(t.one);
    cudaFreeHost(staging);
}

// A buffer of the second device in a kernel of the first, which may not reach it.
void use_other_device(bool copied)
{
    simt_set_devices(2);
    float *there;
    cudaSetDevice(1);
    cudaMalloc(&there, kBytes);
    cudaMemset(there, 0, kBytes);
    cudaDeviceSynchronize();
    cudaSetDevice(0);
    Bench t;
    if (copied) cudaMemcpyAsync(t.a, there, kBytes, cudaMemcpyDeviceToDevice, t.one);
    scale(t.one, t.c, copied ? t.a : there);
    cudaStreamSynchronize(t.one);
}

} // namespace

std::vector<mutant> stream_mutants()
{
    return {
        {"race between streams", [] { two_streams_write(false); }, [] { two_streams_write(true); }, "stream_mutants.cc:18"},
        {"missing event", [] { upload_and_use(false); }, [] { upload_and_use(true); }, "stream_mutants.cc"},
        {"staging buffer rewritten early", [] { rewrite_staging(false); }, [] { rewrite_staging(true); }, "the host changed byte"},
        {"host read of device memory", [] { look_from_host(false); }, [] { look_from_host(true); }, "host read of device memory"},
        {"recorded step with a frozen argument", [] { record_step(false); }, [] { record_step(true); }, "argument 3 frozen"},
        {"kernel loaded inside a capture", [] { record_first_use(false); }, [] { record_first_use(true); }, "first used inside a capture"},
        {"wait without end", [] { wait_for_held(false); }, [] { wait_for_held(true); }, "lasts for ever"},
        {"use after free", [] { free_memory(false); }, [] { free_memory(true); }, "stream_mutants.cc"},
        {"page recycled early", [] { recycle_page(false); }, [] { recycle_page(true); }, "stream_mutants.cc"},
        {"pinned memory freed early", [] { free_pinned(false); }, [] { free_pinned(true); }, "is given back before"},
        {"memory of another device", [] { use_other_device(false); }, [] { use_other_device(true); }, "work of another device"},
    };
}

} // namespace simt_mutants
