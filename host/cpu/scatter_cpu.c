/* scatter_cpu.c - 32-bit words to where their indices say. */
#include "cpu/cpu_backend.h"

#include <assert.h>

static hdl_status replay_scatter(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_scatter_words(stream, args);
}

hdl_status hdl__cpu_scatter_words(hdl_backend_stream *stream, const hdl_scatter_words_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_scatter, args, sizeof *args, &status)) return status;
    for (int32_t i = 0; i < args->n; i++) {
        assert(args->index[i] >= 0);
        args->base[args->index[i]] = args->value[i];
    }
    return status;
}
