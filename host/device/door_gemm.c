/* door_gemm.c - the door of gemm. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_gemm(hdl_stream *stream, const hdl_gemm_args *args)
{
    const char *op = "gemm";
    hdl_status status = HDL_OK;
    static const hdl_gemm_args defaults = HDL_GEMM_ARGS_INIT;
    hdl_gemm_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->gemm != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "N", args->N, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "K", args->K, 1, INT32_MAX));
    HDL_TRY(hdl__door_activation(op, args->act));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "x", args->x));
    HDL_TRY(hdl__door_pointer(op, "w", args->w));
    HDL_TRY(hdl__door_pointer(op, "y", args->y));
    HDL_TRY(hdl__door_stride(op, "ldx", args->ldx, "K", args->K));
    HDL_TRY(hdl__door_stride(op, "ldy", args->ldy, "N", args->N));
    if (args->residual != NULL) HDL_TRY(hdl__door_stride(op, "ldr", args->ldr, "N", args->N));

    const size_t element = hdl_dtype_bytes(args->act_dtype);
    const hdl__block x = {"x", args->x, args->ldx, args->K}, y = {"y", args->y, args->ldy, args->N};
    const hdl__block residual = {"residual", args->residual, args->ldr, args->N};
    /* with a row list x has rows that M does not tell; its first is all that is known */
    HDL_TRY(hdl__door_apart(op, &y, &x, args->rows == NULL ? args->M : 1, element));
    HDL_TRY(hdl__door_same_or_apart(op, &y, &residual, args->M, element));
    const hdl__block y_max = {"y_max", args->y_max, 1, 1};
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &y, args->M, element));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &x, args->rows == NULL ? args->M : 1, element));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &y_max, &residual, args->M, element));
    const int64_t known = args->rows == NULL ? args->M : 1;
    const hdl__block written = {"y_max", args->y_max, args->M, args->M}, x_max = {"x_max", args->x_max, known, known};
    HDL_TRY(hdl__door_apart(op, &written, &x_max, 1, sizeof(float)));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->gemm(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->N, args->K}));
done:
    return status;
}
