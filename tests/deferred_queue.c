/* deferred_queue.c - memory, queue, copies and events of the deferred device. */
#include "deferred_queue.h"

#include "result_hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_BYTES ((size_t)1 << 36)   /* address space: blocks are never handed out twice */
#define BLOCK_ALIGN 4096u

struct hdl_backend_event { hdl_backend_stream *stream; uint64_t recorded, passed; };

deferred_state deferred = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const hdl_backend *cpu(void) { return hdl__cpu_backend(); }

/* ---- memory ---- */

static void set_gate(bool open)
{
    if (deferred.used > 0) mprotect(deferred.arena, deferred.used, open ? PROT_READ | PROT_WRITE : PROT_NONE);
    deferred.open = open;
}

void deferred_lock(void) { pthread_mutex_lock(&deferred.mutex); }

void deferred_leave(void)
{
    if (deferred.open) set_gate(false);
    pthread_mutex_unlock(&deferred.mutex);
}

void deferred_enter(void)
{
    deferred_lock();
    set_gate(true);
}

void *deferred_take(size_t bytes, int kind, void *user)
{
    (void)kind, (void)user;
    const size_t whole = (bytes + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    if (deferred.used + whole > ARENA_BYTES) return NULL;
    void *block = deferred.arena + deferred.used;
    deferred.used += whole;
    if (deferred.open) set_gate(true);
    return block;
}

void deferred_give(void *block, size_t bytes, int kind, void *user)
{
    (void)kind, (void)user;
    for (const deferred_stream *s = deferred.streams; s != NULL; s = s->next) deferred.breaches += s->first != NULL;
    if (block != NULL) madvise(block, (bytes + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN, MADV_DONTNEED);
}

static hdl_status alloc_block(hdl_backend_device *d, size_t bytes, void **block)
{
    (void)d;
    deferred_lock();
    *block = deferred_take(bytes, 0, NULL);
    deferred_leave();
    return *block != NULL ? HDL_OK : deferred.host->fail(HDL_ENOMEM, "deferred: the address space is used up");
}

static void free_block(hdl_backend_device *d, void *block, size_t bytes)
{
    (void)d;
    deferred_enter();
    deferred_give(block, bytes, 0, NULL);
    deferred_leave();
}

static hdl_status alloc_pinned(hdl_backend_device *d, size_t bytes, void **block)
{
    (void)d;
    *block = calloc(1, bytes);
    return *block != NULL ? HDL_OK : deferred.host->fail(HDL_ENOMEM, "deferred: no memory");
}

static void free_pinned(hdl_backend_device *d, void *block, size_t bytes) { (void)d, (void)bytes, free(block); }

hdl_status deferred_open_arena(void)
{
    if (deferred.arena != NULL) return HDL_OK;
    void *arena = mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) return HDL_ENOMEM;
    deferred.arena = arena;
    return HDL_OK;
}

/* ---- running what is queued ---- */

static uint64_t hash_bytes(const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static hdl_status run_work(deferred_stream *s, deferred_work *w)
{
    if (deferred.fail_in > 0 && --deferred.fail_in == 0) deferred.failed = true;
    if (deferred.failed) return deferred.host->fail(HDL_EDEVICE, "deferred: the device has been made to fail");
    if (w->call != NULL) return deferred_run_call(s->inner, w->call);
    if (w->event != NULL) w->event->passed = w->number;
    if (w->to == NULL) return HDL_OK;
    if (w->up && hash_bytes(w->from, w->bytes) != w->hash) deferred.breaches++;
    memcpy(w->to, w->from, w->bytes);
    return HDL_OK;
}

static hdl_status run_first(deferred_stream *s)
{
    deferred_work *w = s->first;
    if (!deferred.open) set_gate(true);
    const hdl_status status = run_work(s, w);
    s->first = w->next;
    if (s->first == NULL) s->last = NULL;
    if (w->own) free((void *)(uintptr_t)w->call);
    free(w);
    return status;
}

static hdl_status run_all(deferred_stream *s)
{
    hdl_status status = HDL_OK;
    while (s->first != NULL) {
        const hdl_status now = run_first(s);
        if (status == HDL_OK) status = now;
    }
    return status;
}

/* An error of work that runs on its own shows at the next call that asks, as on a device. */
void deferred_queue(deferred_stream *s, deferred_work what)
{
    deferred_work *w = malloc(sizeof *w);
    if (w == NULL) abort();
    *w = what;
    if (s->last != NULL) s->last->next = w;
    else s->first = w;
    s->last = w;
    deferred.queued++;
    if (deferred.seed == 0) return;
    const uint64_t draw = next_random(&deferred.random);
    if (draw % 16 == 0)
        for (uint64_t i = 0; i < draw / 16 % 64 && s->first != NULL; i++) (void)run_first(s);
}

/* ---- streams, copies, events ---- */

static hdl_status create_stream(hdl_backend_device *d, hdl_backend_stream **out)
{
    deferred_stream *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    deferred_enter();
    const hdl_status status = cpu()->stream_create(d, &s->inner);
    s->next = deferred.streams;
    deferred.streams = s;
    deferred_leave();
    *out = (hdl_backend_stream *)(void *)s;
    return status;
}

static void close_stream(hdl_backend_stream *stream)
{
    deferred_stream *s = deferred_stream_of(stream), **link = &deferred.streams;
    deferred_enter();
    (void)run_all(s);
    while (*link != s) link = &(*link)->next;
    *link = s->next;
    cpu()->stream_close(s->inner);
    deferred_leave();
    free(s);
}

static hdl_status reserve(hdl_backend_stream *stream, const hdl_stream_limits *limits)
{
    deferred_enter();
    const hdl_status status = cpu()->stream_reserve(deferred_stream_of(stream)->inner, limits);
    deferred_leave();
    return status;
}

static hdl_status wait_stream(hdl_backend_stream *stream)
{
    deferred_lock();
    const hdl_status status = run_all(deferred_stream_of(stream));
    deferred_leave();
    return status != HDL_OK || !deferred.failed ? status : deferred.host->fail(HDL_EDEVICE, "deferred: the device has failed");
}

static hdl_status upload(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    deferred_lock();
    deferred_queue(deferred_stream_of(stream), (deferred_work){.to = to, .from = from, .bytes = bytes, .up = true, .hash = hash_bytes(from, bytes)});
    deferred_leave();
    return HDL_OK;
}

/* What is read before the copy has run is rubbish. */
static hdl_status download(hdl_backend_stream *stream, void *to, const void *from, size_t bytes)
{
    memset(to, 0xA5, bytes);
    deferred_lock();
    deferred_queue(deferred_stream_of(stream), (deferred_work){.to = to, .from = from, .bytes = bytes});
    deferred_leave();
    return HDL_OK;
}

static hdl_status create_event(hdl_backend_device *d, hdl_backend_event **out)
{
    (void)d;
    *out = calloc(1, sizeof **out);
    return HDL_OK;
}

static void close_event(hdl_backend_event *event) { free(event); }

static hdl_status record_event(hdl_backend_stream *stream, hdl_backend_event *event)
{
    deferred_lock();
    event->stream = stream;
    event->recorded++;
    deferred_queue(deferred_stream_of(stream), (deferred_work){.event = event, .number = event->recorded});
    deferred_leave();
    return HDL_OK;
}

static hdl_status sync_event(hdl_backend_event *event)
{
    hdl_status status = HDL_OK;
    deferred_lock();
    while (status == HDL_OK && event->passed < event->recorded) {
        deferred_stream *s = deferred_stream_of(event->stream);
        status = s->first != NULL ? run_first(s) : deferred.host->fail(HDL_EDEVICE, "deferred: the device has failed");
    }
    deferred_leave();
    return status;
}

static hdl_status wait_event(hdl_backend_stream *stream, hdl_backend_event *event)
{
    (void)stream;
    return sync_event(event);
}

void deferred_fill_queue(hdl_backend *t)
{
    t->alloc = alloc_block;
    t->free = free_block;
    t->host_alloc = alloc_pinned;
    t->host_free = free_pinned;
    t->stream_create = create_stream;
    t->stream_close = close_stream;
    t->stream_reserve = reserve;
    t->stream_wait = wait_stream;
    t->upload = upload;
    t->download = download;
    t->event_create = create_event;
    t->event_close = close_event;
    t->event_record = record_event;
    t->event_wait = wait_event;
    t->event_sync = sync_event;
}

void deferred_set_seed(uint64_t seed) { deferred.seed = deferred.random = seed; }
void deferred_fail_at(uint64_t n) { deferred.fail_in = n; }
int deferred_breaches(void) { return deferred.breaches; }
uint64_t deferred_queued(void) { return deferred.queued; }
