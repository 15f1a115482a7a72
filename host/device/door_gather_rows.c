/* door_gather_rows.c - the door of gather_rows. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_gather_rows(hdl_stream *stream, const hdl_gather_rows_args *args)
{
    const char *op = "gather_rows";
    hdl_status status = HDL_OK;
    static const hdl_gather_rows_args defaults = HDL_GATHER_ROWS_ARGS_INIT;
    hdl_gather_rows_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->gather_rows != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "E", args->E, 1, INT32_MAX));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "index", args->index));
    HDL_TRY(hdl__door_pointer(op, "y", args->y));
    /* how many rows x has, only the indices know; that it does not begin inside y can be seen */
    const int64_t all = (int64_t)args->M * args->E;
    const hdl__block x = {"x", args->x, all, args->E}, y = {"y", args->y, all, all};
    HDL_TRY(hdl__door_apart(op, &y, &x, 1, hdl_dtype_bytes(args->act_dtype)));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->gather_rows(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->E, 0}));
done:
    return status;
}
