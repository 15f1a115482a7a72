/* gemm_no_onednn.c - what stands for oneDNN in builds without it: nothing is offered. */
#include "cpu/gemm_onednn.h"

#if !defined(HEDDLE_ONEDNN)

bool hdl__onednn_built(void) { return false; }

static hdl_status refuse(void) { return hdl__fail(HDL_ENOSUPPORT, "oneDNN: not in this build"); }

hdl_status hdl__onednn_open(hdl__onednn **out)
{
    (void)out;
    return refuse();
}

void hdl__onednn_close(hdl__onednn *library) { (void)library; }

hdl_status hdl__onednn_stream_open(hdl__onednn *library, void **stream)
{
    (void)library;
    (void)stream;
    return refuse();
}

void hdl__onednn_stream_close(void *stream) { (void)stream; }

hdl_status hdl__onednn_pack(hdl_weight *w, const hdl_pack_args *args)
{
    (void)w;
    (void)args;
    return refuse();
}

void hdl__onednn_weight_close(hdl_backend_device *device, hdl__onednn_weight *weight)
{
    (void)device;
    (void)weight;
}

size_t hdl__onednn_weight_bytes(const hdl__onednn_weight *weight)
{
    (void)weight;
    return 0;
}

size_t hdl__onednn_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits *limits)
{
    (void)device;
    (void)limits;
    return 0;
}

hdl_status hdl__onednn_multiply(hdl_backend_stream *stream, const hdl_gemm_args *a, int32_t m0, int32_t M)
{
    (void)stream;
    (void)a;
    (void)m0;
    (void)M;
    return refuse();
}

#endif
