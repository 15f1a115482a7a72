/* stream.c - streams: made or borrowed, copies, waiting, and being lost. */
#include "device/device_state.h"

#include "base/memory.h"
#include "base/struct_args.h"

#include <stdio.h>
#include <string.h>

hdl_status hdl__stream_usable(const hdl_stream *stream, const char *what)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(stream != NULL, HDL_EINVAL, "%s: stream is NULL", what);
    HDL_CHECK(!stream->lost, HDL_EDEVICE, "%s: the stream was lost earlier: %s", what, stream->lost_line);
done:
    return status;
}

hdl_status hdl__stream_idle(const hdl_stream *stream, const char *what)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_usable(stream, what));
    HDL_CHECK(!stream->recording, HDL_ESTATE, "%s: the stream is recording, and only ops can be recorded", what);
done:
    return status;
}

hdl_status hdl__stream_result(hdl_stream *stream, hdl_status status)
{
    if (status == HDL_EDEVICE && !stream->lost) {
        stream->lost = true;
        snprintf(stream->lost_line, sizeof stream->lost_line, "%s", hdl_error_detail());
    }
    return status;
}

hdl_status hdl_stream_create(hdl_device *device, hdl_stream **stream)
{
    hdl_status status = HDL_OK;
    hdl_stream *made = NULL;
    HDL_CHECK(device != NULL, HDL_EINVAL, "stream: device is NULL");
    HDL_CHECK(stream != NULL, HDL_EINVAL, "stream: the pointer for the result is NULL");
    made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "stream: no memory for %zu bytes", sizeof *made);
    made->device = device;
    HDL_TRY(device->table->stream_create(device->inner, &made->inner));
    *stream = made;
    made = NULL;
done:
    hdl_stream_close(made);
    return status;
}

hdl_status hdl_stream_wrap(hdl_device *device, void *native, hdl_stream **stream)
{
    hdl_status status = HDL_OK;
    hdl_stream *made = NULL;
    HDL_CHECK(device != NULL, HDL_EINVAL, "stream wrap: device is NULL");
    HDL_CHECK(stream != NULL, HDL_EINVAL, "stream wrap: the pointer for the result is NULL");
    HDL_CHECK(device->table->stream_wrap != NULL, HDL_ENOSUPPORT, "stream wrap: not offered by the %s backend",
              device->table->name);
    made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "stream wrap: no memory for %zu bytes", sizeof *made);
    made->device = device;
    HDL_TRY(device->table->stream_wrap(device->inner, native, &made->inner));
    *stream = made;
    made = NULL;
done:
    hdl_stream_close(made);
    return status;
}

void hdl_stream_close(hdl_stream *stream)
{
    if (stream == NULL) return;
    if (stream->inner != NULL) stream->device->table->stream_close(stream->inner);
    hdl__free(stream);
}

hdl_status hdl_stream_wait(hdl_stream *stream)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_idle(stream, "wait"));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->stream_wait(stream->inner)));
done:
    return status;
}

static hdl_status check_copy(const hdl_stream *stream, const char *what, const void *to, const void *from, size_t bytes)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_idle(stream, what));
    HDL_CHECK(bytes == 0 || (to != NULL && from != NULL), HDL_EINVAL, "%s: %s is NULL for %zu bytes", what,
              to == NULL ? "the destination" : "the source", bytes);
done:
    return status;
}

hdl_status hdl_stream_upload(hdl_stream *stream, void *device_to, const void *host_from, size_t bytes)
{
    hdl_status status = HDL_OK;
    HDL_TRY(check_copy(stream, "upload", device_to, host_from, bytes));
    if (bytes == 0) goto done;
    HDL_TRY(hdl__stream_result(stream, stream->device->table->upload(stream->inner, device_to, host_from, bytes)));
done:
    return status;
}

hdl_status hdl_stream_download(hdl_stream *stream, void *host_to, const void *device_from, size_t bytes)
{
    hdl_status status = HDL_OK;
    HDL_TRY(check_copy(stream, "download", host_to, device_from, bytes));
    if (bytes == 0) goto done;
    HDL_TRY(hdl__stream_result(stream, stream->device->table->download(stream->inner, host_to, device_from, bytes)));
done:
    return status;
}

hdl_status hdl_stream_reserve(hdl_stream *stream, const hdl_stream_limits *limits)
{
    hdl_status status = HDL_OK;
    static const hdl_stream_limits defaults = HDL_STREAM_LIMITS_INIT;
    hdl_stream_limits whole;
    HDL_TRY(hdl__stream_idle(stream, "reserve"));
    HDL_CHECK(limits != NULL, HDL_EINVAL, "reserve: limits is NULL");
    limits = hdl__struct_read("reserve: limits", limits, &defaults, &whole, sizeof whole);
    if (limits == NULL) return HDL_EINVAL;
    const struct { const char *name; int32_t value;
    } fields[] = {
        {"M", limits->M},   {"K", limits->K}, {"N", limits->N}, {"V", limits->V},
        {"Tk", limits->Tk}, {"H", limits->H}, {"D", limits->D},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        HDL_CHECK(fields[i].value >= 0, HDL_EINVAL, "reserve: %s = %d, allowed 0 and more", fields[i].name,
                  fields[i].value);
    /* a backend without the entry needs no scratch */
    if (stream->device->table->stream_reserve != NULL)
        HDL_TRY(hdl__stream_result(stream, stream->device->table->stream_reserve(stream->inner, limits)));
done:
    return status;
}

bool hdl__stream_assist(hdl_stream *stream, const volatile int *stop)
{
    const hdl_backend *table = stream->device->table;
    if (table->stream_assist == NULL) return false;
    table->stream_assist(stream->inner, stop);
    return true;
}
