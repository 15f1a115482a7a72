/* trace_check.h - reads a trace as a viewer would and holds it to its own rules; counts what it holds. */
#ifndef HEDDLE_TESTS_TRACE_CHECK_H
#define HEDDLE_TESTS_TRACE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_LINES 512

typedef struct trace_summary {
    int  n_events, n_requests, n_ops, n_host, n_callbacks, n_restarts;
    int  n_steps, n_encode, n_write, n_forced;      /* passes */
    long step_rows;                                 /* of all steps */
    int  lines[TRACE_LINES];                        /* requests by line */
    int  failed;                                    /* requests whose status is not HDL_OK */
    int  queue_in, queue_last, queue_most;          /* sentences that came; waiting at the end; at most */
    int  ahead_most, ahead_last, rows_last;         /* of one lane */
    int  at_bounds;                                 /* passes that begin at the very moment they were queued: the clocks were not compared */
    double queue_empty, last_pass;                  /* when the queue became empty for good; when the last pass ended; microseconds */
    bool gemm, self, source, packed, beam_step, others; /* ops by name */
} trace_summary;

/*
 * Fails the test where the file is not JSON; an event lacks a field; a duration is negative; an op lies outside its
 * pass, leaves a gap or is in disorder; passes of a stream overlap; a pass begins before it was queued or ends after
 * it was seen; ranges of a thread cross; a request does not have each phase once and in order.
 */
void trace_check(const char *path, trace_summary *out);

#endif
