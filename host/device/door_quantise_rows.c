/* door_quantise_rows.c - the door of quantise_rows. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_quantise_rows(hdl_stream *stream, const hdl_quantise_rows_args *args)
{
    const char *op = "quantise_rows";
    hdl_status status = HDL_OK;
    static const hdl_quantise_rows_args defaults = HDL_QUANTISE_ROWS_ARGS_INIT;
    hdl_quantise_rows_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->quantise_rows != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "K", args->K, 1, INT32_MAX));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "q", args->q));
    HDL_TRY(hdl__door_pointer(op, "scale", args->scale));
    HDL_TRY(hdl__door_stride(op, "ldx", args->ldx, "K", args->K));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->quantise_rows(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, 0, args->K}));
done:
    return status;
}
