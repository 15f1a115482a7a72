/* counting_parts.h - what the two files of the counting wrapper share. */
#ifndef HEDDLE_HOST_COUNTING_PARTS_H
#define HEDDLE_HOST_COUNTING_PARTS_H

#include "device/counting.h"

/* Stand behind the opaque types hdl_backend_device, hdl_backend_stream and hdl_backend_graph of the wrapper's
 * table. Weights, tables, pools and events are the inner backend's own. */
typedef struct hdl__counted_device {
    hdl_backend         table;          /* the inner one's, with our functions where there is something to unwrap */
    const hdl_backend  *inner;
    hdl_backend_device *device;
    hdl__counters      *counters;
} hdl__counted_device;

/* All that counting wants to know about one call of an op. */
typedef struct hdl__counted_op {
    hdl__op          kind;
    int32_t          M;                 /* rows given */
    const int32_t   *count;             /* live rows, in device memory; NULL: M */
    const hdl_slots *slots;             /* embed with a row list: whose rows are done */
    const hdl_rows  *rows;
    uint64_t         row_bytes, fixed_bytes, row_flops;     /* of a product */
} hdl__counted_op;

typedef struct hdl__counted_graph {
    hdl__counted_device *device;
    hdl_backend_graph   *graph;
    hdl__counted_op     *ops;           /* [n] */
    size_t               n, capacity;
} hdl__counted_graph;

typedef struct hdl__counted_stream {
    hdl__counted_device *device;
    hdl_backend_stream  *stream;
    hdl__counted_graph  *recording;     /* NULL: ops run as they come */
    int32_t              live;          /* rows of live sentences in the pass that runs; -1: not known */
} hdl__counted_stream;

static inline hdl__counted_stream *hdl__counted_stream_of(hdl_backend_stream *stream)
{
    return (hdl__counted_stream *)(void *)stream;
}

static inline void hdl__counter_add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Fills in the functions of ops and of recording. */
void hdl__counting_fill_ops(hdl__counted_device *device);

void hdl__counting_close_graph(hdl__counted_graph *graph);     /* NULL is fine */

#endif
