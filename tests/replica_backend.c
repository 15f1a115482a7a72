/* replica_backend.c - one CPU device behind several names; copies of weights are counted references to the first. */
#include "replica_backend.h"

#include "cpu/cpu_table.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_SHARED 4096        /* weights and tables that are copied */

/* Stand behind the opaque types of the table; ops find the CPU's stream in theirs. */
typedef struct replica { int index; } replica;
typedef struct replica_stream { hdl_backend_stream *inner; replica *device; } replica_stream;

static struct {
    hdl_backend             table;
    const hdl_backend_host *host;
    hdl_backend_device     *cpu;        /* open while one of the devices is */
    pthread_mutex_t         mutex;      /* guards what follows */
    int32_t                 n_devices;
    int                     n_open, n_groups;
    const void             *shared[MOST_SHARED];        /* by reference, once for each copy */
    int                     n_shared;
    atomic_uint_fast64_t    steps[REPLICA_MOST], fail_in[REPLICA_MOST];
    atomic_int              held;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const hdl_backend *cpu(void) { return hdl__cpu_backend(); }
static replica *of_device(const hdl_backend_device *d) { return (replica *)(uintptr_t)d; }
static replica_stream *of_stream(hdl_backend_stream *s) { return (replica_stream *)(void *)s; }

void replica_fail(int32_t device, uint64_t n) { atomic_store(&all.fail_in[device], n); }
uint64_t replica_steps(int32_t device) { return atomic_load(&all.steps[device]); }
void replica_hold(int on) { atomic_store(&all.held, on); }

int replica_open_things(void)
{
    pthread_mutex_lock(&all.mutex);
    const int n = all.n_open + all.n_groups + all.n_shared;
    pthread_mutex_unlock(&all.mutex);
    return n;
}

/* ---- devices, memory, streams ---- */

static hdl_status count_devices(const hdl_backend_host *host, int32_t *n)
{
    (void)host;
    *n = all.n_devices;
    return HDL_OK;
}

static hdl_status open_device(int index, const hdl_device_options *options, const hdl_backend_host *host,
                              hdl_backend_device **out)
{
    hdl_status status = HDL_OK;
    char line[128];
    snprintf(line, sizeof line, "simt: device %d was asked for, there are %d", index, all.n_devices);
    if (index >= all.n_devices) return host->fail(HDL_EDEVICE, line);
    pthread_mutex_lock(&all.mutex);
    all.host = host;
    if (all.cpu == NULL) status = cpu()->open(0, options, host, &all.cpu);
    if (status == HDL_OK) all.n_open++;
    pthread_mutex_unlock(&all.mutex);
    if (status != HDL_OK) return status;
    replica *made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    made->index = index;
    *out = (hdl_backend_device *)(void *)made;
    return HDL_OK;
}

static void close_device(hdl_backend_device *device)
{
    free(of_device(device));
    pthread_mutex_lock(&all.mutex);
    if (--all.n_open == 0) {
        cpu()->close(all.cpu);
        all.cpu = NULL;
    }
    pthread_mutex_unlock(&all.mutex);
}

static hdl_status describe(const hdl_backend_device *device, hdl_device_info *info)
{
    const hdl_status status = cpu()->describe(all.cpu, info);
    info->name = "simt";
    info->kind = HDL_DEVICE_CUDA;
    info->index = of_device(device)->index;
    return status;
}

static hdl_status take(hdl_backend_device *d, size_t bytes, void **block) { (void)d; return cpu()->alloc(all.cpu, bytes, block); }
static void give(hdl_backend_device *d, void *block, size_t bytes) { (void)d; cpu()->free(all.cpu, block, bytes); }

static hdl_status create_stream(hdl_backend_device *device, hdl_backend_stream **out)
{
    replica_stream *made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    made->device = of_device(device);
    *out = (hdl_backend_stream *)(void *)made;
    return cpu()->stream_create(all.cpu, &made->inner);
}

static void close_stream(hdl_backend_stream *stream)
{
    cpu()->stream_close(of_stream(stream)->inner);
    free(of_stream(stream));
}

static hdl_status reserve(hdl_backend_stream *s, const hdl_stream_limits *l) { return cpu()->stream_reserve(of_stream(s)->inner, l); }
static hdl_status wait_stream(hdl_backend_stream *s) { return cpu()->stream_wait(of_stream(s)->inner); }
static hdl_status upload(hdl_backend_stream *s, void *to, const void *from, size_t n) { return cpu()->upload(of_stream(s)->inner, to, from, n); }
static hdl_status download(hdl_backend_stream *s, void *to, const void *from, size_t n) { return cpu()->download(of_stream(s)->inner, to, from, n); }
static hdl_status create_event(hdl_backend_device *d, hdl_backend_event **e) { (void)d; return cpu()->event_create(all.cpu, e); }
static hdl_status record_event(hdl_backend_stream *s, hdl_backend_event *e) { return cpu()->event_record(of_stream(s)->inner, e); }
static hdl_status wait_event(hdl_backend_stream *s, hdl_backend_event *e) { return cpu()->event_wait(of_stream(s)->inner, e); }

/* ---- recorded steps: where a device fails ---- */

static hdl_status begin_record(hdl_backend_stream *s) { return cpu()->record_begin(of_stream(s)->inner); }
static hdl_status end_record(hdl_backend_stream *s, hdl_backend_graph **g) { return cpu()->record_end(of_stream(s)->inner, g); }

static hdl_status replay(hdl_backend_stream *stream, hdl_backend_graph *graph)
{
    const int i = of_stream(stream)->device->index;
    char line[64];
    while (atomic_load(&all.held) != 0) sched_yield();
    const uint64_t left = atomic_load(&all.fail_in[i]);
    if (left > 1) atomic_store(&all.fail_in[i], left - 1);
    snprintf(line, sizeof line, "replica %d fails on demand", i);
    if (left == 1) return all.host->fail(HDL_EDEVICE, line);
    atomic_fetch_add(&all.steps[i], 1);
    return cpu()->replay(of_stream(stream)->inner, graph);
}

/* ---- weights, and their copies ---- */

static hdl_status pack(hdl_backend_device *d, const hdl_pack_args *a, hdl_weight **w) { (void)d; return cpu()->pack(all.cpu, a, w); }
static hdl_status open_embedding(hdl_backend_device *d, const hdl_pack_part *p, int32_t E, hdl_embedding **e) { (void)d; return cpu()->embedding_open(all.cpu, p, E, e); }
static hdl_status open_pool(hdl_backend_device *d, const hdl_kv_pool_desc *k, hdl_kv_pool **p) { (void)d; return cpu()->kv_pool_open(all.cpu, k, p); }

static void share(const void *object, int32_t copies)
{
    pthread_mutex_lock(&all.mutex);
    if (all.n_shared + copies > MOST_SHARED) abort();
    while (copies-- > 0) all.shared[all.n_shared++] = object;
    pthread_mutex_unlock(&all.mutex);
}

/* Whether the object has other owners, one less now. */
static bool unshare(const void *object)
{
    pthread_mutex_lock(&all.mutex);
    int i = all.n_shared - 1;
    while (i >= 0 && all.shared[i] != object) i--;
    if (i >= 0) all.shared[i] = all.shared[--all.n_shared];
    pthread_mutex_unlock(&all.mutex);
    return i >= 0;
}

static void close_weight(hdl_weight *w) { if (!unshare(w)) cpu()->weight_close(w); }
static void close_embedding(hdl_embedding *e) { if (!unshare(e)) cpu()->embedding_close(e); }

static hdl_status open_group(hdl_backend_device *const *devices, int32_t n, hdl_backend_group **group)
{
    (void)devices;
    int32_t *made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    *made = n;
    *group = (hdl_backend_group *)(void *)made;
    pthread_mutex_lock(&all.mutex);
    all.n_groups++;
    pthread_mutex_unlock(&all.mutex);
    return HDL_OK;
}

static void close_group(hdl_backend_group *group)
{
    free(group);
    pthread_mutex_lock(&all.mutex);
    all.n_groups--;
    pthread_mutex_unlock(&all.mutex);
}

static int32_t size_of(const hdl_backend_group *group) { return *(const int32_t *)(const void *)group; }
static const char *way(const hdl_backend_group *group) { (void)group; return "references"; }

static hdl_status broadcast(hdl_backend_group *group, void *const *blocks, size_t bytes)
{
    for (int32_t i = 1; i < size_of(group); i++)
        for (size_t j = 0; j < bytes; j++) ((char *)blocks[i])[j] = ((const char *)blocks[0])[j];
    return HDL_OK;
}

static hdl_status copy_weight(hdl_backend_group *group, const hdl_weight *w, hdl_weight **copies)
{
    for (int32_t i = 1; i < size_of(group); i++) copies[i] = (hdl_weight *)(uintptr_t)w;
    share(w, size_of(group) - 1);
    return HDL_OK;
}

static hdl_status copy_embedding(hdl_backend_group *group, const hdl_embedding *e, hdl_embedding **copies)
{
    for (int32_t i = 1; i < size_of(group); i++) copies[i] = (hdl_embedding *)(uintptr_t)e;
    share(e, size_of(group) - 1);
    return HDL_OK;
}

/* ---- ops ---- */

#define OPS(X) \
    X(gemm) X(norm) X(embed) X(cache_append) X(attention) X(quantise_rows) X(gather_rows) X(glu) X(logit_edits) \
    X(logit_reduce) X(beam_step) X(token_logprobs) X(scatter_words) X(stamp)

#define X(op) \
    static hdl_status run_##op(hdl_backend_stream *s, const hdl_##op##_args *a) { return cpu()->op(of_stream(s)->inner, a); }
OPS(X)
#undef X

const hdl_backend *replica_backend(int32_t n_devices)
{
    hdl_backend *t = &all.table;
    all.n_devices = n_devices;
    *t = *cpu();
    t->name = "simt";
    t->kind = HDL_DEVICE_CUDA;
    t->lanes_share = 0;
    t->count = count_devices;
    t->open = open_device;
    t->close = close_device;
    t->describe = describe;
    t->alloc = take;
    t->free = give;
    t->host_alloc = NULL;
    t->host_free = NULL;
    t->stream_create = create_stream;
    t->stream_wrap = NULL;
    t->stream_reserve = reserve;
    t->stream_close = close_stream;
    t->stream_wait = wait_stream;
    t->stream_assist = NULL;
    t->upload = upload;
    t->download = download;
    t->event_create = create_event;
    t->event_record = record_event;
    t->event_wait = wait_event;
    t->record_begin = begin_record;
    t->record_end = end_record;
    t->replay = replay;
    t->pack = pack;
    t->weight_close = close_weight;
    t->embedding_open = open_embedding;
    t->embedding_close = close_embedding;
    t->embedding_of = NULL;
    t->kv_pool_open = open_pool;
    t->group_open = open_group;
    t->group_close = close_group;
    t->group_way = way;
    t->group_broadcast = broadcast;
    t->group_weight = copy_weight;
    t->group_embedding = copy_embedding;
#define X(op) if (t->op != NULL) t->op = run_##op;
    OPS(X)
#undef X
    return t;
}
