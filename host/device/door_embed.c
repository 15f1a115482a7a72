/* door_embed.c - the doors of embedding tables and of embed. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_embedding_open(hdl_device *device, const hdl_pack_part *part, int32_t E, hdl_embedding **embedding)
{
    const char *op = "embedding";
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_device(device, op));
    const hdl_backend *table = device->table;
    HDL_TRY(hdl__door_offered(device, op, table->embedding_open != NULL && table->embedding_close != NULL));
    HDL_TRY(hdl__door_pointer(op, "part", part));
    HDL_TRY(hdl__door_pointer(op, "the pointer for the result", embedding));
    HDL_TRY(hdl__door_range(op, "E", E, 1, HDL__MOST_WIDTH));
    HDL_TRY(hdl__door_part(op, part, 0));
    HDL_TRY(table->embedding_open(device->inner, part, E, embedding));
done:
    return status;
}

hdl_status hdl_embedding_of_weight(hdl_device *device, const hdl_weight *weight, int32_t E, hdl_embedding **embedding)
{
    const char *op = "embedding of a weight";
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_device(device, op));
    const hdl_backend *table = device->table;
    HDL_TRY(hdl__door_offered(device, op, table->embedding_of != NULL && table->embedding_close != NULL));
    HDL_TRY(hdl__door_pointer(op, "weight", weight));
    HDL_TRY(hdl__door_pointer(op, "the pointer for the result", embedding));
    HDL_TRY(hdl__door_range(op, "E", E, 1, HDL__MOST_WIDTH));
    HDL_TRY(table->embedding_of(device->inner, weight, E, embedding));
done:
    return status;
}

void hdl_embedding_close(hdl_device *device, hdl_embedding *embedding)
{
    if (device != NULL && embedding != NULL) device->table->embedding_close(embedding);
}

/* y_max, and zero, which is a block of other ops' maxima. */
static hdl_status check_maxima(const hdl_device *device, const char *op, const hdl_embed_args *args)
{
    hdl_status status = HDL_OK;
    const size_t element = hdl_dtype_bytes(args->act_dtype);
    const int64_t size = (int64_t)args->M * args->E;
    const hdl__block y = {"y", args->y, size, size}, y_max = {"y_max", args->y_max, args->M, args->M};
    const hdl__block zero = {"zero", args->zero, args->n_zero, args->n_zero};
    HDL_TRY(hdl__door_row_maxima(device, op, &y_max, &y, 1, element));
    HDL_TRY(hdl__door_range(op, "n_zero", args->n_zero, 0, args->zero != NULL ? INT32_MAX : 0));
    HDL_TRY(hdl__door_row_maxima(device, op, &zero, &y, 1, element));
    HDL_TRY(hdl__door_apart(op, &zero, &y_max, 1, sizeof(float)));
done:
    return status;
}

hdl_status hdl_embed(hdl_stream *stream, const hdl_embed_args *args)
{
    const char *op = "embed";
    hdl_status status = HDL_OK;
    static const hdl_embed_args defaults = HDL_EMBED_ARGS_INIT;
    hdl_embed_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->embed != NULL));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "E", args->E, 1, HDL__MOST_WIDTH));
    HDL_TRY(hdl__door_finite(op, "scale", args->scale));
    HDL_TRY(hdl__door_range(op, "n_positions", args->n_positions, args->positions == NULL ? 0 : 1, INT32_MAX));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "table", args->table));
    HDL_TRY(hdl__door_pointer(op, "y", args->y));
    if (args->rows != NULL || args->slots != NULL) {
        HDL_CHECK(args->ids == NULL && args->pos == NULL, HDL_EINVAL,
                  "%s: both a row list and %s are given, allowed one", op, args->ids != NULL ? "ids" : "pos");
        HDL_TRY(hdl__door_slots(op, args->slots, args->rows, HDL__NEED_TOKEN | HDL__NEED_BEAM | HDL__NEED_POS));
    } else {
        HDL_TRY(hdl__door_pointer(op, "ids", args->ids));
        if (args->positions != NULL) HDL_TRY(hdl__door_pointer(op, "pos", args->pos));
    }
    HDL_TRY(check_maxima(stream->device, op, args));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->embed(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, NULL, args->M, args->E, 0}));
done:
    return status;
}
