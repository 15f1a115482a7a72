/* door_glu.c - the door of glu. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_glu(hdl_stream *stream, const hdl_glu_args *args)
{
    const char *op = "glu";
    hdl_status status = HDL_OK;
    static const hdl_glu_args defaults = HDL_GLU_ARGS_INIT;
    hdl_glu_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->glu != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "F", args->F, 1, INT32_MAX));
    HDL_TRY(hdl__door_activation(op, args->act));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "up", args->up));
    HDL_TRY(hdl__door_pointer(op, "gate", args->gate));
    HDL_TRY(hdl__door_pointer(op, "y", args->y));
    HDL_TRY(hdl__door_stride(op, "ldu", args->ldu, "F", args->F));
    HDL_TRY(hdl__door_stride(op, "ldg", args->ldg, "F", args->F));
    HDL_TRY(hdl__door_stride(op, "ldy", args->ldy, "F", args->F));

    const size_t element = hdl_dtype_bytes(args->act_dtype);
    const hdl__block up = {"up", args->up, args->ldu, args->F}, gate = {"gate", args->gate, args->ldg, args->F};
    const hdl__block y = {"y", args->y, args->ldy, args->F};
    HDL_TRY(hdl__door_same_or_apart(op, &y, &up, args->M, element));
    HDL_TRY(hdl__door_apart(op, &y, &gate, args->M, element));
    const hdl__block y_max = {"y_max", args->y_max, 1, 1};
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &y, args->M, element));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &up, args->M, element));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &gate, args->M, element));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->glu(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->F, 0}));
done:
    return status;
}
