/* glu_cpu.c - y = act(up) * gate, row by row. */
#include "cpu/kernel_table.h"
#include "cpu/cpu_backend.h"

static hdl_status replay_glu(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_glu(stream, args);
}

hdl_status hdl__cpu_glu(hdl_backend_stream *stream, const hdl_glu_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_glu, args, sizeof *args, &status)) return status;
    const hdl__op_kernels *kernels = &stream->device->kernels->ops;
    const int32_t live = args->count != NULL ? args->count[0] : args->M;
    const float *up = args->up, *gate = args->gate;
    float *y = args->y;
    for (int32_t i = 0; i < live; i++)
        kernels->glu(up + i * args->ldu, gate + i * args->ldg, y + i * args->ldy, args->F, args->act);
    return status;
}
