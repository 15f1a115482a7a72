/* counting.c - the counting wrapper: numbers, device, memory, streams. */
#include "device/counting_parts.h"

#include "base/memory.h"

#include <string.h>

static uint64_t get(const atomic_uint_fast64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }
static void set(atomic_uint_fast64_t *counter, uint64_t n) { atomic_store_explicit(counter, n, memory_order_relaxed); }

const char *hdl__op_name(hdl__op op)
{
    switch (op) {
#define X(name) case HDL__OP_##name: return #name;
        HDL__OP_MAP(X)
#undef X
    case HDL__N_OPS: break;
    }
    return "?";
}

hdl__counts hdl__counters_read(const hdl__counters *counters)
{
    hdl__counts counts = {
        .copied_bytes = get(&counters->copied_bytes),
        .rows = get(&counters->rows),
        .padded_rows = get(&counters->padded_rows),
        .device_allocs = get(&counters->device_allocs),
        .op_allocs = get(&counters->op_allocs),
        .host_allocs = hdl__alloc_count() - get(&counters->host_allocs_before),
        .product_bytes = get(&counters->product_bytes),
        .product_flops = get(&counters->product_flops),
        .padding_seen = counters->padding_seen,
    };
    for (int i = 0; i < HDL__N_OPS; i++) counts.calls[i] = get(&counters->calls[i]);
    return counts;
}

void hdl__counters_reset(hdl__counters *counters)
{
    set(&counters->copied_bytes, 0);
    set(&counters->rows, 0);
    set(&counters->padded_rows, 0);
    set(&counters->device_allocs, 0);
    set(&counters->op_allocs, 0);
    set(&counters->product_bytes, 0);
    set(&counters->product_flops, 0);
    for (int i = 0; i < HDL__N_OPS; i++) set(&counters->calls[i], 0);
    set(&counters->host_allocs_before, hdl__alloc_count());
}

/* From what the door holds to what is ours; the cast over an integer drops the const of describe. */
static hdl__counted_device *own_device(const hdl_backend_device *device)
{
    return (hdl__counted_device *)(uintptr_t)device;
}

static void forward_close(hdl_backend_device *device)
{
    hdl__counted_device *own = own_device(device);
    own->inner->close(own->device);
    hdl__free(own);
}

static hdl_status forward_describe(const hdl_backend_device *device, hdl_device_info *info)
{
    const hdl__counted_device *own = own_device(device);
    return own->inner->describe(own->device, info);
}

static hdl_status forward_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    hdl__counted_device *own = own_device(device);
    hdl__counter_add(&own->counters->device_allocs, 1);
    return own->inner->alloc(own->device, bytes, block);
}

static void forward_free(hdl_backend_device *device, void *block, size_t bytes)
{
    hdl__counted_device *own = own_device(device);
    own->inner->free(own->device, block, bytes);
}

static hdl_status forward_host_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->host_alloc(own->device, bytes, block);
}

static void forward_host_free(hdl_backend_device *device, void *block, size_t bytes)
{
    hdl__counted_device *own = own_device(device);
    own->inner->host_free(own->device, block, bytes);
}

static hdl_status forward_pack(hdl_backend_device *device, const hdl_pack_args *args, hdl_weight **weight)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->pack(own->device, args, weight);
}

static hdl_status forward_embedding_open(hdl_backend_device *device, const hdl_pack_part *part, int32_t E,
                                         hdl_embedding **embedding)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->embedding_open(own->device, part, E, embedding);
}

static hdl_status forward_embedding_of(hdl_backend_device *device, const hdl_weight *weight, int32_t E, hdl_embedding **embedding)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->embedding_of(own->device, weight, E, embedding);
}

/* Every device of a group is wrapped as the first is: all are opened by hdl__device_open_counted. */
static hdl_status forward_group_open(hdl_backend_device *const *devices, int32_t n, hdl_backend_group **group)
{
    hdl_backend_device *inner[HDL_MOST_REPLICAS];
    for (int32_t i = 0; i < n; i++) inner[i] = own_device(devices[i])->device;
    return own_device(devices[0])->inner->group_open(inner, n, group);
}

static hdl_status forward_kv_pool_open(hdl_backend_device *device, const hdl_kv_pool_desc *desc, hdl_kv_pool **pool)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->kv_pool_open(own->device, desc, pool);
}

static hdl_status forward_event_create(hdl_backend_device *device, hdl_backend_event **event)
{
    hdl__counted_device *own = own_device(device);
    return own->inner->event_create(own->device, event);
}

