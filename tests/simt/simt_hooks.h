/*
 * simt_hooks.h - what libheddle-simt.so exports for tests, beside the backend's own entry.
 */
#ifndef HEDDLE_SIMT_HOOKS_H
#define HEDDLE_SIMT_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#define SIMT_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The call number `after` (0: the next) of `function` fails with `error` and does nothing. A function is an entry of the
 * runtime ("cudaMalloc"), or "kernel" or "copy": then queued work of that kind fails when it runs, as a device error does.
 */
SIMT_EXPORT void simt_fail_next(const char *function, int error, int after);

/* Drops queued work, forgets faults, device errors and failures asked for. Memory, streams and graphs stay. */
SIMT_EXPORT void simt_reset(void);

/* Faults so far; the line of the first since simt_reset, and its length without the 0. Quiet: faults are not printed. */
SIMT_EXPORT uint64_t simt_faults(void);
SIMT_EXPORT size_t   simt_first_fault(char *line, size_t line_bytes);
SIMT_EXPORT void     simt_set_quiet(int on);

/* 1 to 4 devices; 0: a driver without a device; -1: no driver. */
SIMT_EXPORT void simt_set_devices(int count);

/* What a device answers when it is asked for its compute capability; its limits stay those of 9.0, but for simt_set_shared_limit. */
SIMT_EXPORT void simt_set_capability(int device, int major, int minor);

/* The shared memory that a block of any device may ask for, at most that of 9.0 (227 KiB); 0: that of 9.0. */
SIMT_EXPORT void simt_set_shared_limit(size_t bytes);

/* How queued work is ordered: "lazy", "random", "eager", or NULL: drawn from the seed. */
SIMT_EXPORT void simt_set_streams(uint64_t seed, const char *policy);

/* How the threads of a grid are ordered: "forward", "reverse", "random", "ahead", "starved", or NULL: drawn for each launch. */
SIMT_EXPORT void simt_set_schedule(uint64_t seed, const char *policy);

/* The last two graphs that were instantiated: 0 when every launch has equal arguments; else a fault names the first that differs. */
SIMT_EXPORT int simt_compare_recordings(void);

/* A part of device memory that a piece of work reads, or writes. */
typedef struct simt_part { const void *base; size_t bytes; int writes; } simt_part;

/*
 * For doubles of libraries with kernels of their own: queues run(copy of the `user_bytes` at user) behind what the stream
 * holds, or records it. It may touch the `n` parts, which are watched as those of a copy are. An error of the runtime, or 0.
 */
SIMT_EXPORT int simt_queue_work(void *stream, const char *what, const simt_part *parts, int n, void (*run)(const void *user),
                                const void *user, size_t user_bytes);

/* Bytes in use on a device, and calls of cudaMalloc and cudaMallocHost since the start. */
SIMT_EXPORT size_t   simt_used_bytes(int device);
SIMT_EXPORT uint64_t simt_allocations(void);

/* A copy behind the work of a stream (a cudaStream_t), for libraries of tests that stand in for those a backend opens. 0: it is queued. */
SIMT_EXPORT int simt_queue_copy(void *to, const void *from, size_t bytes, void *stream);

/* Work of a stream (a cudaStream_t) that lasts for ever: none of it is done before `on` is 0 again. Waiting for it is a fault. */
SIMT_EXPORT void simt_hold(void *stream, int on);

/* Kernels that have run since the start. */
SIMT_EXPORT uint64_t simt_launches(void);

/* NVTX ranges begun since the start, and those that are open in all threads: below 0 when more were ended than begun. */
SIMT_EXPORT uint64_t simt_ranges_begun(void);
SIMT_EXPORT int64_t  simt_ranges_open(void);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_SIMT_HOOKS_H */
