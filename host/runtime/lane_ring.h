/*
 * lane_ring.h - passes that a lane has queued: their inputs, what they send back, and the point in the stream after each.
 *
 * The host queues step n + lag before it has looked at step n. A pass (a decode step, an encoder pass, given tokens) takes the next place
 * of a ring: its inputs lie there until the device has copied them, and what it returns is read there once its event has passed.
 */
#ifndef HEDDLE_HOST_LANE_RING_H
#define HEDDLE_HOST_LANE_RING_H

#include "device/device_state.h"

#define HDL__PASSES_PER_STEP 3  /* an encoder pass and given tokens may come with every step; one of them must not wait for another's end */

typedef struct hdl__lane hdl__lane;

/* Rows of one slot within a pass. */
typedef struct hdl__part { int32_t slot, first_row, first_pos, n; } hdl__part;

typedef enum hdl__pass_kind { HDL__PASS_ENCODE = 0, HDL__PASS_FORCED, HDL__PASS_STEP } hdl__pass_kind;

typedef struct hdl__pass {
    hdl__pass_kind  kind;
    uint8_t        *input;          /* host memory that the stream copies; the device's own where that is host memory */
    hdl_slot_state *state;          /* [n_slots] as a step left them, host memory */
    float          *logprobs;       /* [max_rows] of given tokens, host memory */
    float          *device_logprobs;
    hdl__part      *parts;          /* [max_rows] */
    int32_t         n_parts;
    hdl_event      *event;          /* after it in the stream */
} hdl__pass;

typedef struct hdl__ring {
    hdl__pass *passes;              /* [n] pass number i, counted from 1, has place i % n */
    int32_t    n;
    uint64_t   queued, seen;        /* numbers of the last pass queued, and of the last whose end the host has seen */
    int32_t    n_ahead;             /* steps among the passes queued and not seen */
} hdl__ring;

/* Arrays that a pass reads, laid out for M rows of n sentences. */
typedef struct hdl__row_arrays {
    int32_t *count, *slot, *beam, *pos, *n_groups, *group;
    int32_t *place;                     /* of the pass in the ring: where stamps of a recorded step go */
    hdl_rows view;
} hdl__row_arrays;

typedef struct hdl__pass_inputs {
    hdl__row_arrays rows;
    int32_t *ids, *ids_pos, *targets;   /* [M] */
    int32_t *cu;                        /* [n + 1] */
    size_t   bytes;
} hdl__pass_inputs;

/* The same places in a pass's host memory and in the device's, by base; NULL measures. Rows alone: what a decode step reads. */
size_t hdl__place_rows(uint8_t *base, int32_t M, hdl__row_arrays *out);
void   hdl__place_inputs(uint8_t *base, int32_t M, int32_t n, hdl__pass_inputs *out);

hdl_status hdl__ring_open(hdl__lane *lane);
void       hdl__ring_close(hdl__lane *lane);

/* The place of the next pass; when all are taken, sees the oldest's end first (which may end sentences). Not with the hub's mutex held. */
hdl_status hdl__lane_begin_pass(hdl__lane *lane, hdl__pass_kind kind, hdl__pass **pass);
/* What the lane will call that pass: later than everything queued so far. */
static inline uint64_t hdl__ring_next(const hdl__ring *ring) { return ring->queued + 1; }
static inline hdl__pass *hdl__ring_place(const hdl__ring *ring) { return &ring->passes[hdl__ring_next(ring) % (uint64_t)ring->n]; }
/* Inputs of a pass, and with them all changes to slots, to the device: one copy. Before its ops. */
hdl_status hdl__lane_send(hdl__lane *lane, hdl__pass *pass, size_t bytes);
/* After its ops: the pass is queued. */
hdl_status hdl__lane_end_pass(hdl__lane *lane, hdl__pass *pass);
/* Waits for the oldest pass's end and takes what it returns. */
hdl_status hdl__lane_see_oldest(hdl__lane *lane);
/* Looks at old passes until no more than `lag` steps are ahead. */
hdl_status hdl__lane_catch_up(hdl__lane *lane);
/* Until nothing is queued and nothing is on its way out. */
hdl_status hdl__lane_drain(hdl__lane *lane);
/* A pass of nothing: an event after all that is queued. */
hdl_status hdl__lane_mark(hdl__lane *lane);

/* lane_write.c: changes to what slots hold. In place where device memory is host memory, else noted until the next pass is sent. */
typedef struct hdl__writes {
    int32_t   *index, *value;       /* [capacity] words of the lane's block */
    int32_t    n, capacity;
    bool       again;               /* a slot has been given back: what is noted goes first, for its words may be noted once more */
    uint8_t   *spill;               /* pinned: lists that did not wait for a pass */
    hdl_event *spilled;
} hdl__writes;

hdl_status hdl__writes_open(hdl__lane *lane);
void       hdl__writes_close(hdl__lane *lane);
/* Whole words. `to` is device memory of the lane's block; where it is host memory `from` may be the same place. */
hdl_status hdl__lane_write(hdl__lane *lane, const void *to, const void *from, size_t bytes);
hdl_status hdl__lane_zero(hdl__lane *lane, const void *to, size_t bytes);
/* Queues the noted words behind `bytes` of inputs that lie at `input`: copy and scatter. */
hdl_status hdl__writes_send(hdl__lane *lane, uint8_t *input, size_t bytes);

#endif