/* Both ways to get a stream: made, or borrowed from the caller. */
static hdl_status make_stream(hdl__counted_device *own, bool wrap, void *native, hdl_backend_stream **stream)
{
    hdl_status status = HDL_OK;
    hdl__counted_stream *made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "stream: no memory for %zu bytes", sizeof *made);
    made->device = own;
    made->live = -1;
    HDL_TRY(wrap ? own->inner->stream_wrap(own->device, native, &made->stream)
                 : own->inner->stream_create(own->device, &made->stream));
    *stream = (hdl_backend_stream *)(void *)made;
    made = NULL;
done:
    hdl__free(made);
    return status;
}

static hdl_status forward_stream_create(hdl_backend_device *device, hdl_backend_stream **stream)
{
    return make_stream(own_device(device), false, NULL, stream);
}

static hdl_status forward_stream_wrap(hdl_backend_device *device, void *native, hdl_backend_stream **stream)
{
    return make_stream(own_device(device), true, native, stream);
}

static void forward_stream_close(hdl_backend_stream *stream)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counting_close_graph(own->recording);
    own->device->inner->stream_close(own->stream);
    hdl__free(own);
}

static hdl_status forward_stream_reserve(hdl_backend_stream *stream, const hdl_stream_limits *limits)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    return own->device->inner->stream_reserve(own->stream, limits);
}

static hdl_status forward_stream_wait(hdl_backend_stream *stream)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    return own->device->inner->stream_wait(own->stream);
}

static hdl_status forward_upload(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counter_add(&own->device->counters->copied_bytes, bytes);
    return own->device->inner->upload(own->stream, to, from, bytes);
}

static hdl_status forward_download(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counter_add(&own->device->counters->copied_bytes, bytes);
    return own->device->inner->download(own->stream, to, from, bytes);
}

static hdl_status forward_event_record(hdl_backend_stream *stream, hdl_backend_event *event)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    return own->device->inner->event_record(own->stream, event);
}

static hdl_status forward_event_wait(hdl_backend_stream *stream, hdl_backend_event *event)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    return own->device->inner->event_wait(own->stream, event);
}

static void forward_stream_assist(hdl_backend_stream *stream, const volatile int *stop)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    own->device->inner->stream_assist(own->stream, stop);
}

hdl_status hdl__counting_wrap(const hdl_backend *inner, hdl_backend_device *inner_device, hdl__counters *counters,
                              const hdl_backend **table, hdl_backend_device **wrapped)
{
    hdl_status status = HDL_OK;
    hdl__counted_device *own = hdl__calloc(1, sizeof *own);
    HDL_CHECK(own != NULL, HDL_ENOMEM, "device: no memory for %zu bytes", sizeof *own);
    *own = (hdl__counted_device){*inner, inner, inner_device, counters};
    hdl_backend *t = &own->table;
    t->struct_bytes = sizeof *t;
    t->open = NULL;     /* the wrapper is put around a device that is open */
    t->close = forward_close;
    t->describe = forward_describe;
    t->alloc = forward_alloc;
    t->free = forward_free;
    t->stream_create = forward_stream_create;
    t->stream_close = forward_stream_close;
    t->stream_wait = forward_stream_wait;
    t->upload = forward_upload;
    t->download = forward_download;
    /* what is not offered stays so */
    if (t->host_alloc != NULL) t->host_alloc = forward_host_alloc;
    if (t->host_free != NULL) t->host_free = forward_host_free;
    if (t->stream_wrap != NULL) t->stream_wrap = forward_stream_wrap;
    if (t->stream_reserve != NULL) t->stream_reserve = forward_stream_reserve;
    if (t->event_create != NULL) t->event_create = forward_event_create;
    if (t->event_record != NULL) t->event_record = forward_event_record;
    if (t->event_wait != NULL) t->event_wait = forward_event_wait;
    if (t->pack != NULL) t->pack = forward_pack;
    if (t->embedding_open != NULL) t->embedding_open = forward_embedding_open;
    if (t->embedding_of != NULL) t->embedding_of = forward_embedding_of;
    if (t->kv_pool_open != NULL) t->kv_pool_open = forward_kv_pool_open;
    if (t->group_open != NULL) t->group_open = forward_group_open;
    if (t->stream_assist != NULL) t->stream_assist = forward_stream_assist;
    hdl__counting_fill_ops(own);
    counters->padding_seen = inner->unified != 0;
    *table = t;
    *wrapped = (hdl_backend_device *)(void *)own;
done:
    return status;
}
