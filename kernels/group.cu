/*
 * group.cu - replicas: what is packed on one device is copied to others, by NCCL where it is there.
 *
 * Contract   include/heddle/backend.h, group_*; host/device/device_group.c has checked the devices.
 * Reference  A copy has the bytes of the first; tests/test_replicas.c.
 * Source     NCCL, "Creating a Communicator", "Group Calls", "Error Handling", ncclBroadcast; CUDA Runtime API,
 *            cudaMemcpyPeerAsync.
 *
 * Mapping    No kernels. One communicator over all devices, from group_open to group_close; a broadcast a block, on
 *            each device's own setup stream. Without NCCL, when it does not start or a broadcast does not end, blocks are
 *            copied one device after the other; the runtime stages them where two devices cannot reach each other. A
 *            broadcast that goes on behind ncclCommAbort takes the devices with it: loading fails, and nothing waits.
 * Numerics   None: bytes. Devices of unlike compute capability are refused: the same weights would round unlike.
 * Bound      The link between two devices; at load only. 200 MB are 1 ms over NVLink (300 GB/s), 8 ms over PCIe 5.
 */
#include "group.cuh"

#include "backend_name.cuh"
#include "gemm_library.cuh"
#include "nccl.cuh"
#include "ops.cuh"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

constexpr int kWayBytes = 640;                       // a library's line and the words before it

struct hdl_backend_group {
    const hdl_backend_host *host;
    int32_t                 n;
    hdl_backend_device     *devices[HDL_MOST_REPLICAS];
    hdl::Nccl               nccl;
    void                   *comms[HDL_MOST_REPLICAS];
    bool                    by_nccl;                 // the communicators are open
    char                    way[kWayBytes];
};

