/*
 * counting.h - a wrapper around a backend table that counts what passes through it. The engine knows nothing of it.
 *
 * What the numbers mean:
 *
 *   copied_bytes   bytes of uploads and downloads
 *   rows           rows for which a product (gemm, logit_reduce, token_logprobs) was computed: as many as its live count says,
 *                  where the host can read the count (unified memory), else all that it was given
 *   padded_rows    of these, rows of no live sentence. The embed op that opens a pass on a stream says how many are live: the
 *                  rows of its row list whose slot is not done, or all its ids; what a product computes beyond is padding.
 *                  So are rows past the last sequence of a packed attention. Only where the host can read the counts (padding_seen)
 *   device_allocs  calls of the backend's alloc
 *   host_allocs    allocations of this whole process through base/memory.h, other threads' too
 *   op_allocs      allocations of the calling thread inside ops and replays: those made while decoding
 *   product_bytes  what the products must read and write at least: weights once a product, rows in and out, bias, residual
 *   product_flops  2 M N K
 *
 * A recorded op counts each time it is replayed, by the values that it then finds in memory; recording it counts nothing.
 */
#ifndef HEDDLE_HOST_COUNTING_H
#define HEDDLE_HOST_COUNTING_H

#include "base/status.h"

#include <heddle/backend.h>

#include <stdatomic.h>
#include <stdbool.h>

/* Ops whose arguments tell of rows or products, and the others. */
#define HDL__MEASURED_OP_MAP(X) X(gemm) X(embed) X(attention) X(logit_reduce) X(token_logprobs)
#define HDL__PLAIN_OP_MAP(X) \
    X(norm) X(cache_append) X(quantise_rows) X(gather_rows) X(glu) X(logit_edits) X(beam_step) \
    X(scatter_words) X(stamp)
#define HDL__OP_MAP(X) HDL__MEASURED_OP_MAP(X) HDL__PLAIN_OP_MAP(X)

typedef enum hdl__op {
#define X(op) HDL__OP_##op,
    HDL__OP_MAP(X)
#undef X
    HDL__N_OPS
} hdl__op;

typedef struct hdl__counts {
    uint64_t copied_bytes, rows, padded_rows, device_allocs, host_allocs, op_allocs, product_bytes, product_flops;
    uint64_t calls[HDL__N_OPS];
    bool     padding_seen;
} hdl__counts;

/* Lanes are threads, so the numbers are atomic; they are independent of each other, so relaxed order is enough. */
struct hdl__counters {
    atomic_uint_fast64_t copied_bytes, rows, padded_rows, device_allocs, op_allocs, product_bytes, product_flops;
    atomic_uint_fast64_t calls[HDL__N_OPS];
    atomic_uint_fast64_t host_allocs_before;    /* hdl__alloc_count() at the last reset */
    bool                 padding_seen;
};
typedef struct hdl__counters hdl__counters;

/* "gemm" */
const char *hdl__op_name(hdl__op op);

/*
 * Puts a counting table around `inner` and a device that is open on it. *wrapped stands for the device from now on; its
 * close closes the inner one. `counters` must outlive it. On failure the inner device is still the caller's.
 */
hdl_status hdl__counting_wrap(const hdl_backend *inner, hdl_backend_device *inner_device, hdl__counters *counters,
                              const hdl_backend **table, hdl_backend_device **wrapped);

hdl__counts hdl__counters_read(const hdl__counters *counters);
void        hdl__counters_reset(hdl__counters *counters);

#endif
