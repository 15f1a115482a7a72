/*
 * trace_lane.h - what a traced lane holds: stamps of the passes in its ring, what they stand behind, the device's
 * clock.
 */
#ifndef HEDDLE_HOST_TRACE_LANE_H
#define HEDDLE_HOST_TRACE_LANE_H

#include "runtime/lane.h"
#include "runtime/trace.h"

#define HDL__MOST_RANGES 8      /* nested ranges of a lane's thread; four are in use */

/* One place of the ring. */
typedef struct hdl__pass_note {
    int64_t     begun;          /* the host began to queue it */
    int32_t     rows, computed, slots;
    hdl__stamps stamps[HDL__N_SECTIONS];    /* of a section that was not used: none */
} hdl__pass_note;

struct hdl__lane_trace {
    hdl__trace     *trace;
    int32_t         number;             /* of the lane */
    int32_t         stride;             /* stamps of one section */
    uint64_t       *stamps;             /* [N_SECTIONS, ring.n, stride] device memory */
    uint64_t       *seen;               /* the same in host memory: the same place where it is unified */
    size_t          bytes;              /* of each */
    hdl__stamped   *ops;                /* [N_SECTIONS, ring.n, stride] */
    hdl__pass_note *notes;              /* [ring.n] */
    hdl__stamps     recorded;           /* of the step that is being recorded */
    int64_t         offset;             /* device's clock minus the host's */
    int64_t         ended[HDL__N_SECTIONS];     /* of the last pass on each stream, host time: the next one begins there or later */
    int64_t         range_begun[HDL__MOST_RANGES];
    const char     *range_name[HDL__MOST_RANGES];
    int32_t         n_ranges;
    int32_t         told_rows, told_pages, told_ahead;  /* counters as last told */
};

/* Tracks of the file: thread numbers. */
static inline int32_t hdl__lane_track(const hdl__lane_trace *t) { return 10 * (t->number + 1); }
static inline int32_t hdl__stream_track(const hdl__lane_trace *t, int stream) { return hdl__lane_track(t) + 1 + stream; }

/* Where a section's stamps begin, for the pass at a place of the ring. */
static inline size_t hdl__stamps_at(const hdl__lane *lane, hdl__section section, int32_t place)
{
    return ((size_t)section * (size_t)lane->ring.n + (size_t)place) * (size_t)lane->trace->stride;
}

#endif
