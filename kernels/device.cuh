/*
 * device.cuh - the entries of the table for devices, memory, streams, events and recordings; backend.cu gathers them.
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {

// device.cu
hdl_status device_open(int index, const hdl_device_options *, const hdl_backend_host *, hdl_backend_device **);
void       device_close(hdl_backend_device *);
hdl_status device_load_kernels(hdl_backend_device *);    // all of them, once; for whoever makes a stream
hdl_status device_count(const hdl_backend_host *, int32_t *n);
hdl_status device_describe(const hdl_backend_device *, hdl_device_info *);
hdl_status pinned_alloc(hdl_backend_device *, size_t bytes, void **);
void       pinned_free(hdl_backend_device *, void *, size_t bytes);

// stream.cu
hdl_status stream_create(hdl_backend_device *, hdl_backend_stream **);
hdl_status stream_wrap(hdl_backend_device *, void *native, hdl_backend_stream **);
hdl_status stream_reserve(hdl_backend_stream *, const hdl_stream_limits *);
void       stream_close(hdl_backend_stream *);
hdl_status stream_wait(hdl_backend_stream *);
hdl_status stream_upload(hdl_backend_stream *, void *, const void *, size_t bytes);
hdl_status stream_download(hdl_backend_stream *, void *, const void *, size_t bytes);
hdl_status event_create(hdl_backend_device *, hdl_backend_event **);
void       event_close(hdl_backend_event *);
hdl_status event_record(hdl_backend_stream *, hdl_backend_event *);
hdl_status event_wait(hdl_backend_stream *, hdl_backend_event *);
hdl_status event_sync(hdl_backend_event *);

// graph.cu
hdl_status record_begin(hdl_backend_stream *);
hdl_status record_end(hdl_backend_stream *, hdl_backend_graph **);
hdl_status graph_replay(hdl_backend_stream *, hdl_backend_graph *);
void       graph_close(hdl_backend_graph *);

// profiler_ranges.cu
void range_begin(const char *name);
void range_end();
uint64_t   graph_launches(const hdl_backend_graph *);

}  // namespace hdl
