/* cpu_device.h - what a device of this backend is made of: processor features, instruction sets, memory. */
#ifndef HEDDLE_HOST_CPU_DEVICE_H
#define HEDDLE_HOST_CPU_DEVICE_H

#include "cpu/cpu_backend.h"
#include "cpu/kernel_table.h"

#define HDL__BRAND_BYTES 49     /* of the processor's name, with its NUL */

/* What the processor has and the operating system keeps across switches. */
hdl__cpu_features hdl__cpu_features_detect(void);
void              hdl__cpu_brand(char brand[HDL__BRAND_BYTES]);

/* The best set that `features` allows. */
hdl_isa           hdl__isa_best(const hdl__cpu_features *features);
bool              hdl__isa_offered(const hdl__cpu_features *features, hdl_isa isa);
const char       *hdl__isa_name(hdl_isa isa);
/* The kernels of a set that is offered. */
hdl__cpu_kernels  hdl__isa_kernels(hdl_isa isa);

/* Zeroed, 256-byte aligned, through the caller's hooks where given. HDL_ENOMEM says needed and free bytes. */
hdl_status hdl__cpu_alloc(hdl_backend_device *, size_t bytes, void **block);
void       hdl__cpu_free(hdl_backend_device *, void *block, size_t bytes);

/* cpu_stream.c */
hdl_status hdl__cpu_stream_create(hdl_backend_device *, hdl_backend_stream **);
hdl_status hdl__cpu_stream_reserve(hdl_backend_stream *, const hdl_stream_limits *);
void       hdl__cpu_stream_close(hdl_backend_stream *);
hdl_status hdl__cpu_stream_wait(hdl_backend_stream *);
hdl_status hdl__cpu_upload(hdl_backend_stream *, void *to, const void *from, size_t bytes);
hdl_status hdl__cpu_download(hdl_backend_stream *, void *to, const void *from, size_t bytes);
void       hdl__cpu_stream_assist(hdl_backend_stream *, const volatile int *stop);

/* cpu_record.c */
hdl_status hdl__cpu_record_begin(hdl_backend_stream *);
hdl_status hdl__cpu_record_end(hdl_backend_stream *, hdl_backend_graph **);
hdl_status hdl__cpu_replay(hdl_backend_stream *, hdl_backend_graph *);
void       hdl__cpu_graph_close(hdl_backend_graph *);

#endif
