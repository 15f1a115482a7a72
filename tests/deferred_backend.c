/* deferred_backend.c - ops, recordings and the table of the deferred device. */
#include "deferred_queue.h"

#include <stdlib.h>
#include <time.h>

#define SLOT_OPS(X) X(embed) X(cache_append) X(attention) X(logit_edits) X(logit_reduce) X(beam_step)
#define FLAT_OPS(X) X(gemm) X(norm) X(quantise_rows) X(gather_rows) X(glu) X(token_logprobs) X(scatter_words) X(stamp)

static const hdl_backend *cpu(void) { return hdl__cpu_backend(); }

/* ---- ops and recordings ---- */

static hdl_status put_call(hdl_backend_stream *stream, deferred_call *c)
{
    deferred_stream *s = deferred_stream_of(stream);
    if (s->recording != NULL) {
        hdl_backend_graph *g = s->recording;
        g->calls = realloc(g->calls, (g->n + 1) * sizeof *g->calls);
        if (g->calls == NULL) abort();
        g->calls[g->n++] = c;
        return HDL_OK;
    }
    deferred_lock();
    deferred_queue(s, (deferred_work){.call = c, .own = true});
    deferred_leave();
    return HDL_OK;
}

static deferred_call *new_call(void)
{
    deferred_call *c = calloc(1, sizeof *c);
    if (c == NULL) abort();
    return c;
}

/* The scatter's contract: its words are distinct. */
static void check_words(const hdl_scatter_words_args *a)
{
    int32_t least = INT32_MAX, most = 0;
    for (int32_t i = 0; i < a->n; i++) {
        if (a->index[i] < least) least = a->index[i];
        if (a->index[i] > most) most = a->index[i];
    }
    uint8_t *seen = a->n > 0 ? calloc((size_t)(most - least) + 1, 1) : NULL;
    for (int32_t i = 0; i < a->n && seen != NULL; i++) deferred.breaches += seen[a->index[i] - least]++ != 0;
    free(seen);
}

/* Rows of a step stand within their slots' length, ghosts too. */
static void check_rows(const hdl_embed_args *a)
{
    if (a->rows == NULL) return;
    for (int32_t i = 0; i < *a->rows->count; i++)
        deferred.breaches += a->rows->pos[i] >= a->slots->options[a->rows->slot[i]].T;
}

#define X(op)                                                                                 \
    static hdl_status run_##op(hdl_backend_stream *inner, const deferred_call *c) { return cpu()->op(inner, &c->args.op); }
HDL__OP_MAP(X)
#undef X

#define X(op)                                                                                 \
    static hdl_status queue_##op(hdl_backend_stream *stream, const hdl_##op##_args *args)     \
    {                                                                                         \
        deferred_call *c = new_call();                                                                 \
        c->run = run_##op;                                                                    \
        c->args.op = *args;                                                                   \
        if (args->slots != NULL) c->slots = *args->slots, c->args.op.slots = &c->slots;       \
        if (args->rows != NULL) c->rows = *args->rows, c->args.op.rows = &c->rows;            \
        return put_call(stream, c);                                                           \
    }
SLOT_OPS(X)
#undef X

#define X(op)                                                                                 \
    static hdl_status queue_##op(hdl_backend_stream *stream, const hdl_##op##_args *args)     \
    {                                                                                         \
        deferred_call *c = new_call();                                                                 \
        c->run = run_##op;                                                                    \
        c->args.op = *args;                                                                   \
        return put_call(stream, c);                                                           \
    }
FLAT_OPS(X)
#undef X

static struct { int64_t offset, since; double drift; } clock_of;

void deferred_set_clock(int64_t offset_ns, double drift)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_of.since = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    clock_of.offset = offset_ns;
    clock_of.drift = drift;
}

