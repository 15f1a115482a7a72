/*
 * device_state.h - devices and streams as the runtime sees them: a backend's table and its own object behind it.
 *
 * Only host/device/ calls a backend. What the model layer and the runtime need to know about a device they ask here.
 */
#ifndef HEDDLE_HOST_DEVICE_STATE_H
#define HEDDLE_HOST_DEVICE_STATE_H

#include "base/status.h"

#include <heddle/backend.h>

#include <stdbool.h>

typedef struct hdl__counters hdl__counters;    /* counting.h */
typedef struct hdl__stamps hdl__stamps;        /* stamps.h */
typedef struct hdl__stamped hdl__stamped;

struct hdl_device {
    const hdl_backend  *table;      /* the backend's, or the counting wrapper's around it */
    hdl_backend_device *inner;
    hdl_device_info     info;
    hdl__counters      *counters;   /* NULL: not counted */
    int32_t             lag;        /* the table's, unless a test has set another */
};

/* What every backend is lent. */
extern const hdl_backend_host hdl__host_services;

/* "cpu", "cuda:1" (device_group.c) */
void hdl__device_name_of(const hdl_device *device, char name[HDL_DEVICE_NAME_BYTES]);

/* One thread at a time, so plain fields are enough. */
struct hdl_stream {
    hdl_device         *device;
    hdl_backend_stream *inner;
    bool                recording;
    hdl__stamps        *stamps;             /* NULL: not traced */
    bool                lost;               /* a device error has been seen; `lost_line` says which */
    char                lost_line[HDL_DEVICE_LINE_BYTES];
};

struct hdl_recording {
    hdl_device        *device;
    hdl_backend_graph *inner;
    hdl__stamped      *stamped;             /* [n_stamped] what its stamps stand behind; none unless it was recorded on a traced stream */
    int32_t            n_stamped;
};
struct hdl_event { hdl_device *device; hdl_backend_event *inner; };

/* Steps the host is behind the device: 0 on the CPU, where a step has run when its call returns. */
static inline int32_t hdl__device_lag(const hdl_device *device) { return device->lag; }
/* For tests: results do not depend on it. Before the first lane is opened on the device. */
static inline void hdl__device_set_lag(hdl_device *device, int32_t lag) { device->lag = lag; }
/* Device memory is host memory: the host writes and reads it in place, and copies nothing. */
static inline bool hdl__device_unified(const hdl_device *device) { return device->table->unified != 0; }
/* Every worker thread is a lane with a stream of its own. */
static inline bool hdl__device_lanes_share(const hdl_device *device) { return device->table->lanes_share != 0; }
/* Rows of a step that the backend likes; 0: it has no say. */
static inline int32_t hdl__device_usual_rows(const hdl_device *device) { return device->table->usual_rows; }
/* Ops note the greatest magnitudes of rows (device.h, "row maxima"). */
static inline bool hdl__device_row_maxima(const hdl_device *device) { return device->table->row_maxima != 0; }
/* What the ops' headers call act, under a compute type that is not AUTO. */
static inline hdl_dtype hdl__device_act_dtype(const hdl_device *device, hdl_compute compute)
{
    return device->table->act_dtype(compute);
}
/* Of keys and values in pages. */
static inline hdl_dtype hdl__device_pool_dtype(const hdl_device *device, hdl_compute compute)
{
    const hdl_backend *table = device->table;
    return table->pool_dtype != NULL ? table->pool_dtype(compute) : table->act_dtype(compute);
}
static inline const hdl_backend *hdl__device_table(const hdl_device *device) { return device->table; }
static inline hdl_device *hdl__stream_device(const hdl_stream *stream) { return stream->device; }

/* Kernels that one replay starts; 0 where a backend launches none. */
static inline uint64_t hdl__recording_launches(const hdl_recording *recording)
{
    const hdl_backend *table = recording->device->table;
    return table->graph_launches == NULL ? 0 : table->graph_launches(recording->inner);
}

/* Runs column panels of what `stream`, another thread's, computes until *stop is not zero. False: not offered. */
bool hdl__stream_assist(hdl_stream *stream, const volatile int *stop);

/* HDL_OK, or HDL_EINVAL (NULL) and HDL_EDEVICE (lost) in words that begin with `what`. */
hdl_status hdl__stream_usable(const hdl_stream *stream, const char *what);
/* The same, and HDL_ESTATE when the stream records: for what cannot be recorded. */
hdl_status hdl__stream_idle(const hdl_stream *stream, const char *what);
/* Passes a backend's status on; after HDL_EDEVICE the stream is lost. */
hdl_status hdl__stream_result(hdl_stream *stream, hdl_status status);

/*
 * hdl_device_open, with the counting wrapper (counting.h) around the backend. *counters is the device's, and at 0.
 */
hdl_status hdl__device_open_counted(const char *name, const hdl_device_options *options, hdl__counters **counters,
                                    hdl_device **device);

#endif
