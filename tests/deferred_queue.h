/* deferred_queue.h - what the two files of the deferred device share: its memory, its queue of work, its lock. */
#ifndef HEDDLE_TESTS_DEFERRED_QUEUE_H
#define HEDDLE_TESTS_DEFERRED_QUEUE_H

#include "cpu/cpu_table.h"
#include "deferred_backend.h"
#include "device/counting.h"

#include <pthread.h>

/* One call of an op with all that its arguments point to in the caller's memory. */
typedef struct deferred_call {
    hdl_status (*run)(hdl_backend_stream *inner, const struct deferred_call *call);
    hdl_slots slots;
    hdl_rows  rows;
    union {
#define X(op) hdl_##op##_args op;
        HDL__OP_MAP(X)
#undef X
    } args;
} deferred_call;

typedef struct deferred_work {
    struct deferred_work *next;
    const deferred_call  *call;             /* of an op; `own`: freed after it has run */
    bool                  own;
    void                 *to;               /* of a copy */
    const void           *from;
    size_t                bytes;
    bool                  up;
    uint64_t              hash;             /* of an upload's source when it was queued */
    hdl_backend_event    *event;
    uint64_t              number;
} deferred_work;

struct hdl_backend_graph { deferred_call **calls; size_t n; };

typedef struct deferred_stream {
    hdl_backend_stream     *inner;          /* the CPU's */
    deferred_work          *first, *last;
    hdl_backend_graph      *recording;
    struct deferred_stream *next;
} deferred_stream;

typedef struct deferred_state {
    pthread_mutex_t         mutex;          /* guards all below, and every touch of the arena */
    uint8_t                *arena;          /* device memory: closed to everybody while no work runs */
    size_t                  used;
    const hdl_backend_host *host;
    deferred_stream        *streams;
    uint64_t                seed, random, fail_in, queued;
    bool                    open, failed;
    int                     breaches;
    hdl_backend             table;
} deferred_state;

extern deferred_state deferred;

static inline deferred_stream *deferred_stream_of(hdl_backend_stream *s) { return (deferred_stream *)(void *)s; }

/* Calls that only queue lock; those that touch device memory enter, which opens it. Both leave. */
void deferred_lock(void);
void deferred_enter(void);
void deferred_leave(void);
/* Memory hooks of the CPU device inside: its blocks lie in the arena too. */
void *deferred_take(size_t bytes, int kind, void *user);
void  deferred_give(void *block, size_t bytes, int kind, void *user);
hdl_status deferred_open_arena(void);
/* A piece of work behind the stream's others; with the lock held. */
void deferred_queue(deferred_stream *s, deferred_work what);
/* deferred_backend.c: runs one op, and checks what its contract says of its lists. */
hdl_status deferred_run_call(hdl_backend_stream *inner, const deferred_call *call);
/* Memory, streams, copies and events into the table. */
void deferred_fill_queue(hdl_backend *table);

#endif
