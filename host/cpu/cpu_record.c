/* cpu_record.c - recording: a list of calls with copies of their arguments, run again in order. */
#include "cpu/cpu_device.h"

#include <assert.h>
#include <string.h>

struct hdl__cpu_call {
    hdl_status (*op)(hdl_backend_stream *, const void *args);
    void        *args;
};

#define HDL__FIRST_CALLS 64     /* a decode step of a small model */

static hdl_status append_call(hdl_backend_graph *graph, hdl_status (*op)(hdl_backend_stream *, const void *),
                              const void *args, size_t bytes)
{
    hdl_status status = HDL_OK;
    if (graph->n == graph->capacity) {
        const size_t size = sizeof(hdl__cpu_call), more = graph->capacity ? 2 * graph->capacity : HDL__FIRST_CALLS;
        hdl__cpu_call *calls = hdl__regrow(graph->calls, graph->n * size, more * size);
        HDL_CHECK(calls != NULL, HDL_ENOMEM, "record: no memory for %zu calls", more);
        graph->calls = calls;
        graph->capacity = more;
    }
    void *copy = hdl__calloc(1, bytes);
    HDL_CHECK(copy != NULL, HDL_ENOMEM, "record: no memory for %zu bytes of arguments", bytes);
    memcpy(copy, args, bytes);
    graph->calls[graph->n++] = (hdl__cpu_call){op, copy};
done:
    return status;
}

bool hdl__cpu_record(hdl_backend_stream *stream, hdl_status (*op)(hdl_backend_stream *, const void *),
                     const void *args, size_t bytes, hdl_status *status)
{
    if (stream->recording == NULL) return false;
    *status = append_call(stream->recording, op, args, bytes);
    return true;
}

hdl_status hdl__cpu_record_begin(hdl_backend_stream *stream)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(stream->recording == NULL, HDL_ESTATE, "record: this stream is recording already");
    hdl_backend_graph *graph = hdl__calloc(1, sizeof *graph);
    HDL_CHECK(graph != NULL, HDL_ENOMEM, "record: no memory for the list of calls");
    stream->recording = graph;
done:
    return status;
}

hdl_status hdl__cpu_record_end(hdl_backend_stream *stream, hdl_backend_graph **graph)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(stream->recording != NULL, HDL_ESTATE, "record: this stream is not recording");
    *graph = stream->recording;
    stream->recording = NULL;
done:
    return status;
}

hdl_status hdl__cpu_replay(hdl_backend_stream *stream, hdl_backend_graph *graph)
{
    assert(stream->recording == NULL);
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < graph->n && status == HDL_OK; ++i) status = graph->calls[i].op(stream, graph->calls[i].args);
    return status;
}

void hdl__cpu_graph_close(hdl_backend_graph *graph)
{
    if (graph == NULL) return;
    for (size_t i = 0; i < graph->n; ++i) hdl__free(graph->calls[i].args);
    hdl__free(graph->calls);
    hdl__free(graph);
}
