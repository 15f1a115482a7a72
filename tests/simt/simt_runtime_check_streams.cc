// simt_runtime_check_streams.cc - copies, events, the legacy stream: order kept where CUDA promises it, and nothing earlier.
#include "simt_hooks.h"
#include "simt_runtime_check.h"
#include <vector>

namespace runtime_check {
namespace {

__global__ void add_kernel(int *to, const int *from, int n, int add)
{
    int i = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) to[i] = from[i] + add;
}

} // namespace

Bench::Bench(unsigned stream_flags)
{
    cudaStreamCreateWithFlags(&one, stream_flags);
    cudaStreamCreateWithFlags(&two, stream_flags);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    for (int **block : {&a, &b, &c}) cudaMalloc(block, kBytes);
    for (int **block : {&pinned, &answer}) cudaMallocHost(block, kBytes);
}

Bench::~Bench()
{
    cudaDeviceSynchronize();
    for (int *block : {a, b, c}) cudaFree(block);
    for (int *block : {pinned, answer}) cudaFreeHost(block);
    cudaEventDestroy(event);
    cudaStreamDestroy(one);
    cudaStreamDestroy(two);
}

void Bench::count_from(int first)
{
    for (int i = 0; i < kNumbers; ++i) pinned[i] = first + i;
}

bool Bench::holds(const int *block, int first)
{
    if (cudaDeviceSynchronize() != cudaSuccess) return false;
    if (cudaMemcpy(answer, block, kBytes, cudaMemcpyDeviceToHost) != cudaSuccess) return false;
    for (int i = 0; i < kNumbers; ++i)
        if (answer[i] != first + i) return false;
    return true;
}

cudaLaunchConfig_t grid_on(cudaStream_t stream)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((kNumbers + kThreads - 1) / kThreads);
    config.blockDim = dim3(kThreads);
    config.stream = stream;
    return config;
}

cudaError_t add_on(cudaStream_t stream, int *to, const int *from, int add)
{
    cudaLaunchConfig_t config = grid_on(stream);
    return cudaLaunchKernelEx(&config, add_kernel, to, from, kNumbers, add);
}

const void *add_kernel_address() { return reinterpret_cast<const void *>(add_kernel); }

void check_copies()
{
    Bench t;
    t.count_from(5);
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    add_on(t.one, t.b, t.a, 1);
    cudaMemcpyAsync(t.c, t.b, kBytes, cudaMemcpyDeviceToDevice, t.one);
    cudaMemcpyAsync(t.answer, t.c, kBytes, cudaMemcpyDefault, t.one);
    check_error(cudaStreamSynchronize(t.one), cudaSuccess, "a chain of copies");
    check(t.answer[0] == 6 && t.answer[kNumbers - 1] == 5 + kNumbers, "a chain of copies arrives");

    // Pageable memory may be reused when cudaMemcpy returns, and must be kept for cudaMemcpyAsync.
    std::vector<int> pageable(kNumbers);
    for (int i = 0; i < kNumbers; ++i) pageable[size_t(i)] = 40 + i;
    cudaMemcpy(t.a, pageable.data(), kBytes, cudaMemcpyHostToDevice);
    pageable.assign(kNumbers, 0);
    check(t.holds(t.a, 40), "cudaMemcpy from pageable memory has read it");
    std::vector<int> back(kNumbers, 0);
    cudaMemcpyAsync(back.data(), t.a, kBytes, cudaMemcpyDeviceToHost, t.one);
    cudaStreamSynchronize(t.one);
    check(back[1] == 41, "a download into pageable memory is there after the wait");
    cudaMemcpyAsync(t.b, back.data(), kBytes, cudaMemcpyHostToDevice, t.two);
    cudaStreamSynchronize(t.two);
    check(t.holds(t.b, 40), "an upload from pageable memory is there after the wait");

    cudaMemsetAsync(t.b, 1, kBytes, t.one);
    cudaMemcpyAsync(t.answer, t.b, kBytes, cudaMemcpyDeviceToHost, t.one);
    cudaStreamSynchronize(t.one);
    check(t.answer[3] == 0x01010101, "cudaMemsetAsync fills bytes");
    cudaMemset(t.answer, 2, kBytes);
    check(t.answer[0] == 0x02020202, "cudaMemset of pinned memory has waited");

    check_error(cudaMemcpyAsync(t.a, t.b, kBytes, cudaMemcpyHostToDevice, t.one), cudaErrorInvalidMemcpyDirection,
                "a direction that the pointers deny");
    check_error(cudaMemcpyAsync(t.a, t.pinned, kBytes + 4, cudaMemcpyHostToDevice, t.one), cudaErrorInvalidValue,
                "a copy past the end of a block");
    check_error(cudaMemcpyAsync(t.a, nullptr, kBytes, cudaMemcpyHostToDevice, t.one), cudaErrorInvalidValue, "no source");
    check_error(cudaMemcpyAsync(nullptr, nullptr, 0, cudaMemcpyHostToDevice, t.one), cudaSuccess, "an empty copy");
    check(simt_faults() == 0, "copies leave no fault");
}

