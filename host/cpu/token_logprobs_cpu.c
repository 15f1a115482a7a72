/* token_logprobs_cpu.c - log-probability of a given token of each row, in the panels of logit_reduce. */
#include "cpu/logit_panels.h"

#include <math.h>

static hdl_status replay_token_logprobs(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_token_logprobs(stream, args);
}

hdl_status hdl__cpu_token_logprobs(hdl_backend_stream *stream, const hdl_token_logprobs_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_token_logprobs, args, sizeof *args, &status)) return status;
    const int32_t no_pad = args->pad_id * 4 + HDL_EDIT_REMOVE;
    hdl__logit_block block = {.stream = stream, .bias = args->bias, .V = args->V};
    for (int32_t first = 0; first < args->M; first += HDL__LOGIT_ROWS) {
        size_t used = 0;
        block.M = args->M - first < HDL__LOGIT_ROWS ? args->M - first : HDL__LOGIT_ROWS;
        for (int32_t m = 0; m < block.M; m++)
            block.rows[m] = (hdl__logit_row){
                .edits = &no_pad, .n_edits = args->pad_id >= 0 ? 1 : 0, .wanted = args->ids[first + m]};
        block.x = hdl__cpu_prepare(stream, &used, args->w, (const float *)args->x + (int64_t)first * args->E, args->E,
                                   NULL, block.M);
        hdl__logit_block_run(&block, &used);
        for (int32_t m = 0; m < block.M; m++) {
            hdl__logit_result found;
            hdl__logit_block_merge(&block, m, &found);
            args->logprob[first + m] = found.bad ? NAN : (float)((double)found.wanted - found.log_sum);
        }
    }
    return status;
}
