/* plugin_base.h - the smallest backend that a loader accepts; each plug-in of this folder spoils it in one way. */
#ifndef HEDDLE_TESTS_PLUGIN_BASE_H
#define HEDDLE_TESTS_PLUGIN_BASE_H

#include <heddle/backend.h>

#include <stdlib.h>
#include <string.h>

struct hdl_backend_device { int index; };

static hdl_status base_open(int index, const hdl_device_options *options, const hdl_backend_host *host,
                            hdl_backend_device **device)
{
    (void)options;
    hdl_backend_device *made = host->alloc(sizeof *made);
    if (made == NULL) return host->fail(HDL_ENOMEM, "no memory");
    made->index = index;
    *device = made;
    return HDL_OK;
}
static void base_close(hdl_backend_device *device) { free(device); }
static hdl_status base_describe(const hdl_backend_device *device, hdl_device_info *info)
{
    info->name = "plug-in";
    info->description = device->index == 0 ? "the first" : "another";
    info->index = device->index;
    return HDL_OK;
}
static hdl_status base_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    (void)device;
    *block = calloc(1, bytes);
    return HDL_OK;
}
static void base_free(hdl_backend_device *device, void *block, size_t bytes) { (void)device, (void)bytes, free(block); }
static hdl_status base_create(hdl_backend_device *device, hdl_backend_stream **stream)
{
    *stream = (hdl_backend_stream *)(void *)device;
    return HDL_OK;
}
static void base_end(hdl_backend_stream *stream) { (void)stream; }
static hdl_status base_wait(hdl_backend_stream *stream) { (void)stream; return HDL_OK; }
static hdl_status base_copy(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    (void)stream;
    memcpy(to, from, bytes);
    return HDL_OK;
}

static inline hdl_backend base_table(const char *name)
{
    return (hdl_backend){
        .abi = HDL_BACKEND_ABI, .struct_bytes = sizeof(hdl_backend), .name = name, .kind = HDL_DEVICE_SIMT,
        .act_dtypes = 1u << HDL_F32, .open = base_open, .close = base_close, .describe = base_describe, .alloc = base_alloc,
        .free = base_free, .stream_create = base_create, .stream_close = base_end, .stream_wait = base_wait,
        .upload = base_copy, .download = base_copy,
    };
}

HDL_API const hdl_backend *hdl_backend_v1(void);

#endif
