/* door_search.c - the doors of the four ops of search and of scatter_words. */
#include "device/door.h"
#include "device/stamps.h"

static hdl_status check_edits(const char *op, const hdl_edits *edits)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_pointer(op, "edits.entries", edits->entries));
    HDL_TRY(hdl__door_pointer(op, "edits.n", edits->n));
    HDL_TRY(hdl__door_range(op, "edits.stride", edits->stride, 1, INT32_MAX));
done:
    return status;
}

static hdl_status check_candidates(const char *op, const char *name, const hdl_candidates *candidates)
{
    hdl_status status = HDL_OK;
    bool whole = candidates->id != NULL && candidates->logprob != NULL && candidates->n != NULL;
    HDL_CHECK(whole, HDL_EINVAL, "%s: %s.%s is NULL", op, name,
              candidates->id == NULL ? "id" : candidates->logprob == NULL ? "logprob" : "n");
done:
    return status;
}

hdl_status hdl_logit_edits(hdl_stream *stream, const hdl_logit_edits_args *args)
{
    const char *op = "logit_edits";
    hdl_status status = HDL_OK;
    static const hdl_logit_edits_args defaults = HDL_LOGIT_EDITS_ARGS_INIT;
    hdl_logit_edits_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->logit_edits != NULL));
    HDL_TRY(hdl__door_range(op, "R", args->R, 0, INT32_MAX));
    if (args->R == 0) goto done;
    HDL_TRY(hdl__door_slots(op, args->slots, args->rows,
                            HDL__NEED_HISTORY | HDL__NEED_SIDE | HDL__NEED_BEAM | HDL__NEED_POS));
    HDL_TRY(check_edits(op, &args->edits));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->logit_edits(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->R, 0, 0}));
done:
    return status;
}

hdl_status hdl_logit_reduce(hdl_stream *stream, const hdl_logit_reduce_args *args)
{
    const char *op = "logit_reduce";
    hdl_status status = HDL_OK;
    static const hdl_logit_reduce_args defaults = HDL_LOGIT_REDUCE_ARGS_INIT;
    hdl_logit_reduce_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->logit_reduce != NULL));
    HDL_TRY(hdl__door_range(op, "R", args->R, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "V", args->V, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "E", args->E, 1, INT32_MAX));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->R == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "w", args->w));
    HDL_TRY(hdl__door_slots(op, args->slots, args->rows, HDL__NEED_SIDE | HDL__NEED_BEAM | HDL__NEED_POS));
    HDL_TRY(hdl__door_equal(op, "V", args->V, "slots->V", args->slots->V));
    HDL_TRY(check_edits(op, &args->edits));
    HDL_TRY(check_candidates(op, "out", &args->out));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->logit_reduce(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->R, args->V, args->E}));
done:
    return status;
}

hdl_status hdl_beam_step(hdl_stream *stream, const hdl_beam_step_args *args)
{
    const char *op = "beam_step";
    hdl_status status = HDL_OK;
    static const hdl_beam_step_args defaults = HDL_BEAM_STEP_ARGS_INIT;
    hdl_beam_step_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->beam_step != NULL));
    HDL_TRY(hdl__door_range(op, "R", args->R, 0, INT32_MAX));
    if (args->R == 0) goto done;
    HDL_TRY(hdl__door_slots(op, args->slots, args->rows,
                            HDL__NEED_TOKEN | HDL__NEED_SUM | HDL__NEED_HISTORY | HDL__NEED_SIDE | HDL__NEED_BEAM |
                                HDL__NEED_POS | HDL__NEED_GROUPS));
    HDL_TRY(check_candidates(op, "in", &args->in));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->beam_step(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->R, 0, 0}));
done:
    return status;
}

hdl_status hdl_token_logprobs(hdl_stream *stream, const hdl_token_logprobs_args *args)
{
    const char *op = "token_logprobs";
    hdl_status status = HDL_OK;
    static const hdl_token_logprobs_args defaults = HDL_TOKEN_LOGPROBS_ARGS_INIT;
    hdl_token_logprobs_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->token_logprobs != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "V", args->V, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "E", args->E, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "pad_id", args->pad_id, -1, (int64_t)args->V - 1));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "w", args->w));
    HDL_TRY(hdl__door_pointer(op, "ids", args->ids));
    HDL_TRY(hdl__door_pointer(op, "logprob", args->logprob));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->token_logprobs(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->V, args->E}));
done:
    return status;
}

hdl_status hdl_scatter_words(hdl_stream *stream, const hdl_scatter_words_args *args)
{
    const char *op = "scatter_words";
    hdl_status status = HDL_OK;
    static const hdl_scatter_words_args defaults = HDL_SCATTER_WORDS_ARGS_INIT;
    hdl_scatter_words_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->scatter_words != NULL));
    HDL_TRY(hdl__door_range(op, "n", args->n, 0, INT32_MAX));
    if (args->n == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "base", args->base));
    HDL_TRY(hdl__door_pointer(op, "index", args->index));
    HDL_TRY(hdl__door_pointer(op, "value", args->value));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->scatter_words(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->n, 0, 0}));
done:
    return status;
}
