/* counting_ops.c - the counting wrapper: ops, recording and replay. */
#include "device/counting_parts.h"

#include "base/memory.h"

static uint64_t weight_bytes(const hdl__counted_device *device, const hdl_weight *w)
{
    return device->inner->weight_bytes == NULL ? 0 : device->inner->weight_bytes(w);
}

static hdl__counted_op describe_gemm(const hdl__counted_device *device, const hdl_gemm_args *args)
{
    const uint64_t N = (uint64_t)args->N, K = (uint64_t)args->K;
    return (hdl__counted_op){
        .kind = HDL__OP_gemm, .M = args->M, .count = args->count, .row_flops = 2 * N * K,
        .row_bytes = (K + N + (args->residual != NULL ? N : 0)) * hdl_dtype_bytes(args->act_dtype),
        .fixed_bytes = weight_bytes(device, args->w) + (args->bias != NULL ? N * sizeof(float) : 0),
    };
}

static hdl__counted_op describe_logit_reduce(const hdl__counted_device *device, const hdl_logit_reduce_args *args)
{
    const uint64_t V = (uint64_t)args->V, E = (uint64_t)args->E;
    return (hdl__counted_op){
        .kind = HDL__OP_logit_reduce, .M = args->R, .count = args->rows->count, .row_flops = 2 * V * E,
        .row_bytes = E * hdl_dtype_bytes(args->act_dtype),     /* logits are not stored */
        .fixed_bytes = weight_bytes(device, args->w) + (args->bias != NULL ? V * sizeof(float) : 0),
    };
}

static hdl__counted_op describe_token_logprobs(const hdl__counted_device *device, const hdl_token_logprobs_args *args)
{
    const uint64_t V = (uint64_t)args->V, E = (uint64_t)args->E;
    return (hdl__counted_op){
        .kind = HDL__OP_token_logprobs,
        .M = args->M,
        .row_flops = 2 * V * E,
        .row_bytes = E * hdl_dtype_bytes(args->act_dtype) + sizeof(float),
        .fixed_bytes = weight_bytes(device, args->w) + (args->bias != NULL ? V * sizeof(float) : 0),
    };
}

static hdl__counted_op describe_embed(const hdl__counted_device *device, const hdl_embed_args *args)
{
    (void)device;
    return (hdl__counted_op){
        .kind = HDL__OP_embed,
        .M = args->M,
        .slots = args->slots,
        .rows = args->rows,
        .count = args->rows == NULL ? NULL : args->rows->count,
    };
}

/* Only a packed attention tells how many rows belong to a sequence. */
static hdl__counted_op describe_attention(const hdl__counted_device *device, const hdl_attention_args *args)
{
    (void)device;
    return (hdl__counted_op){
        .kind = HDL__OP_attention,
        .M = args->M,
        .count = args->keys == HDL_KEYS_PACKED ? args->cu_q + args->n_seq : NULL,
    };
}

