// simt_executor.cc - picks from the seed which stream goes on, runs its work with device memory open, ends work after a fault.
#include "simt_executor.h"
#include "shadow.h"
#include "simt_device_use.h"
#include "simt_fault.h"
#include "simt_host_use.h"
#include "simt_memory.h"
#include <algorithm>

namespace simt {
namespace {

constexpr std::uint32_t kAsideOneIn = 4;   // policy random: a wait runs work it does not need this often
constexpr std::uint32_t kUnaskedOneIn = 4; // policy random: queueing runs something this often
constexpr std::uint32_t kPollOneIn = 2;    // a query makes progress this often

struct Executor {
    std::vector<std::uint64_t> host_clock;
    std::vector<Stream *> orphans;
    std::vector<std::uint64_t> departed[kMaxDevices]; // what destroyed streams have done
    cudaError_t error[kMaxDevices] = {};
    std::uint64_t search = 0;
    const Op *running = nullptr;
    cudaError_t failure = cudaSuccess; // of the running work
};

Executor &executor()
{
    static Executor *const e = new Executor;
    return *e;
}

bool is_ready(const Stream *stream)
{
    if (stream->queue.empty() || stream->held) return false;
    const Op &op = *stream->queue.front();
    return std::all_of(op.after.begin(), op.after.end(), [](const OpRef &before) { return before->done; });
}

// Destroyed streams too, as long as they hold work.
std::vector<Stream *> working_streams()
{
    std::vector<Stream *> list = all_streams();
    list.insert(list.end(), executor().orphans.begin(), executor().orphans.end());
    return list;
}

std::vector<Stream *> ready_streams()
{
    std::vector<Stream *> list = working_streams();
    list.erase(std::remove_if(list.begin(), list.end(), [](Stream *s) { return !is_ready(s); }), list.end());
    return list;
}

void bury(Stream *stream)
{
    if (stream->tail) join_clock(executor().departed[stream->device], *stream->tail);
    release_stream_id(stream->id);
    delete stream;
}

void bury_orphans()
{
    auto &orphans = executor().orphans;
    auto is_empty = [](Stream *s) {
        if (!s->queue.empty()) return false;
        bury(s);
        return true;
    };
    orphans.erase(std::remove_if(orphans.begin(), orphans.end(), is_empty), orphans.end());
}

void finish(Op &op)
{
    op.done = true;
    op.after.clear();
    op.work.run = nullptr;
}

// The device is lost: what its streams hold is never run.
void cancel_device(int device)
{
    for (Stream *s : working_streams()) {
        if (s->device != device) continue;
        for (OpRef &op : s->queue) finish(*op);
        s->queue.clear();
    }
}

void run_work(const Op &op)
{
    Executor &e = executor();
    unsigned long faults = fault_count();
    e.failure = cudaSuccess;
    e.running = &op;
    faults_of_next_launch();
    shadow::stream_work_begin({op.stream, op.index, op.seen.data(), std::uint32_t(op.seen.size()), op.work.what.c_str()});
    op.work.run();
    shadow::stream_work_end();
    e.running = nullptr;
    if (fault_count() != faults && e.failure == cudaSuccess) e.failure = cudaErrorLaunchFailure;
    if (e.failure != cudaSuccess) set_device_error(op.device, e.failure);
}

void run_front(Stream *stream, DeviceWindow &window)
{
    OpRef op = stream->queue.front();
    stream->queue.pop_front();
    if (op->work.run) {
        window.admit(op->work.devices);
        run_work(*op);
    }
    finish(*op);
    bury_orphans();
}

// Marks every op that must run before `target` can.
void mark_needed(const OpRef &target)
{
    std::uint64_t mark = ++executor().search;
    std::vector<Op *> open{target.get()};
    target->mark = mark;
    while (!open.empty()) {
        Op *op = open.back();
        open.pop_back();
        for (OpRef &before : op->after) {
            if (before->done || before->mark == mark) continue;
            before->mark = mark;
            open.push_back(before.get());
        }
    }
}

Stream *pick(const std::vector<Stream *> &list) { return list[draw(std::uint32_t(list.size()))]; }

// One piece of work on the way to the marked target, or, where the policy allows, beside it. False: what is needed is
// held; else there is some, as work waits only for work that was queued before it.
bool step_towards_mark(DeviceWindow &window)
{
    std::vector<Stream *> ready = ready_streams();
    std::vector<Stream *> needed;
    for (Stream *s : ready)
        if (s->queue.front()->mark == executor().search) needed.push_back(s);
    if (needed.empty()) return false;
    const bool aside = config().streams != StreamPolicy::lazy && draw(kAsideOneIn) == 0;
    run_front(pick(aside ? ready : needed), window);
    return true;
}

void host_sees(const Op &op)
{
    join_clock(host_clock(), op);
    settle_host_uses();
    settle_device_uses();
}

} // namespace

std::vector<std::uint64_t> &host_clock() { return executor().host_clock; }
bool host_has_seen(std::uint32_t stream, std::uint64_t index)
{
    return stream < host_clock().size() && index <= host_clock()[stream];
}

void adopt_orphan(Stream *stream)
{
    executor().orphans.push_back(stream);
    bury_orphans();
}

const Op *running_op() { return executor().running; }
const char *running_work() { return executor().running ? executor().running->work.what.c_str() : nullptr; }
cudaError_t device_error(int device) { return executor().error[device]; }
void fail_running_work(cudaError_t error) { executor().failure = error; }

void set_device_error(int device, cudaError_t error)
{
    if (executor().error[device] != cudaSuccess) return;
    executor().error[device] = error;
    cancel_device(device);
    // Nobody can wait for its work any more, so giving back what that used is no fault.
    forget_host_uses();
    forget_device_uses();
}

void time_passes()
{
    StreamPolicy policy = config().streams;
    if (policy == StreamPolicy::lazy || (policy == StreamPolicy::random && draw(kUnaskedOneIn) != 0)) return;
    DeviceWindow window;
    for (std::vector<Stream *> ready = ready_streams(); !ready.empty(); ready = ready_streams()) {
        run_front(pick(ready), window);
        if (policy == StreamPolicy::random) return;
    }
}

void run_until(const OpRef &op)
{
    if (!op) return;
    if (!op->done) {
        mark_needed(op);
        DeviceWindow window;
        while (!op->done)
            if (!step_towards_mark(window)) {
                fault("the host waits for work that lasts for ever: stream %u is held", op->stream);
                set_device_error(op->device, cudaErrorLaunchTimeout);
            }
    }
    host_sees(*op);
}

bool poll(const OpRef &op)
{
    if (!op) return true;
    if (!op->done && draw(kPollOneIn) == 0) {
        mark_needed(op);
        DeviceWindow window;
        (void)step_towards_mark(window);
    }
    if (op->done) host_sees(*op);
    return op->done;
}

void run_all(int device)
{
    std::vector<OpRef> tails;
    for (Stream *s : working_streams())
        if (s->device == device && s->tail) tails.push_back(s->tail);
    for (const OpRef &tail : tails) run_until(tail);
    join_clock(host_clock(), executor().departed[device]);
    settle_host_uses();
    settle_device_uses();
}

void reset_streams()
{
    for (int i = 0; i < kMaxDevices; ++i) {
        cancel_device(i);
        executor().error[i] = cudaSuccess;
    }
    bury_orphans();
}

} // namespace simt
