/*
 * trace.h - what a translator tells of its work: requests, the queue, passes and their ops on the device, the host's
 * own work.
 *
 * Off, nothing is measured: a lane's `trace` and a translator's are NULL, and its recorded steps hold no stamps.
 * docs/trace.md says what a reader sees. trace.c has requests and queue, trace_lane.c a lane's memory, clock and host
 * ranges, trace_pass.c passes and ops.
 */
#ifndef HEDDLE_HOST_TRACE_H
#define HEDDLE_HOST_TRACE_H

#include "device/stamps.h"
#include "runtime/lane_ring.h"
#include "runtime/trace_file.h"

#include <heddle/translator.h>

typedef struct hdl__trace {
    hdl__trace_file *file;
    int64_t          begun_ns;      /* time 0 of the file */
    uint64_t         n_requests;    /* guarded by the hub's mutex */
    int32_t          n_lanes;       /* while lanes are opened, one after the other */
} hdl__trace;

/* A moment as the file has it. */
static inline hdl__us hdl__trace_time(const hdl__trace *trace, int64_t ns) { return hdl__us_of(ns - trace->begun_ns); }

/* `about` is shown beside the process: device and compute type. */
hdl_status hdl__trace_open(const char *path, hdl__trace **out);
void       hdl__trace_about(hdl__trace *trace, const char *about);
hdl_status hdl__trace_close(hdl__trace *trace);     /* NULL is fine */

/* A request's way through the translator; 0: not yet, or not traced. */
typedef struct hdl__request_times {
    uint64_t number;                /* from 1, in order of queueing */
    uint64_t line;
    int32_t  priority;
    int64_t  submitted, queued, admitted, finished;     /* nanoseconds */
} hdl__request_times;

/* Now, or 0 where there is no trace. */
static inline int64_t hdl__trace_now(const hdl__trace *trace) { return trace != NULL ? hdl__now_ns() : 0; }
/* All of a request that is about to be delivered. */
void hdl__trace_request(hdl__trace *trace, const hdl_ticket *ticket);
/* A callback that ran from `begun` until now, on the delivery thread. */
void hdl__trace_callback(hdl__trace *trace, int64_t begun);

/* The queue's length at a moment: read with the hub's mutex held, told without. */
typedef struct hdl__queue_length { int64_t ns; int32_t n; } hdl__queue_length;
void hdl__trace_queue(hdl__trace *trace, hdl__queue_length length);

/* ---- lanes ---- */

typedef struct hdl__lane_trace hdl__lane_trace;

/* After the lane's ring and before its recordings. */
hdl_status hdl__lane_trace_open(hdl__lane *lane, hdl__trace *trace);
void       hdl__lane_trace_close(hdl__lane *lane);

/*
 * Work of the lane's thread, nested: for the trace and for a profiler. `told` false: it turned out to be nothing, the
 * trace leaves it out.
 */
void hdl__range_begin(hdl__lane *lane, const char *name);
void hdl__range_end(hdl__lane *lane, bool told);
/* A moment on the lane's thread. */
void hdl__trace_moment(hdl__lane *lane, const char *name);

/*
 * Where ops of a pass are queued: its own, on the lane's stream; the encoder's, which may run on another one. Between
 * begin and end each op gets a stamp. Ops on several streams of one pass are two sections.
 */
typedef enum hdl__section { HDL__SECTION_LANE = 0, HDL__SECTION_ENCODER, HDL__N_SECTIONS } hdl__section;

/* hdl__lane_begin_pass: the place is taken anew. */
void       hdl__trace_pass(hdl__lane *lane, const hdl__pass *pass);
/* Sizes for people: rows that were listed, rows that are computed, sentences. */
void       hdl__trace_sizes(hdl__lane *lane, const hdl__pass *pass, int32_t rows, int32_t computed, int32_t slots);
hdl_status hdl__section_begin(hdl__lane *lane, const hdl__pass *pass, hdl__section section);
hdl_status hdl__section_end(hdl__lane *lane, const hdl__pass *pass, hdl__section section);
/* The section is a replay of `recording`, whose stamps take their row from the pass's inputs. */
hdl_status hdl__section_replay(hdl__lane *lane, const hdl__pass *pass, const hdl_recording *recording);
/* Recording a step: its ops are noted. */
hdl_status hdl__trace_record_begin(hdl__lane *lane);
void       hdl__trace_record_end(hdl__lane *lane);
/* The host has seen the pass's end: its ranges go to the file. */
void       hdl__trace_seen(hdl__lane *lane, const hdl__pass *pass);
/* Pages and steps ahead as they are now. */
void       hdl__trace_levels(hdl__lane *lane);

#endif