#define X(op)                                                                                              \
    static hdl__counted_op describe_##op(const hdl__counted_device *device, const hdl_##op##_args *args)   \
    {                                                                                                      \
        (void)device, (void)args;                                                                          \
        return (hdl__counted_op){.kind = HDL__OP_##op};                                                      \
    }
HDL__PLAIN_OP_MAP(X)
#undef X

/* Live rows as the host can see them. */
static int32_t read_count(const hdl__counted_device *device, const hdl__counted_op *op)
{
    if (op->count == NULL || !device->counters->padding_seen) return op->M;
    return *op->count < op->M ? *op->count : op->M;
}

static int32_t count_live(const hdl__counted_device *device, const hdl__counted_op *op)
{
    if (!device->counters->padding_seen) return -1;
    int32_t n = read_count(device, op), live = 0;
    if (op->rows == NULL) return n;
    for (int32_t i = 0; i < n; i++) live += op->slots->state[op->rows->slot[i]].done == 0;
    return live;
}

/* Counts one op that runs now. */
static void tally(hdl__counted_stream *own, const hdl__counted_op *op)
{
    hdl__counters *counters = own->device->counters;
    hdl__counter_add(&counters->calls[op->kind], 1);
    const uint64_t rows = (uint64_t)read_count(own->device, op);
    if (op->kind == HDL__OP_embed) own->live = count_live(own->device, op);
    if (op->kind == HDL__OP_attention) hdl__counter_add(&counters->padded_rows, (uint64_t)op->M - rows);
    if (op->row_flops == 0) return;
    hdl__counter_add(&counters->rows, rows);
    if (own->live >= 0 && rows > (uint64_t)own->live)
        hdl__counter_add(&counters->padded_rows, rows - (uint64_t)own->live);
    if (rows == 0) return;
    hdl__counter_add(&counters->product_flops, rows * op->row_flops);
    hdl__counter_add(&counters->product_bytes, rows * op->row_bytes + op->fixed_bytes);
}

static void tally_allocs(hdl__counted_stream *own, uint64_t before)
{
    hdl__counter_add(&own->device->counters->op_allocs, hdl__alloc_count_here() - before);
}

static hdl_status keep(hdl__counted_graph *graph, const hdl__counted_op *op)
{
    enum { FIRST_OPS = 64 };
    hdl_status status = HDL_OK;
    if (graph->n == graph->capacity) {
        const size_t capacity = graph->capacity == 0 ? FIRST_OPS : 2 * graph->capacity;
        hdl__counted_op *grown = hdl__regrow(graph->ops, graph->n * sizeof *grown, capacity * sizeof *grown);
        HDL_CHECK(grown != NULL, HDL_ENOMEM, "record: no memory for %zu ops", capacity);
        graph->ops = grown;
        graph->capacity = capacity;
    }
    graph->ops[graph->n++] = *op;
done:
    return status;
}

#define X(op)                                                                              \
    static hdl_status forward_##op(hdl_backend_stream *stream, const hdl_##op##_args *args) \
    {                                                                                      \
        hdl_status status = HDL_OK;                                                        \
        hdl__counted_stream *own = hdl__counted_stream_of(stream);                                     \
        const hdl__counted_op what = describe_##op(own->device, args);                     \
        const uint64_t before = hdl__alloc_count_here();                                   \
        if (own->recording != NULL) HDL_TRY(keep(own->recording, &what));                  \
        else tally(own, &what);                                                            \
        HDL_TRY(own->device->inner->op(own->stream, args));                                \
        if (own->recording == NULL) tally_allocs(own, before);                             \
    done:                                                                                  \
        return status;                                                                     \
    }
HDL__OP_MAP(X)
#undef X

static hdl_status forward_record_begin(hdl_backend_stream *stream)
{
    hdl_status status = HDL_OK;
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counted_graph *made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "record: no memory for %zu bytes", sizeof *made);
    HDL_TRY(own->device->inner->record_begin(own->stream));
    made->device = own->device;
    own->recording = made;
    made = NULL;
done:
    hdl__free(made);
    return status;
}

static hdl_status forward_record_end(hdl_backend_stream *stream, hdl_backend_graph **graph)
{
    hdl_status status = HDL_OK;
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counted_graph *made = own->recording;
    own->recording = NULL;
    HDL_TRY(own->device->inner->record_end(own->stream, &made->graph));
    *graph = (hdl_backend_graph *)(void *)made;
    made = NULL;
done:
    hdl__counting_close_graph(made);
    return status;
}

/* Counted before it runs: its last op may change what its first ones read. */
static hdl_status forward_replay(hdl_backend_stream *stream, hdl_backend_graph *graph)
{
    hdl__counted_stream *own = hdl__counted_stream_of(stream);
    hdl__counted_graph *recorded = (hdl__counted_graph *)(void *)graph;
    for (size_t i = 0; i < recorded->n; i++) tally(own, &recorded->ops[i]);
    const uint64_t before = hdl__alloc_count_here();
    const hdl_status status = own->device->inner->replay(own->stream, recorded->graph);
    tally_allocs(own, before);
    return status;
}

void hdl__counting_close_graph(hdl__counted_graph *graph)
{
    if (graph == NULL) return;
    if (graph->graph != NULL) graph->device->inner->graph_close(graph->graph);
    hdl__free(graph->ops);
    hdl__free(graph);
}

static void forward_graph_close(hdl_backend_graph *graph)
{
    hdl__counting_close_graph((hdl__counted_graph *)(void *)graph);
}

static uint64_t forward_graph_launches(const hdl_backend_graph *graph)
{
    const hdl__counted_graph *recorded = (const hdl__counted_graph *)(const void *)graph;
    return recorded->device->inner->graph_launches(recorded->graph);
}

void hdl__counting_fill_ops(hdl__counted_device *device)
{
    hdl_backend *t = &device->table;
#define X(op) if (t->op != NULL) t->op = forward_##op;
    HDL__OP_MAP(X)
#undef X
    if (t->graph_launches != NULL) t->graph_launches = forward_graph_launches;
    if (t->record_begin == NULL || t->record_end == NULL || t->replay == NULL || t->graph_close == NULL) return;
    t->record_begin = forward_record_begin;
    t->record_end = forward_record_end;
    t->replay = forward_replay;
    t->graph_close = forward_graph_close;
}
