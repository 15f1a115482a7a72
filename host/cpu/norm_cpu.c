/* norm_cpu.c - residual add and normalisation, row by row. */
#include "cpu/kernel_table.h"
#include "cpu/cpu_backend.h"

#include <assert.h>

static hdl_status replay_norm(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_norm(stream, args);
}

hdl_status hdl__cpu_norm(hdl_backend_stream *stream, const hdl_norm_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_norm, args, sizeof *args, &status)) return status;
    assert(args->sum == NULL || args->sum != args->y);
    const hdl__op_kernels *kernels = &stream->device->kernels->ops;
    const int32_t live = args->count != NULL ? args->count[0] : args->M;
    const float *x = args->x, *residual = args->residual;
    float *y = args->y, *sum = args->sum;
    for (int32_t i = 0; i < live; i++) {
        const size_t at = (size_t)i * (size_t)args->E;
        const hdl__norm_row row = {
            .x = x + at, .residual = residual != NULL ? residual + at : NULL,
            .gamma = args->gamma, .beta = args->beta,
            .s = sum != NULL ? sum + at : y + at, .y = y + at,
            .E = args->E, .eps = args->eps, .kind = args->kind,
        };
        kernels->norm(&row);
    }
    return status;
}
