/* door_norm.c - the door of norm. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_norm(hdl_stream *stream, const hdl_norm_args *args)
{
    const char *op = "norm";
    hdl_status status = HDL_OK;
    static const hdl_norm_args defaults = HDL_NORM_ARGS_INIT;
    hdl_norm_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->norm != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "E", args->E, 1, HDL__MOST_WIDTH));
    HDL_TRY(hdl__door_range(op, "kind", (int32_t)args->kind, HDL_NORM_LAYER, HDL_NORM_RMS));
    HDL_TRY(hdl__door_finite(op, "eps", args->eps));
    HDL_CHECK(args->eps > 0.0f, HDL_EINVAL, "%s: eps = %g, allowed above 0", op, (double)args->eps);
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "gamma", args->gamma));
    HDL_TRY(hdl__door_pointer(op, "y", args->y));

    const size_t element = hdl_dtype_bytes(args->act_dtype);
    const hdl__block x = {"x", args->x, args->E, args->E}, residual = {"residual", args->residual, args->E, args->E};
    const hdl__block y = {"y", args->y, args->E, args->E}, sum = {"sum", args->sum, args->E, args->E};
    HDL_TRY(hdl__door_same_or_apart(op, &y, &x, args->M, element));
    HDL_TRY(hdl__door_same_or_apart(op, &y, &residual, args->M, element));
    HDL_TRY(hdl__door_same_or_apart(op, &sum, &x, args->M, element));
    HDL_TRY(hdl__door_same_or_apart(op, &sum, &residual, args->M, element));
    HDL_TRY(hdl__door_apart(op, &sum, &y, args->M, element));
    const hdl__block y_max = {"y_max", args->y_max, 1, 1};
    const hdl__block *const rows[] = {&y, &x, &residual, &sum};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, rows[i], args->M, element));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->norm(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->E, 0}));
done:
    return status;
}
