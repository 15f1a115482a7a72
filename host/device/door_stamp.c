/* door_stamp.c - the door of stamp; stamps behind the ops of a traced stream; ranges for a profiler. */
#include "device/door.h"
#include "device/stamps.h"

hdl_status hdl_stamp(hdl_stream *stream, const hdl_stamp_args *args)
{
    const char *op = "stamp";
    hdl_status status = HDL_OK;
    static const hdl_stamp_args defaults = HDL_STAMP_ARGS_INIT;
    hdl_stamp_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->stamp != NULL));
    HDL_TRY(hdl__door_pointer(op, "to", args->to));
    HDL_TRY(hdl__door_range(op, "stride", args->stride, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "index", args->index, 0, args->stride - 1));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->stamp(stream->inner, args)));
done:
    return status;
}

hdl_status hdl__stamp_op(hdl_stream *stream, const hdl__stamped *op)
{
    hdl_status status = HDL_OK;
    hdl__stamps *stamps = stream->stamps;
    const bool full = stamps->at.index == stamps->at.stride;
    if (full) stamps->at.index--;       /* the last one moves, so that the end of the pass is right */
    HDL_TRY(hdl_stamp(stream, &stamps->at));
    stamps->ops[stamps->at.index++] = full ? (hdl__stamped){.op = "others"} : *op;
done:
    return status;
}

hdl_status hdl__stream_trace(hdl_stream *stream, hdl__stamps *stamps)
{
    const hdl__stamped begin = {0};
    stream->stamps = stamps;
    if (stamps == NULL) return HDL_OK;
    stamps->at.index = 0;
    return hdl__stamp_op(stream, &begin);
}

void hdl__device_range_begin(const hdl_device *device, const char *name)
{
    if (device->table->range_begin != NULL && device->table->range_end != NULL) device->table->range_begin(name);
}

void hdl__device_range_end(const hdl_device *device)
{
    if (device->table->range_begin != NULL && device->table->range_end != NULL) device->table->range_end();
}
