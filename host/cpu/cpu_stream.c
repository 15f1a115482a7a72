/* cpu_stream.c - streams of the CPU backend: ops run as they come, in scratch that stream_reserve made. */
#include "cpu/cpu_device.h"
#include "cpu/gemm_onednn.h"
#include "cpu/team.h"

#include <assert.h>
#include <string.h>

hdl_status hdl__cpu_stream_create(hdl_backend_device *device, hdl_backend_stream **out)
{
    hdl_status status = HDL_OK;
    hdl_backend_stream *stream = hdl__calloc(1, sizeof *stream);
    HDL_CHECK(stream != NULL, HDL_ENOMEM, "stream: no memory for its header");
    stream->device = device;
    HDL_TRY(hdl__team_open(&stream->team));
    if (device->onednn != NULL) HDL_TRY(hdl__onednn_stream_open(device->onednn, &stream->library));
    *out = stream;
    stream = NULL;
done:
    hdl__cpu_stream_close(stream);
    return status;
}

void hdl__cpu_stream_close(hdl_backend_stream *stream)
{
    if (stream == NULL) return;
    hdl__cpu_graph_close(stream->recording);
    hdl__onednn_stream_close(stream->library);
    hdl__team_close(stream->team);
    hdl__cpu_free(stream->device, stream->scratch.data, stream->scratch.bytes);
    hdl__free(stream);
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* A stream may be reserved again; limits only grow, so that what was promised once stays promised. */
hdl_status hdl__cpu_stream_reserve(hdl_backend_stream *stream, const hdl_stream_limits *asked)
{
    hdl_status status = HDL_OK;
    const hdl_stream_limits *old = &stream->limits;
    const hdl_stream_limits grown = {
        sizeof grown, larger(asked->M, old->M), larger(asked->K, old->K), larger(asked->N, old->N),
        larger(asked->V, old->V), larger(asked->Tk, old->Tk), larger(asked->H, old->H), larger(asked->D, old->D), 0,
    };
    const size_t bytes = hdl__gemm_scratch_bytes(stream->device, &grown) + hdl__cpu_op_scratch_bytes(&grown);
    if (bytes > stream->scratch.bytes) {
        void *block = NULL;
        HDL_TRY(hdl__cpu_alloc(stream->device, bytes, &block));
        hdl__cpu_free(stream->device, stream->scratch.data, stream->scratch.bytes);
        stream->scratch = (hdl__cpu_scratch){block, bytes};
    }
    stream->limits = grown;
done:
    return status;
}

void *hdl__cpu_carve(hdl_backend_stream *stream, size_t *used, size_t bytes)
{
    const size_t start = (*used + HDL__CACHE_LINE - 1) / HDL__CACHE_LINE * HDL__CACHE_LINE;
    assert(start + bytes <= stream->scratch.bytes);
    *used = start + bytes;
    return stream->scratch.data + start;
}

hdl_status hdl__cpu_stream_wait(hdl_backend_stream *stream)
{
    (void)stream;
    return HDL_OK;
}

typedef struct hdl__copy { void *to; const void *from; size_t bytes; } hdl__copy;

static hdl_status run_copy(hdl_backend_stream *stream, const void *args)
{
    (void)stream;
    const hdl__copy *copy = args;
    if (copy->bytes > 0) memcpy(copy->to, copy->from, copy->bytes);
    return HDL_OK;
}

hdl_status hdl__cpu_upload(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    const hdl__copy copy = {to, from, bytes};
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, run_copy, &copy, sizeof copy, &status)) return status;
    return run_copy(stream, &copy);
}

hdl_status hdl__cpu_download(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    return hdl__cpu_upload(stream, to, from, bytes);
}

void hdl__cpu_stream_assist(hdl_backend_stream *stream, const volatile int *stop)
{
    hdl__team_assist(stream->team, stop);
}

void hdl__cpu_share(hdl_backend_stream *stream, int32_t n_items, void (*job)(void *user, int32_t item), void *user)
{
    hdl__team_share(stream->team, n_items, job, user);
}
