/*
 * test_host_shortage.c - host memory that runs out anywhere in a call of the CUDA backend that makes something: the call says so, gives back
 * what it had taken, and works when there is memory again.
 */
#include "simt_calls.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(host_shortage, .timeout = OP_TEST_SECONDS);

enum { MOST_BLOCKS = 64, ROWS = 5, K = 40, E = 8 };

static const op_place places[] = {OP_SIMT_F32, OP_CUDA_F32};
enum { N_PLACES = sizeof places / sizeof places[0] };

/* Lends `left` blocks and then none. */
static struct { int left, lent; } shortage;

static void *lend(size_t bytes)
{
    if (shortage.left == 0) return NULL;
    void *block = op_services.alloc(bytes);
    cr_assert_not_null(block);
    shortage.left--;
    shortage.lent++;
    return block;
}

static void take_back(void *block)
{
    shortage.lent -= block != NULL;
    op_services.free(block);
}

typedef struct making {
    op_world           *w;
    hdl_backend_host    host;
    hdl_backend_device *device;
    hdl_backend_stream *stream;
    float               values[ROWS * K];
    int8_t              quantised[ROWS * K];
} making;

/* Each makes one thing and, when it is made, closes it. */
static hdl_status make_device(making *m)
{
    hdl_backend_device *made = NULL;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    const hdl_status status = m->w->backend->open(0, &options, &m->host, &made);
    m->w->backend->close(made);
    return status;
}

static hdl_status make_stream(making *m)
{
    hdl_backend_stream *made = NULL;
    const hdl_status status = m->w->backend->stream_create(m->device, &made);
    m->w->backend->stream_close(made);
    return status;
}

/* The scratch grows, so that what was outgrown has to be kept. */
static hdl_status make_scratch(making *m)
{
    hdl_backend_stream *made = NULL;
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    limits.M = 8, limits.K = K, limits.N = K, limits.V = 1000;
    hdl_status status = m->w->backend->stream_create(m->device, &made);
    if (status == HDL_OK) status = m->w->backend->stream_reserve(made, &limits);
    limits.M *= 64;
    if (status == HDL_OK) status = m->w->backend->stream_reserve(made, &limits);
    m->w->backend->stream_close(made);
    return status;
}

static hdl_status make_event(making *m)
{
    hdl_backend_event *made = NULL;
    const hdl_status status = m->w->backend->event_create(m->device, &made);
    m->w->backend->event_close(made);
    return status;
}

static hdl_status make_recording(making *m)
{
    hdl_backend_graph *made = NULL;
    hdl_status status = m->w->backend->record_begin(m->stream);
    if (status == HDL_OK) status = m->w->backend->record_end(m->stream, &made);
    m->w->backend->graph_close(made);
    return status;
}

static hdl_status make_pool(making *m)
{
    const hdl_kv_pool_desc desc = {sizeof desc, 3, 1, 2, 4, HDL_F32, 0};
    hdl_kv_pool *made = NULL;
    const hdl_status status = m->w->backend->kv_pool_open(m->device, &desc, &made);
    m->w->backend->kv_pool_close(made);
    return status;
}

static hdl_status make_weight(making *m, hdl_compute compute)
{
    const hdl_pack_part part = {m->values, HDL_F32, ROWS, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part, args.n_parts = 1, args.N = ROWS, args.K = K, args.compute = compute;
    hdl_weight *made = NULL;
    const hdl_status status = m->w->backend->pack(m->device, &args, &made);
    m->w->backend->weight_close(made);
    return status;
}

static hdl_status make_weight_f32(making *m) { return make_weight(m, HDL_COMPUTE_F32); }
static hdl_status make_weight_bf16(making *m) { return make_weight(m, HDL_COMPUTE_BF16); }
static hdl_status make_weight_int8(making *m) { return make_weight(m, HDL_COMPUTE_INT8); }

static hdl_status make_embedding(making *m)
{
    static const float scale[ROWS * K / E] = {1.0f};
    const hdl_pack_part part = {m->quantised, HDL_I8, ROWS * K / E, 1, scale, ROWS * K / E};    /* turned around on the way */
    hdl_embedding *made = NULL;
    const hdl_status status = m->w->backend->embedding_open(m->device, &part, E, &made);
    m->w->backend->embedding_close(made);
    return status;
}

static const struct { const char *name; hdl_status (*make)(making *); } makers[] = {
    {"device", make_device},           {"stream", make_stream},           {"reserve", make_scratch},
    {"event", make_event},             {"record end", make_recording},    {"key/value pool", make_pool},
    {"pack", make_weight_f32},         {"pack", make_weight_bf16},        {"pack", make_weight_int8},
    {"embedding", make_embedding},
};
enum { N_MAKERS = sizeof makers / sizeof makers[0] };

/* Fails the first block, then the second, until the call has all it asks for. */
static void check_maker(making *m, int which)
{
    const size_t used = op_on_simt(m->w) ? used_bytes() : 0;
    const int lent = shortage.lent;
    int blocks = 0;
    for (hdl_status status = HDL_ENOMEM; status != HDL_OK; blocks++) {
        cr_assert_lt(blocks, MOST_BLOCKS);
        shortage.left = blocks;
        status = makers[which].make(m);
        cr_expect_eq(shortage.lent, lent, "%s: %d blocks are not given back", makers[which].name, shortage.lent - lent);
        if (op_on_simt(m->w)) cr_expect_eq(used_bytes(), used, "%s: device memory is not given back", makers[which].name);
        if (status == HDL_OK) break;
        cr_assert_eq(status, HDL_ENOMEM, "%s with %d blocks: %s", makers[which].name, blocks, hdl_status_name(status));
        cr_expect(strstr(op_services_line(), "no memory") != NULL, "%s with %d blocks: \"%s\"", makers[which].name, blocks,
                  op_services_line());
    }
    printf("%s: %d blocks\n", makers[which].name, blocks);
    cr_expect_gt(blocks, 0, "%s takes no host memory", makers[which].name);
}

Test(host_shortage, every_call_gives_back_what_it_took)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 1)) continue;
        making m = {.w = &w, .host = op_services};
        m.host.alloc = lend;
        m.host.free = take_back;
        shortage.left = MOST_BLOCKS;
        cr_assert_eq(w.backend->open(0, NULL, &m.host, &m.device), HDL_OK, "%s", op_error(&w));
        cr_assert_eq(w.backend->stream_create(m.device, &m.stream), HDL_OK, "%s", op_error(&w));
        for (int k = 0; k < N_MAKERS; k++) check_maker(&m, k);
        w.backend->stream_close(m.stream);
        w.backend->close(m.device);
        cr_expect_eq(shortage.lent, 0);
        op_close(&w);
    }
}
