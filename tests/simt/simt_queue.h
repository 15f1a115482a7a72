// simt_queue.h - streams as queues of deferred work, events, and the scheduler that runs the work.
//
// Nothing runs when it is queued. A thread that waits (for a stream, an event, the device) runs what it waits for, in
// an order drawn from the seed among all that streams and events allow. Every function here is called under the lock
// of simt_api.h.
#pragma once
#include "simt_config.h"
#include "simt_stream.h"
#include <cstdint>
#include <cuda_runtime_api.h>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace simt {

// What is to be done; `run` is empty for a mere point in a stream.
struct Work {
    std::string what;
    std::function<void()> run;
    unsigned devices = 0; // mask of those whose memory it touches
    std::shared_ptr<const ArgumentImage> arguments = nullptr; // of a launch
};

struct Stream;
struct Capture;

struct Op {
    Work work;
    int device = 0; // of its stream: a fault ends the work of that device
    std::uint32_t stream = 0;
    std::uint64_t index = 0;
    std::vector<std::shared_ptr<Op>> after; // must be done first; emptied when this is done
    std::vector<std::uint64_t> seen;
    bool done = false;
    std::uint64_t mark = 0; // of the last search for what a wait needs
};
using OpRef = std::shared_ptr<Op>;

struct Stream {
    int device = 0;
    unsigned flags = 0;
    int priority = 0;
    bool legacy = false;
    bool hidden = false; // a branch of a graph
    bool held = false;   // simt_hold: what is queued does not begin
    std::uint32_t id = 0;
    std::deque<OpRef> queue;
    OpRef tail;                     // the last op queued, done or not
    Capture *capture = nullptr;     // not null: ops are recorded
    std::vector<int> capture_tail;  // nodes that the next one follows
    int lane = 0;                   // branch of the graph
};

struct Event {
    int device = 0;
    unsigned flags = 0;
    OpRef point;                   // null: never recorded
    std::uint64_t capture_id = 0;  // recorded in that capture; 0: not captured
    std::vector<int> nodes;
};

// The stream behind a handle; null when there is none. 0 and cudaStreamLegacy are the current device's legacy stream.
Stream *find_stream(cudaStream_t handle, int current_device);
Stream *make_stream(int device, unsigned flags, int priority, bool hidden = false);
void drop_stream(Stream *stream); // what it has queued still runs
std::vector<Stream *> all_streams();

Event *find_event(cudaEvent_t handle);
Event *make_event(int device, unsigned flags);
void drop_event(Event *event);

// Queues work behind what the stream holds and behind `after`. The scheduler may run some of what is queued.
OpRef enqueue(Stream *stream, Work work, std::vector<OpRef> after = {});

// Runs queued work until `op` is done (null: nothing to do); the calling host thread has then seen it.
void run_until(const OpRef &op);
void run_all(int device);
// Perhaps runs one step towards `op`, as time passing would; true when it is done.
bool poll(const OpRef &op);

// What is being run; null outside.
const Op *running_op();
// "kernel NAME" or the copy that is being run; null outside.
const char *running_work();

// Error that a device keeps until reset.
cudaError_t device_error(int device);
void set_device_error(int device, cudaError_t error);
// Called by work that failed without a fault line.
void fail_running_work(cudaError_t error);

void reset_streams();

} // namespace simt
