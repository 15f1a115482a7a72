/*
 * lane.h - one decode loop with its own stream, slots, pages and recorded steps. The CPU has a lane per thread, a GPU one.
 *
 * lane_open.c makes it, lane_admit.c takes sentences in and encodes them, lane_step.c runs decode steps, lane_forced.c runs given tokens
 * many at a time, lane_part.c lets slots go, lane_finish.c turns history into outcomes, lane_loop.c is the thread. lane_ring.c knows what is
 * queued on the device, lane_write.c what has changed in its memory.
 */
#ifndef HEDDLE_HOST_LANE_H
#define HEDDLE_HOST_LANE_H

#include "device/device_state.h"
#include "model/transformer.h"
#include "runtime/lane_ring.h"
#include "runtime/range_pool.h"
#include "runtime/sentence_state.h"
#include "runtime/trace.h"

#include <heddle/detail/buckets.h>
#include <heddle/detail/history.h>
#include <heddle/detail/score.h>
#include <heddle/translator.h>

#define HDL__MAX_ROWS 4096     /* the largest bucket */
#define HDL__RANGE_UNIT 64u    /* bytes of slots.history are handed out in these */
#define HDL__PASS_TOKENS 128   /* of one encoder pass where it stands in line with the steps: wider ones gain nothing and fill memory */
#define HDL__SHORT_SHARE 4     /* a pool that was dry is short of pages until a quarter is free */

/* Sizes of a lane, fixed at open. */
typedef struct hdl__lane_plan {
    int32_t  max_rows, n_slots, batch_tokens, max_beam;
    int32_t  n_ahead;               /* slots beyond max_rows, of sentences that are encoded and wait for rows */
    int32_t  max_positions;         /* longest target */
    int32_t  max_source;            /* longest source */
    int32_t  n_pages;
    int32_t  self_stride, source_stride;
    int32_t  edit_stride;
    uint64_t history_bytes;
    uint64_t staging_bytes;         /* of finished histories on their way to the host */
    uint64_t pool_bytes;            /* bytes of the pages */
    uint64_t bytes;                 /* everything the lane asks for */
    int32_t  max_delay_us;
    bool     traced;                /* into the translator's trace */
} hdl__lane_plan;

/* An encoded sentence: its source pages live until the last child has left. */
typedef struct hdl__resident {
    hdl__sentence *sentence;        /* NULL: free */
    int32_t        home;            /* slot that holds the page list: the first child's, or kept while children come and go */
    int32_t        n_source_pages;
    int32_t       *source_pages;    /* [source_stride] */
    int32_t        n_live;          /* children in slots */
    int32_t        redo[HDL_MAX_BEAM];      /* children that lost their slot when pages ran dry, to start again */
    int32_t        n_redo;
    uint64_t       admitted;        /* order of admission: the youngest restarts when pages run dry */
    uint64_t       last_pass;       /* the last pass that reads or writes the source pages */
    bool           leaving;         /* has no sentence any more; the pages return when that pass has ended */
} hdl__resident;

typedef enum hdl__parting {
    HDL__STAYS = 0,
    HDL__DONE,                      /* its search has ended; the history is on its way to the host */
    HDL__LEAVING                    /* has no resident any more; what it holds returns when its last pass has ended */
} hdl__parting;

/* What the host knows of a slot. */
typedef struct hdl__seat {
    hdl__resident *resident;        /* NULL: free, or leaving */
    hdl__parting   parting;
    int32_t        child;
    bool           waits;           /* encoded ahead: it has no rows of steps yet */
    int32_t        pos;             /* target tokens that stand when all that is queued has run */
    int32_t        forced;          /* positions that lane_forced.c runs before stepping, until they are queued (scores: for good); 0: none */
    int32_t        n_self_pages;
    uint64_t       history_begin, history_bytes;    /* in units of HDL__RANGE_UNIT */
    bool           fetched;         /* done, and the copy of its history is queued */
    uint64_t       staged_begin, staged_bytes;      /* of that copy, in units */
    uint64_t       last_pass;       /* the last pass that it is part of, or that follows the copy */
} hdl__seat;

typedef struct hdl__lane_stats {
    uint64_t steps, rows, launches, encoder_passes, source_tokens, target_tokens, sentences, restarts;
} hdl__lane_stats;

