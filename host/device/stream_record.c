/* stream_record.c - the doors of recording: begin, end, replay. */
#include "device/stamps.h"

#include "base/memory.h"

#include <string.h>

static hdl_status check_offered(const hdl_device *device)
{
    hdl_status status = HDL_OK;
    const hdl_backend *table = device->table;
    bool offered = table->record_begin != NULL && table->record_end != NULL && table->replay != NULL &&
                   table->graph_close != NULL;
    HDL_CHECK(offered, HDL_ENOSUPPORT, "record: not offered by the %s backend", table->name);
done:
    return status;
}

hdl_status hdl_record_begin(hdl_stream *stream)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_idle(stream, "record begin"));
    HDL_TRY(check_offered(stream->device));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->record_begin(stream->inner)));
    stream->recording = true;
done:
    return status;
}

/* What was noted between begin and end is said again by every replay's stamps. */
static hdl_status keep_stamped(const hdl__stamps *stamps, hdl_recording *recording)
{
    hdl_status status = HDL_OK;
    if (stamps == NULL || stamps->at.index == 0) return HDL_OK;
    const size_t n = (size_t)stamps->at.index;
    recording->stamped = hdl__calloc(n, sizeof *recording->stamped);
    HDL_CHECK(recording->stamped != NULL, HDL_ENOMEM, "record end: no memory for the names of %zu ops", n);
    memcpy(recording->stamped, stamps->ops, n * sizeof *recording->stamped);
    recording->n_stamped = stamps->at.index;
done:
    return status;
}

hdl_status hdl_record_end(hdl_stream *stream, hdl_recording **recording)
{
    hdl_status status = HDL_OK;
    hdl_recording *made = NULL;
    HDL_TRY(hdl__stream_usable(stream, "record end"));
    HDL_CHECK(recording != NULL, HDL_EINVAL, "record end: the pointer for the result is NULL");
    HDL_CHECK(stream->recording, HDL_ESTATE, "record end: the stream is not recording");
    stream->recording = false;      /* also when the backend fails: then there is nothing to go on with */
    hdl_backend_graph *graph = NULL;
    HDL_TRY(hdl__stream_result(stream, stream->device->table->record_end(stream->inner, &graph)));
    made = hdl__calloc(1, sizeof *made);
    if (made == NULL) stream->device->table->graph_close(graph);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "record end: no memory for %zu bytes", sizeof *made);
    *made = (hdl_recording){.device = stream->device, .inner = graph};
    HDL_TRY(keep_stamped(stream->stamps, made));
    *recording = made;
    made = NULL;
done:
    hdl_record_close(made);
    return status;
}

hdl_status hdl_record_replay(hdl_stream *stream, hdl_recording *recording)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__stream_idle(stream, "replay"));
    HDL_CHECK(recording != NULL, HDL_EINVAL, "replay: recording is NULL");
    HDL_CHECK(recording->device == stream->device, HDL_EINVAL,
              "replay: the recording is of another device than the stream");
    HDL_TRY(hdl__stream_result(stream, stream->device->table->replay(stream->inner, recording->inner)));
done:
    return status;
}

void hdl_record_close(hdl_recording *recording)
{
    if (recording == NULL) return;
    recording->device->table->graph_close(recording->inner);
    hdl__free(recording->stamped);
    hdl__free(recording);
}
