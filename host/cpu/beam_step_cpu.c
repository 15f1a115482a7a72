/* beam_step_cpu.c - one step of search for every slot of the step; the logic is detail/beam_step.h. */
#include "cpu/cpu_backend.h"

#include <heddle/detail/beam_step.h>

static hdl_status replay_beam_step(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_beam_step(stream, args);
}

hdl_status hdl__cpu_beam_step(hdl_backend_stream *stream, const hdl_beam_step_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_beam_step, args, sizeof *args, &status)) return status;
    const hdl_rows *rows = args->rows;
    for (int32_t g = 0; g < rows->n_groups[0]; g++) {
        const int32_t first = rows->group[g], n_rows = rows->group[g + 1] - first;
        const size_t list = (size_t)first * HDL_MAX_CANDIDATES;
        hdl_beam_step_slot(args->slots, rows->slot[first], args->in.id + list, args->in.logprob + list,
                           args->in.n + first, n_rows);
    }
    return status;
}