namespace hdl {
namespace {

// Connections are made before ncclGroupEnd returns; what is left is one block over the link, 0.2 s for 200 MB at 1 GB/s.
// A fabric that is not set up right shows as a broadcast that never ends. ncclCommInitAll has no such limit: it returns
// when it is done, and there is nothing to abort before.
constexpr time_t kBroadcastSeconds = 5;
constexpr time_t kAbortSeconds     = 1;              // until NCCL's kernels, which look all the time, see it
constexpr long   kPollNanoseconds  = 50 * 1000;      // a broadcast of a small block
constexpr int    kCauseBytes       = 128;

// Puts the thread's device back, whichever a library has left current.
class KeptDevice {
public:
    KeptDevice() : index_(-1) { (void)cudaGetDevice(&index_); }
    ~KeptDevice()
    {
        if (index_ >= 0) put_device_back(index_);
    }
    KeptDevice(const KeptDevice &) = delete;
    KeptDevice &operator=(const KeptDevice &) = delete;

private:
    int index_;
};

__attribute__((format(printf, 2, 3)))
void copies_because(hdl_backend_group *group, const char *format, ...)
{
    char why[kLibraryLineBytes];
    va_list values;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    snprintf(group->way, sizeof group->way, "copies from device to device (%s)", why);
}

// NCCL over all devices; group->way says how it went. What cannot be had is no failure: blocks are copied then.
void start_nccl(hdl_backend_group *group)
{
    Library library = {};
    int indexes[HDL_MOST_REPLICAS];
    if (!library_find(kNccl, group->devices[0]->library_dir, &library))
        return copies_because(group, "%s", library.line);
    if (library.version < kNcclLeast)
        return copies_because(group, "%s: 2.9 or later is needed", library.line);
    const char *missing = nccl_find(library, &group->nccl);
    if (missing != nullptr) return copies_because(group, "%s: it has no function %s", library.line, missing);
    for (int32_t i = 0; i < group->n; ++i) indexes[i] = group->devices[i]->index;
    const KeptDevice kept;
    const int error = group->nccl.comm_init_all(group->comms, group->n, indexes);
    if (error != 0)
        return copies_because(group, "%s: ncclCommInitAll: %s", library.line, group->nccl.error_string(error));
    group->by_nccl = true;
    snprintf(group->way, sizeof group->way, "%s", library.line);
}

void end_nccl(hdl_backend_group *group, int (*end)(void *comm))
{
    const KeptDevice kept;
    for (int32_t i = 0; group->by_nccl && i < group->n; ++i) (void)end(group->comms[i]);
    group->by_nccl = false;
}

hdl_status wait_all(hdl_backend_group *group)
{
    hdl_status status = HDL_OK;
    for (int32_t i = 0; i < group->n; ++i) {         // all of them: no copy may outlive the call
        const DeviceScope scope(group->devices[i]);
        const cudaError_t error = cudaStreamSynchronize(group->devices[i]->setup);
        if (status == HDL_OK) status = check(group->devices[i], error, "copy of the weights");
    }
    return status;
}

// True: all devices have done what is queued. False: NCCL has seen an error, which *error is, or the time is over.
bool is_drained(const hdl_backend_group *group, time_t seconds, int *error)
{
    timespec began, now;
    const timespec pause = {0, kPollNanoseconds};
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    for (;;) {
        bool busy = false;
        for (int32_t i = 0; i < group->n; ++i) {
            const DeviceScope scope(group->devices[i]);
            const bool late = cudaStreamQuery(group->devices[i]->setup) == cudaErrorNotReady;
            if (late) (void)cudaGetLastError();      // no error; others are found by who waits
            busy = busy || late;
            if (group->by_nccl && *error == 0) (void)group->nccl.comm_async_error(group->comms[i], error);
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (!busy || *error != 0 || now.tv_sec - began.tv_sec > seconds) return !busy && *error == 0;
        (void)nanosleep(&pause, nullptr);
    }
}

hdl_status broadcast_copies(hdl_backend_group *group, void *const *blocks, size_t bytes)
{
    hdl_status status = HDL_OK;
    const int first   = group->devices[0]->index;
    for (int32_t i = 1; i < group->n && status == HDL_OK; ++i) {
        const hdl_backend_device *device = group->devices[i];
        const DeviceScope scope(device);
        status = check(device, cudaMemcpyPeerAsync(blocks[i], device->index, blocks[0], first, bytes, device->setup),
                       "copy of the weights");
    }
    const hdl_status waited = wait_all(group);
    return status != HDL_OK ? status : waited;
}

// The broadcast goes on for all that was done. Freeing a block would wait for it, for ever.
hdl_status lose_devices(hdl_backend_group *group, size_t bytes, int error)
{
    char cause[kCauseBytes];
    snprintf(cause, sizeof cause, "had not ended after %d s", static_cast<int>(kBroadcastSeconds));
    if (error != 0) snprintf(cause, sizeof cause, "failed (%s)", group->nccl.error_string(error));
    for (int32_t i = 0; i < group->n; ++i) group->devices[i]->lost = true;
    return fail(group->devices[0], HDL_EDEVICE, "copy of the weights: %.*s: a broadcast of %zu bytes %s, and goes on "
                "%d s after ncclCommAbort: what was taken of the %d devices' memory stays so until the process ends",
                static_cast<int>(strcspn(group->way, ":")), group->way, bytes, cause, static_cast<int>(kAbortSeconds),
                static_cast<int>(group->n));
}

hdl_status broadcast_nccl(hdl_backend_group *group, void *const *blocks, size_t bytes)
{
    const KeptDevice kept;
    const Nccl &nccl = group->nccl;
    int error        = nccl.group_start();
    if (error == 0) {
        for (int32_t i = 0; i < group->n && error == 0; ++i) {
            const DeviceScope scope(group->devices[i]);
            error = nccl.broadcast(blocks[0], blocks[i], bytes, kNcclChar, 0, group->comms[i],
                                   group->devices[i]->setup);
        }
        const int ended = nccl.group_end();
        if (error == 0) error = ended;
    }
    if (error == 0 && is_drained(group, kBroadcastSeconds, &error)) return wait_all(group);
    end_nccl(group, nccl.comm_abort);                // first, or what it has queued may wait for ever
    int after = 0;
    if (!is_drained(group, kAbortSeconds, &after)) return lose_devices(group, bytes, error);
    (void)wait_all(group);
    if (error != 0)
        return fail(group->devices[0], HDL_EDEVICE, "copy of the weights: NCCL: ncclBroadcast: %s",
                    nccl.error_string(error));
    copies_because(group, "NCCL started, but a broadcast of %zu bytes had not ended after %d s", bytes,
                   static_cast<int>(kBroadcastSeconds));
    return broadcast_copies(group, blocks, bytes);
}

}  // namespace

hdl_status group_open(hdl_backend_device *const *devices, int32_t n, hdl_backend_group **out)
{
    const hdl_backend_device *first = devices[0];
    for (int32_t i = 1; i < n; ++i)
        if (devices[i]->major != first->major || devices[i]->minor != first->minor)
            return fail(first, HDL_ENOSUPPORT, "%s:%d has compute capability %d.%d, %s:%d has %d.%d: devices of one "
                        "translator must have the same", kBackendName, devices[i]->index, devices[i]->major,
                        devices[i]->minor, kBackendName, first->index, first->major, first->minor);
    auto *group = static_cast<hdl_backend_group *>(first->host->alloc(sizeof(hdl_backend_group)));
    if (group == nullptr) return fail(first, HDL_ENOMEM, "%s: no memory for a group of devices", kBackendName);
    group->host = first->host;
    group->n    = n;
    for (int32_t i = 0; i < n; ++i) group->devices[i] = devices[i];
    start_nccl(group);
    *out = group;
    return HDL_OK;
}

void group_close(hdl_backend_group *group)
{
    if (group == nullptr) return;
    end_nccl(group, group->nccl.comm_destroy);
    group->host->free(group);
}

const char *group_way(const hdl_backend_group *group) { return group->way; }

int32_t group_size(const hdl_backend_group *group) { return group->n; }

hdl_backend_device *group_member(const hdl_backend_group *group, int32_t i) { return group->devices[i]; }

hdl_status group_broadcast(hdl_backend_group *group, void *const *blocks, size_t bytes)
{
    return group->by_nccl ? broadcast_nccl(group, blocks, bytes) : broadcast_copies(group, blocks, bytes);
}

hdl_status group_weight(hdl_backend_group *group, const hdl_weight *w, hdl_weight **copies)
{
    void *blocks[HDL_MOST_REPLICAS] = {w->data};
    const auto *begin               = static_cast<const unsigned char *>(w->data);
    for (int32_t i = 1; i < group->n; ++i) {
        hdl_backend_device *device = group->devices[i];
        auto *copy = static_cast<hdl_weight *>(device->host->alloc(sizeof(hdl_weight)));
        if (copy == nullptr) return fail(device, HDL_ENOMEM, "pack: no memory for a weight's header");
        *copy                   = *w;
        copy->device            = device;
        copy->data              = nullptr;
        hdl_status status       = library_plan_copy(w, copy);
        if (status == HDL_OK) status = device_alloc(device, w->bytes, &copy->data);
        if (status != HDL_OK) {
            op_weight_close(copy);
            return status;
        }
        if (w->unscale != nullptr) {                 // behind the matrix, in the same block
            const size_t at = static_cast<size_t>(reinterpret_cast<const unsigned char *>(w->unscale) - begin);
            copy->unscale   = reinterpret_cast<float *>(static_cast<unsigned char *>(copy->data) + at);
        }
        blocks[i] = copy->data;
        copies[i] = copy;
    }
    return group_broadcast(group, blocks, w->bytes);
}

}  // namespace hdl
