/* gather_cpu.c - copies rows by index. */
#include "cpu/cpu_backend.h"

#include <assert.h>
#include <string.h>

static hdl_status replay_gather(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_gather_rows(stream, args);
}

hdl_status hdl__cpu_gather_rows(hdl_backend_stream *stream, const hdl_gather_rows_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_gather, args, sizeof *args, &status)) return status;
    const size_t E = (size_t)args->E;
    const float *x = args->x;
    float *y = args->y;
    for (int32_t i = 0; i < args->M; i++) {
        assert(args->index[i] >= 0);
        memcpy(y + (size_t)i * E, x + (size_t)args->index[i] * E, E * sizeof *y);
    }
    return status;
}