struct hdl__lane {
    hdl_translator     *translator;
    const hdl__network *network;
    hdl__lane_plan      plan;
    hdl_stream         *stream;
    hdl_stream         *encoder_stream;     /* encodes new sentences beside steps that run; `stream` itself where nothing runs beside */
    hdl_event          *encoded, *written;  /* hidden rows of the last encoder pass are there; have been read */
    hdl__hidden         hidden, source_hidden;
    hdl_kv_pool        *pool;

    hdl_slots           slots;              /* device pointers, as ops see them */
    hdl_slot_options   *options;            /* what the host knows of them: the same memory where it is unified, else mirrors */
    hdl_slot_state     *state;              /* as the last pass that was seen left it */
    int32_t            *self_pages;
    hdl__row_arrays     rows[HDL_N_BUCKETS];    /* device pointers that recorded steps read, at the start of `input` */
    uint8_t            *input;              /* inputs of the pass that is queued next, device memory */
    size_t              input_bytes;        /* without the words that travel behind them */
    uint8_t            *encoder_input;      /* of the encoder pass that is queued next */
    float              *logprobs;           /* [ring.n, max_rows] of passes of given tokens, device memory */
    hdl_edits           edits;
    hdl_candidates      candidates;
    hdl_recording      *recordings[HDL_N_BUCKETS][2];   /* by bucket; without and with alignment */
    void               *block;              /* all of the device arrays above */
    size_t              block_bytes;
    void               *pinned;             /* host memory of the ring, the mirrors and the staging that the stream copies from and to */
    size_t              pinned_bytes;
    bool                unified;            /* device memory is host memory: nothing is copied */
    int32_t             lag;                /* steps that are queued before the host looks at the first of them */
    hdl__ring           ring;
    hdl__writes         writes;
    uint8_t            *staging;            /* pinned copies of finished histories */
    hdl__range_pool     staging_ranges;
    hdl_status          trouble;            /* an error where none could be returned; `lost_line` says which */

    hdl__seat          *seats;              /* [n_slots] */
    hdl__resident      *residents;          /* [n_slots] */
    hdl__resident     **taken;              /* [n_slots] of one admission */
    int32_t            *free_pages;
    int32_t             n_free_pages;
    hdl__range_pool     history;            /* bytes of slots.history, in units of 64 */
    int32_t             rows_reserved, n_seated, n_residents;
    int32_t             n_waiting, rows_waited;     /* of the seated: those that have no rows yet, and how many they need */
    int32_t             n_parting;          /* seats and residents on their way out */
    uint64_t            admissions;
    bool                lost;               /* the device failed; written under the hub's mutex */
    int32_t             held, room;         /* sentences, and rows for more, when the lane last looked; guarded by the hub's mutex */
    char                lost_line[256];
    bool                busy;               /* has residents; guarded by the hub's mutex */
    hdl__lane          *assisting;          /* the busy lane whose ops this idle one joins; guarded by the hub's mutex */
    volatile int        assist_stop;        /* not 0: come back; set under the hub's mutex, read without */
    bool                dry;                /* pages have run out since the lane was last empty: seating is careful */
    bool                abandon;            /* closing without draining: what is seated is dropped */
    const hdl__probe   *encoder_probe, *decoder_probe;  /* of the next passes; NULL but for attention maps */
    hdl__lane_trace    *trace;              /* NULL: not traced */
    hdl__lane_stats     stats;              /* the lane's own */
    hdl__lane_stats     published;          /* copied under the hub's mutex, for readers */
};

/* Sizes from options and network; alone: no other device shares the queue, so that sentences may wait here. HDL_EINVAL when pool_bytes is too small for one sentence of full length (says both numbers). */
hdl_status hdl__lane_plan_make(const hdl__network *network, const hdl_translator_options *options, bool alone, hdl__lane_plan *out);
hdl_status hdl__lane_open(hdl_translator *translator, const hdl__network *network, const hdl__lane_plan *plan, hdl__lane *out);
void       hdl__lane_close(hdl__lane *lane);

/* Rows for which a bucket is recorded: none has more than max_rows. */
static inline int32_t hdl__bucket_rows(const hdl__lane_plan *plan, int32_t bucket)
{
    return hdl_bucket(bucket) < plan->max_rows ? hdl_bucket(bucket) : plan->max_rows;
}

/* Records the decode step of every bucket; after open, before the first sentence. */
hdl_status hdl__lane_record(hdl__lane *lane);

