/*
 * stamps.h - when each op of a stream has ended: while a stream is traced, its doors queue a stamp behind every op
 * and note what it was.
 *
 * Stamps lie in device memory, one row of them for each pass that may be under way; `place` says which row. A stream
 * that is not traced queues nothing more than its ops.
 */
#ifndef HEDDLE_HOST_STAMPS_H
#define HEDDLE_HOST_STAMPS_H

#include "device/device_state.h"

/* What ended at a stamp. Sizes as in the op's arguments; 0: it has none of that name. */
typedef struct hdl__stamped {
    const char *op;             /* "gemm"; NULL: the first stamp, before any op. Static, like `kind` */
    const char *kind;           /* which of several, as "self" keys; NULL: there is one */
    int32_t     M, N, K;
} hdl__stamped;

/* The stamps of one pass. */
typedef struct hdl__stamps {
    hdl_stamp_args at;          /* `index` is the next stamp's: how many there are */
    hdl__stamped  *ops;         /* [at.stride] what finds no room goes by the name of "others" and shares the last stamp */
} hdl__stamps;

/*
 * From now on ops are noted in `stamps`, which is emptied and gets its first stamp; NULL: no more. A recording keeps
 * what was noted in it.
 */
hdl_status hdl__stream_trace(hdl_stream *stream, hdl__stamps *stamps);

/* For doors, behind the backend's call: the stamp of this op. */
hdl_status hdl__stamp_op(hdl_stream *stream, const hdl__stamped *op);
static inline hdl_status hdl__door_leave(hdl_stream *stream, hdl__stamped op)
{
    return stream->stamps == NULL ? HDL_OK : hdl__stamp_op(stream, &op);
}

/* Named ranges of this thread for a profiler; nothing where the backend has none. */
void hdl__device_range_begin(const hdl_device *device, const char *name);
void hdl__device_range_end(const hdl_device *device);

#endif