/* The CPU's stamp is the host's time. */
static hdl_status run_own_stamp(hdl_backend_stream *inner, const hdl_stamp_args *a)
{
    const hdl_status status = cpu()->stamp(inner, a);
    uint64_t *at = &a->to[(a->place != NULL ? *a->place : 0) * a->stride + a->index];
    const int64_t host = (int64_t)*at;
    *at = (uint64_t)(host + clock_of.offset + (int64_t)(clock_of.drift * (double)(host - clock_of.since)));
    return status;
}

hdl_status deferred_run_call(hdl_backend_stream *inner, const deferred_call *c)
{
    if (c->run == run_stamp) return run_own_stamp(inner, &c->args.stamp);
    if (c->run == run_scatter_words) check_words(&c->args.scatter_words);
    if (c->run == run_embed) check_rows(&c->args.embed);
    return c->run(inner, c);
}

static hdl_status begin_record(hdl_backend_stream *stream)
{
    deferred_stream_of(stream)->recording = calloc(1, sizeof(hdl_backend_graph));
    return HDL_OK;
}

static hdl_status end_record(hdl_backend_stream *stream, hdl_backend_graph **graph)
{
    *graph = deferred_stream_of(stream)->recording;
    deferred_stream_of(stream)->recording = NULL;
    return HDL_OK;
}

static hdl_status replay(hdl_backend_stream *stream, hdl_backend_graph *graph)
{
    deferred_lock();
    for (size_t i = 0; i < graph->n; i++) deferred_queue(deferred_stream_of(stream), (deferred_work){.call = graph->calls[i]});
    deferred_leave();
    return HDL_OK;
}

static void close_graph(hdl_backend_graph *graph)
{
    for (size_t i = 0; i < graph->n; i++) free(graph->calls[i]);
    free(graph->calls);
    free(graph);
}

/* ---- the device ---- */

static hdl_status open_device(int index, const hdl_device_options *options, const hdl_backend_host *host,
                              hdl_backend_device **out)
{
    hdl_device_options own = *options;
    const hdl_memory_hooks hooks = {deferred_take, deferred_give, NULL};
    own.hooks = &hooks;
    deferred.host = host;
    deferred.failed = false;
    if (deferred_open_arena() != HDL_OK) return host->fail(HDL_ENOMEM, "deferred: no address space");
    return cpu()->open(index, &own, host, out);
}

static hdl_status describe(const hdl_backend_device *d, hdl_device_info *info)
{
    const hdl_status status = cpu()->describe(d, info);
    info->name = "simt";
    info->kind = HDL_DEVICE_CUDA;
    return status;
}

static hdl_status pack(hdl_backend_device *d, const hdl_pack_args *args, hdl_weight **weight)
{
    deferred_enter();
    const hdl_status status = cpu()->pack(d, args, weight);
    deferred_leave();
    return status;
}

static void close_weight(hdl_weight *weight)
{
    deferred_enter();
    cpu()->weight_close(weight);
    deferred_leave();
}

static hdl_status open_pool(hdl_backend_device *d, const hdl_kv_pool_desc *desc, hdl_kv_pool **pool)
{
    deferred_enter();
    const hdl_status status = cpu()->kv_pool_open(d, desc, pool);
    deferred_leave();
    return status;
}

static void close_pool(hdl_kv_pool *pool)
{
    deferred_enter();
    cpu()->kv_pool_close(pool);
    deferred_leave();
}

const hdl_backend *deferred_backend(void)
{
    hdl_backend *t = &deferred.table;
    *t = *cpu();
    t->name = "simt";
    t->kind = HDL_DEVICE_CUDA;
    t->lag = 1;
    t->unified = t->lanes_share = 0;
    t->open = open_device;
    t->describe = describe;
    deferred_fill_queue(t);
    t->record_begin = begin_record;
    t->record_end = end_record;
    t->replay = replay;
    t->graph_close = close_graph;
    t->pack = pack;
    t->weight_close = close_weight;
    t->kv_pool_open = open_pool;
    t->kv_pool_close = close_pool;
    t->stream_assist = NULL;
#define X(op) t->op = queue_##op;
    HDL__OP_MAP(X)
#undef X
    return t;
}
