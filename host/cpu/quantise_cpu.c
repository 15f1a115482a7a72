/* quantise_cpu.c - rows of activations to int8, each by its own greatest magnitude. */
#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"

static hdl_status run_quantise(hdl_backend_stream *stream, const void *args)
{
    const hdl_quantise_rows_args *a = args;
    for (int32_t m = 0; m < a->M; ++m)
        stream->device->kernels->gemm.quantise((const float *)a->x + m * a->ldx, a->K, a->q + (int64_t)m * a->K,
                                               &a->scale[m]);
    return HDL_OK;
}

hdl_status hdl__cpu_quantise_rows(hdl_backend_stream *stream, const hdl_quantise_rows_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, run_quantise, args, sizeof *args, &status)) return status;
    return run_quantise(stream, args);
}
