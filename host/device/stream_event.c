/* stream_event.c - the doors of events: points in a stream's work that others wait for. */
#include "device/device_state.h"

#include "base/memory.h"

hdl_status hdl_event_create(hdl_device *device, hdl_event **event)
{
    hdl_status status = HDL_OK;
    hdl_event *made = NULL;
    HDL_CHECK(device != NULL, HDL_EINVAL, "event: device is NULL");
    HDL_CHECK(event != NULL, HDL_EINVAL, "event: the pointer for the result is NULL");
    const hdl_backend *table = device->table;
    bool offered = table->event_create != NULL && table->event_close != NULL && table->event_record != NULL &&
                   table->event_wait != NULL && table->event_sync != NULL;
    HDL_CHECK(offered, HDL_ENOSUPPORT, "event: not offered by the %s backend", table->name);
    made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "event: no memory for %zu bytes", sizeof *made);
    made->device = device;
    HDL_TRY(table->event_create(device->inner, &made->inner));
    *event = made;
    made = NULL;
done:
    hdl__free(made);
    return status;
}

void hdl_event_close(hdl_event *event)
{
    if (event == NULL) return;
    event->device->table->event_close(event->inner);
    hdl__free(event);
}

static hdl_status check_pair(const hdl_event *event, const hdl_stream *stream, const char *what)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_idle(stream, what));
    HDL_CHECK(event != NULL, HDL_EINVAL, "%s: event is NULL", what);
    HDL_CHECK(event->device == stream->device, HDL_EINVAL, "%s: the event is of another device than the stream", what);
done:
    return status;
}

hdl_status hdl_event_record(hdl_event *event, hdl_stream *stream)
{
    hdl_status status = HDL_OK;
    HDL_TRY(check_pair(event, stream, "event record"));
    HDL_TRY(hdl__stream_result(stream, event->device->table->event_record(stream->inner, event->inner)));
done:
    return status;
}

hdl_status hdl_event_wait(hdl_event *event, hdl_stream *stream)
{
    hdl_status status = HDL_OK;
    HDL_TRY(check_pair(event, stream, "event wait"));
    HDL_TRY(hdl__stream_result(stream, event->device->table->event_wait(stream->inner, event->inner)));
done:
    return status;
}

hdl_status hdl_event_sync(hdl_event *event)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(event != NULL, HDL_EINVAL, "event sync: event is NULL");
    HDL_TRY(event->device->table->event_sync(event->inner));
done:
    return status;
}
