/* fake_backend.c - the fake's table. */
#include "fake_backend.h"

#include "device/counting.h"

#include <stdlib.h>
#include <string.h>

static fake *fake_of(const void *object) { return (fake *)(uintptr_t)object; }

static hdl_status note(const void *object, const char *name)
{
    fake *f = fake_of(object);
    if (f->n_calls < FAKE_MOST_CALLS) f->calls[f->n_calls++] = name;
    return f->answer == HDL_OK ? HDL_OK : hdl__fail(f->answer, "fake: the device says no");
}

static hdl_status make(const void *object, const char *name, void *out)
{
    hdl_status status = note(object, name);
    if (status == HDL_OK) {
        memcpy(out, &object, sizeof object);
        fake_of(object)->n_open++;
    }
    return status;
}

static void drop(const void *object, const char *name)
{
    note(object, name);
    fake_of(object)->n_open--;
}

static void keep(const void *object, const void *args, size_t bytes)
{
    fake *f = fake_of(object);
    if (bytes > sizeof f->args) abort();
    memcpy(f->args, args, bytes);
    f->args_bytes = bytes;
}

#define X(op) \
    static hdl_status fake_##op(hdl_backend_stream *s, const hdl_##op##_args *a) \
    { \
        keep(s, a, sizeof *a); \
        return note(s, #op); \
    }
HDL__OP_MAP(X)
#undef X

static hdl_status fake_open_device(int i, const hdl_device_options *o, const hdl_backend_host *h,
                                   hdl_backend_device **d)
{
    (void)i, (void)o, (void)h, (void)d;
    return hdl__fail(HDL_EDEVICE, "fake: cannot be opened");
}
static void fake_close(hdl_backend_device *d) { note(d, "close"); }
static hdl_status fake_describe(const hdl_backend_device *d, hdl_device_info *info)
{
    info->name = "fake";
    info->description = "computes nothing";
    return note(d, "describe");
}
static hdl_status fake_alloc(hdl_backend_device *d, size_t bytes, void **block)
{
    hdl_status status = note(d, "alloc");
    if (status == HDL_OK) {
        *block = calloc(1, bytes);
        fake_of(d)->n_open++;
    }
    return status;
}
static void fake_free(hdl_backend_device *d, void *block, size_t bytes)
{
    (void)bytes;
    free(block);
    drop(d, "free");
}
static hdl_status fake_stream_create(hdl_backend_device *d, hdl_backend_stream **s)
{
    return make(d, "stream_create", s);
}
static hdl_status fake_stream_wrap(hdl_backend_device *d, void *native, hdl_backend_stream **s)
{
    (void)native;
    return make(d, "stream_wrap", s);
}
static hdl_status fake_reserve(hdl_backend_stream *s, const hdl_stream_limits *l)
{
    keep(s, l, sizeof *l);
    return note(s, "reserve");
}
static void fake_stream_close(hdl_backend_stream *s) { drop(s, "stream_close"); }
static hdl_status fake_wait(hdl_backend_stream *s) { return note(s, "wait"); }
static hdl_status fake_copy(hdl_backend_stream *s, void *to, const void *from, size_t bytes)
{
    hdl_status status = note(s, "copy");
    if (status == HDL_OK) memcpy(to, from, bytes);
    return status;
}
static hdl_status fake_event_create(hdl_backend_device *d, hdl_backend_event **e)
{
    return make(d, "event_create", e);
}
static void fake_event_close(hdl_backend_event *e) { drop(e, "event_close"); }
static hdl_status fake_event_record(hdl_backend_stream *s, hdl_backend_event *e)
{
    (void)e;
    return note(s, "event_record");
}
static hdl_status fake_event_wait(hdl_backend_stream *s, hdl_backend_event *e)
{
    (void)e;
    return note(s, "event_wait");
}
static hdl_status fake_event_sync(hdl_backend_event *e) { return note(e, "event_sync"); }
static hdl_status fake_record_begin(hdl_backend_stream *s) { return note(s, "record_begin"); }
static hdl_status fake_record_end(hdl_backend_stream *s, hdl_backend_graph **g) { return make(s, "record_end", g); }
static hdl_status fake_replay(hdl_backend_stream *s, hdl_backend_graph *g) { (void)g; return note(s, "replay"); }
static void fake_graph_close(hdl_backend_graph *g) { drop(g, "graph_close"); }
static uint64_t fake_graph_launches(const hdl_backend_graph *g) { (void)g; return FAKE_LAUNCHES; }
static hdl_status fake_pack(hdl_backend_device *d, const hdl_pack_args *a, hdl_weight **w)
{
    keep(d, a, sizeof *a);
    return make(d, "pack", w);
}
static void fake_weight_close(hdl_weight *w) { drop(w, "weight_close"); }
static size_t fake_weight_bytes(const hdl_weight *w) { (void)w; return 1000; }
static hdl_status fake_table(hdl_backend_device *d, const hdl_pack_part *p, int32_t E, hdl_embedding **e)
{
    (void)p, (void)E;
    return make(d, "embedding_open", e);
}
static void fake_embedding_close(hdl_embedding *e) { drop(e, "embedding_close"); }
static hdl_status fake_pool(hdl_backend_device *d, const hdl_kv_pool_desc *k, hdl_kv_pool **p)
{
    keep(d, k, sizeof *k);
    return make(d, "kv_pool_open", p);
}
static size_t fake_pool_bytes(const hdl_kv_pool_desc *k) { return 10 * (size_t)k->n_pages; }
static void fake_pool_close(hdl_kv_pool *p) { drop(p, "kv_pool_close"); }
static void fake_assist(hdl_backend_stream *s, const volatile int *stop) { (void)stop; note(s, "assist"); }

static hdl_dtype fake_act_dtype(hdl_compute compute) { (void)compute; return HDL_F32; }

void fake_open(fake *f, int unified)
{
    *f = (fake){0};
    f->table = (hdl_backend){.abi = HDL_BACKEND_ABI,
                             .struct_bytes = sizeof(hdl_backend),
                             .name = "fake",
                             .kind = HDL_DEVICE_SIMT,
                             .lag = 1,
                             .unified = unified,
                             .act_dtypes = 1u << HDL_F32,
                             .act_dtype = fake_act_dtype,
                             .open = fake_open_device,
                             .close = fake_close,
                             .describe = fake_describe,
                             .alloc = fake_alloc,
                             .free = fake_free,
                             .stream_create = fake_stream_create,
                             .stream_wrap = fake_stream_wrap,
                             .stream_reserve = fake_reserve,
                             .stream_close = fake_stream_close,
                             .stream_wait = fake_wait,
                             .upload = fake_copy,
                             .download = fake_copy,
                             .event_create = fake_event_create,
                             .event_close = fake_event_close,
                             .event_record = fake_event_record,
                             .event_wait = fake_event_wait,
                             .event_sync = fake_event_sync,
                             .record_begin = fake_record_begin,
                             .record_end = fake_record_end,
                             .replay = fake_replay,
                             .graph_close = fake_graph_close,
                             .graph_launches = fake_graph_launches,
                             .pack = fake_pack,
                             .weight_close = fake_weight_close,
                             .weight_bytes = fake_weight_bytes,
                             .embedding_open = fake_table,
                             .embedding_close = fake_embedding_close,
                             .kv_pool_open = fake_pool,
                             .kv_pool_bytes = fake_pool_bytes,
                             .kv_pool_close = fake_pool_close,
                             .stream_assist = fake_assist,
#define X(op) .op = fake_##op,
                             HDL__OP_MAP(X)
#undef X
    };
    f->device =
        (hdl_device){.table = &f->table, .inner = (hdl_backend_device *)(void *)f, .info = HDL_DEVICE_INFO_INIT};
}

hdl_stream *fake_stream(fake *f)
{
    hdl_stream *stream = NULL;
    if (hdl_stream_create(&f->device, &stream) != HDL_OK) abort();
    f->n_calls = 0;
    return stream;
}