/* Takes sentences from the queue while they fit, encodes them, seats their children. Locks the translator's mutex inside. */
hdl_status hdl__lane_admit(hdl__lane *lane);
/* lane_share.c, with the hub's mutex held: sentences that the lane may take when each needs `rows`; and its load, for the others' shares
 * (full: there was no room for a sentence). */
int32_t    hdl__lane_share(hdl__lane *lane, int32_t rows);
void       hdl__lane_publish_load(hdl__lane *lane, bool full);
/* After pages have run out nothing is seated until a good part of them is free again, or restarts would follow each other. */
static inline bool hdl__lane_is_short(const hdl__lane *lane)
{
    return lane->dry && lane->n_seated > 0 && lane->n_free_pages < lane->plan.n_pages / HDL__SHORT_SHARE;
}

/* Seats waiting children of residents while rows, slots and history allow. */
hdl_status hdl__lane_seat_children(hdl__lane *lane);
/* Rows that have become free, to seats that wait for them, in the queue's order; not before `next`, the queue's head, if that is more urgent. */
void       hdl__lane_give_rows(hdl__lane *lane, const hdl__sentence *next);
/* The sentence of the seats that wait which comes first; NULL: none waits. */
const hdl__sentence *hdl__lane_first_waiting(const hdl__lane *lane);
/* Seats the first child of a new resident, if need be to wait for rows; *seated false: no room now. */
hdl_status hdl__lane_seat_first(hdl__lane *lane, hdl__resident *resident, bool *seated);
/* Pages that the next step needs, taken; when the pool is dry the youngest sentence goes back to the queue. */
void       hdl__lane_take_pages(hdl__lane *lane);
/* One page into a seat's list; restarts younger sentences as needed. False: this seat's own sentence was the youngest and is gone. */
bool       hdl__lane_cover(hdl__lane *lane, int32_t slot, int32_t positions);
/* Encodes residents and writes their source pages. */
hdl_status hdl__lane_encode(hdl__lane *lane, hdl__resident *const *taken, int32_t n);
/* Takes one sentence in, if rows, pages and history allow, else *out is NULL; its source is not encoded yet. */
hdl_status hdl__lane_settle(hdl__lane *lane, hdl__sentence *sentence, hdl__resident **out);
/* Queues given tokens of forced seats, many rows at a time. */
hdl_status hdl__lane_run_forced(hdl__lane *lane);
/* Queues one decode step of all seated sentences, then looks at what earlier ones have finished. */
hdl_status hdl__lane_run_step(hdl__lane *lane);
/* Keeps an error for the next call that can return it. */
void       hdl__lane_note_trouble(hdl__lane *lane, hdl_status status);
/* What a step has left of its slots; a slot that is done parts. */
void       hdl__lane_note_states(hdl__lane *lane, const hdl__pass *pass);
/* What a pass of given tokens has returned. */
void       hdl__lane_note_scores(hdl__lane *lane, const hdl__pass *pass);
/* Fetches histories of slots that are done, ends those whose history is here, frees what no queued pass knows any more. */
hdl_status hdl__lane_part(hdl__lane *lane);
/* A slot's search has ended. */
void       hdl__lane_set_done(hdl__lane *lane, int32_t slot);
/* The history of a slot that is done, in host memory. */
const uint8_t *hdl__lane_history(const hdl__lane *lane, int32_t slot);
/* Outcomes of a slot that is done, from its history; then the seat is free. */
void       hdl__lane_finish(hdl__lane *lane, int32_t slot);
void       hdl__lane_finish_scores(hdl__lane *lane, int32_t slot);
/* Frees the slot; when the resident has no child left to come, its source pages too, and the sentence is complete. */
void       hdl__lane_leave(hdl__lane *lane, int32_t slot);
/* Takes one child out of its slot, to start again later. */
void       hdl__lane_unseat(hdl__lane *lane, int32_t slot);
/* Takes a resident out, with all its seats, without completing its sentence. */
void       hdl__lane_evict(hdl__lane *lane, hdl__resident *resident);
/* Ends a resident's sentence with a failure: seats are freed, the sentence completed. */
void       hdl__lane_fail(hdl__lane *lane, hdl__resident *resident, hdl_status why, const char *line);
/* Score from sum, length and coverage. */
void       hdl__outcome_score(const hdl_slot_options *options, int32_t S, hdl__outcome *outcome);
/* The thread. */
void      *hdl__lane_main(void *lane);

#endif
