/* stamp_cpu.c - readings of the host's monotonic clock between ops. */
#include "cpu/cpu_backend.h"

#include <assert.h>
#include <time.h>

#define NS_PER_SECOND 1000000000u

static hdl_status replay_stamp(hdl_backend_stream *stream, const void *args) { return hdl__cpu_stamp(stream, args); }

hdl_status hdl__cpu_stamp(hdl_backend_stream *stream, const hdl_stamp_args *args)
{
    hdl_status status = HDL_OK;
    struct timespec now;
    if (hdl__cpu_record(stream, replay_stamp, args, sizeof *args, &status)) return status;
    const int64_t row = args->place != NULL ? *args->place : 0;
    assert(row >= 0 && args->index < args->stride);
    clock_gettime(CLOCK_MONOTONIC, &now);
    args->to[row * args->stride + args->index] = (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
    return status;
}