void check_events()
{
    Bench t;
    check_error(cudaEventQuery(t.event), cudaSuccess, "an event that was never recorded");
    check_error(cudaStreamWaitEvent(t.two, t.event, 0), cudaSuccess, "waiting for such an event");
    t.count_from(0);
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    cudaEventRecord(t.event, t.one);
    cudaStreamWaitEvent(t.two, t.event, 0);
    add_on(t.two, t.b, t.a, 7);
    check(t.holds(t.b, 7), "a stream waits for an event of another");
    check(simt_faults() == 0, "an event orders two streams for the race detector");

    // A wait means the event as it was when asked, not a later record of it.
    cudaEventRecord(t.event, t.one);
    cudaStreamWaitEvent(t.two, t.event, 0);
    add_on(t.one, t.c, t.a, 1);
    cudaEventRecord(t.event, t.one);
    check_error(cudaStreamSynchronize(t.two), cudaSuccess, "wait for the earlier record");
    check_error(cudaEventSynchronize(t.event), cudaSuccess, "wait of the host");
    cudaMemcpyAsync(t.answer, t.c, kBytes, cudaMemcpyDeviceToHost, t.two);
    check_error(cudaStreamSynchronize(t.two), cudaSuccess, "a copy on another stream");
    check(t.answer[0] == 1 && simt_faults() == 0, "a host that waited may use the result on any stream");

    // Asking again and again ends.
    add_on(t.one, t.b, t.a, 1);
    int asked = 0;
    while (cudaStreamQuery(t.one) == cudaErrorNotReady && asked < 10000) ++asked;
    check_error(cudaStreamQuery(t.one), cudaSuccess, "polling a stream ends");
    check_error(cudaGetLastError(), cudaSuccess, "not ready is no error");

    cudaStream_t brief;
    cudaStreamCreate(&brief);
    add_on(brief, t.c, t.a, 3);
    cudaStreamDestroy(brief);
    check(t.holds(t.c, 3), "a destroyed stream finishes its work");
    check_error(cudaStreamSynchronize(brief), cudaErrorInvalidResourceHandle, "a destroyed stream");
    check_error(cudaStreamDestroy(nullptr), cudaErrorInvalidResourceHandle, "destroying the legacy stream");
    float milliseconds = -1;
    check_error(cudaEventElapsedTime(&milliseconds, t.event, t.event), cudaErrorInvalidResourceHandle, "events without timing");
}

void check_legacy_stream()
{
    Bench t(cudaStreamDefault); // blocking streams wait for the legacy stream, and it for them
    t.count_from(1);
    cudaMemcpyAsync(t.a, t.pinned, kBytes, cudaMemcpyHostToDevice, t.one);
    add_on(nullptr, t.b, t.a, 1);
    add_on(t.two, t.c, t.b, 1);
    check(t.holds(t.c, 3), "the legacy stream stands between blocking streams");
    check(simt_faults() == 0, "that order is known to the race detector");
    add_on(t.two, t.b, t.c, 1);
    check_error(cudaStreamSynchronize(cudaStreamLegacy), cudaSuccess, "waiting for the legacy stream");
}

} // namespace runtime_check
