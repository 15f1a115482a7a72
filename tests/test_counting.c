/* test_counting.c - the counting wrapper: what it counts, that it passes everything on, and that it changes
 * nothing. */
#include "base/memory.h"
#include "door_rows.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

/* A fake with the wrapper around it, as hdl__device_open_counted makes it. */
typedef struct counted { fake inner; hdl_device device; hdl__counters counters; hdl_stream *stream; } counted;

static void open_counted(counted *c, int unified)
{
    memset(c, 0, sizeof *c);
    fake_open(&c->inner, unified);
    c->device = c->inner.device;
    cr_assert_eq(
        hdl__counting_wrap(c->device.table, c->device.inner, &c->counters, &c->device.table, &c->device.inner),
        HDL_OK);
    cr_assert_eq(hdl_stream_create(&c->device, &c->stream), HDL_OK);
    hdl__counters_reset(&c->counters);
    c->inner.n_calls = 0;
}

static void close_counted(counted *c)
{
    hdl_stream_close(c->stream);
    cr_expect_eq(c->inner.n_open, 0);
    c->device.table->close(c->device.inner);
    cr_expect_str_eq(c->inner.calls[c->inner.n_calls - 1], "close");
}

Test(counting, every_op_is_passed_on_and_counted)
{
    counted c;
    size_t n;
    const door_op *ops = door_ops(&n);
    open_counted(&c, 0);
    for (size_t i = 0; i < n; i++) {
        door_set set;
        door_fill(&set);
        for (size_t k = 0; k <= i; k++) cr_expect_eq(ops[i].call(c.stream, &set), HDL_OK, "%s", hdl_error_detail());
        cr_expect_eq(c.inner.n_calls, (int)i + 1);
        cr_expect_str_eq(c.inner.calls[0], ops[i].name);
        c.inner.n_calls = 0;
    }
    const hdl__counts counts = hdl__counters_read(&c.counters);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(counts.calls[i], i + 1);
        cr_expect_str_eq(hdl__op_name((hdl__op)i), ops[i].name);
    }
    cr_expect_str_eq(hdl__op_name(HDL__N_OPS), "?");
    hdl__counters_reset(&c.counters);
    cr_expect_eq(hdl__counters_read(&c.counters).calls[0], 0);
    c.inner.answer = HDL_EDEVICE;
    door_set set;
    door_fill(&set);
    cr_expect_eq(ops[0].call(c.stream, &set), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(), "fake: the device says no");
    c.inner.answer = HDL_OK;
    close_counted(&c);
}

Test(counting, everything_else_is_passed_on)
{
    counted c;
    static const float data[64];
    char a[8] = "abcdefg", b[8];
    void *block;
    open_counted(&c, 1);
    const hdl_pack_part part = {data, HDL_F32, 4, 0, NULL, 0};
    hdl_pack_args pack = HDL_PACK_ARGS_INIT;
    pack.parts = &part;
    pack.n_parts = 1;
    pack.N = 4;
    pack.K = 8;
    hdl_weight *w = NULL;
    hdl_embedding *e = NULL;
    hdl_kv_pool *pool = NULL;
    hdl_event *event = NULL;
    hdl_stream *wrapped = NULL;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    const hdl_kv_pool_desc desc = {sizeof desc, 3, 1, 1, 8, HDL_F32, 0};
    const hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    volatile int stop = 1;
    cr_expect_eq(c.device.table->describe(c.device.inner, &info), HDL_OK);
    cr_expect_str_eq(info.name, "fake");
    cr_expect_eq(hdl_weight_pack(&c.device, &pack, &w), HDL_OK);
    cr_expect_eq(hdl_weight_bytes(&c.device, w), 1000);
    cr_expect_eq(hdl_embedding_open(&c.device, &part, 8, &e), HDL_OK);
    cr_expect_eq(hdl_kv_pool_open(&c.device, &desc, &pool), HDL_OK);
    cr_expect_eq(hdl_event_create(&c.device, &event), HDL_OK);
    cr_expect_eq(hdl_stream_wrap(&c.device, a, &wrapped), HDL_OK);
    cr_expect_eq(hdl_event_record(event, c.stream), HDL_OK);
    cr_expect_eq(hdl_event_wait(event, wrapped), HDL_OK);
    cr_expect_eq(hdl_event_sync(event), HDL_OK);
    cr_expect_eq(hdl_stream_reserve(c.stream, &limits), HDL_OK);
    cr_expect_eq(hdl_stream_upload(c.stream, b, a, 8), HDL_OK);
    cr_expect_eq(hdl_stream_download(wrapped, a, b, 5), HDL_OK);
    cr_expect_eq(hdl_stream_wait(c.stream), HDL_OK);
    cr_expect(hdl__stream_assist(c.stream, &stop));
    cr_expect_eq(hdl_device_alloc(&c.device, 16, &block), HDL_OK);
    hdl_device_free(&c.device, block, 16);
    hdl_weight_close(&c.device, w);
    hdl_embedding_close(&c.device, e);
    hdl_kv_pool_close(&c.device, pool);
    hdl_event_close(event);
    hdl_stream_close(wrapped);
    const hdl__counts counts = hdl__counters_read(&c.counters);
    cr_expect_eq(counts.copied_bytes, 13);
    cr_expect_eq(counts.device_allocs, 1);
    cr_expect_gt(counts.host_allocs, 0);    /* handles */
    static const char *const calls[] = {
        "describe",      "pack",        "embedding_open", "kv_pool_open", "event_create", "stream_wrap",
        "event_record",  "event_wait",  "event_sync",     "reserve",      "copy",         "copy",
        "wait",          "assist",      "alloc",          "free",         "weight_close", "embedding_close",
        "kv_pool_close", "event_close", "stream_close"};
    cr_assert_eq(c.inner.n_calls, (int)(sizeof calls / sizeof calls[0]));
    for (int i = 0; i < c.inner.n_calls; i++) cr_expect_str_eq(c.inner.calls[i], calls[i]);
    close_counted(&c);
}

/* What the inner table lacks is not offered by the wrapper either. */
Test(counting, nothing_is_offered_that_is_not_there)
{
    fake f;
    fake_open(&f, 1);
    hdl_backend bare = f.table;
    memset(&bare.stream_wrap, 0, sizeof bare.stream_wrap);
    bare.stream_reserve = NULL;
    bare.event_create = NULL;
    bare.event_record = NULL;
    bare.event_wait = NULL;
    bare.record_begin = NULL;
    bare.graph_launches = NULL;
    bare.pack = NULL;
    bare.embedding_open = NULL;
    bare.kv_pool_open = NULL;
    bare.stream_assist = NULL;
#define X(op) bare.op = NULL;
    HDL__OP_MAP(X)
#undef X
    hdl__counters counters;
    memset(&counters, 0, sizeof counters);
    const hdl_backend *t;
    hdl_backend_device *device;
    cr_assert_eq(hdl__counting_wrap(&bare, f.device.inner, &counters, &t, &device), HDL_OK);
    cr_expect(t->stream_wrap == NULL && t->stream_reserve == NULL && t->event_create == NULL &&
              t->event_record == NULL);
    cr_expect(t->event_wait == NULL && t->record_begin == NULL && t->pack == NULL && t->embedding_open == NULL);
    cr_expect(t->graph_launches == NULL);
    cr_expect(t->kv_pool_open == NULL && t->stream_assist == NULL && t->open == NULL);
#define X(op) cr_expect(t->op == NULL, #op);
    HDL__OP_MAP(X)
#undef X
    cr_expect(t->alloc != NULL && t->upload != NULL && t->abi == HDL_BACKEND_ABI && t->unified == 1 && t->lag == 1);
    t->close(device);
}

/* One pass: an embed with `listed` rows of which `done` belong to a finished slot, then a gemm of M rows. */
static hdl__counts run_pass(int unified, bool with_list, int32_t R, int32_t listed, int32_t n_done, bool with_count,
                            int32_t M)
{
    static int32_t slot[64];
    static hdl_slot_state states[2];
    counted c;
    door_set set;
    int32_t ids[64] = {0};
    open_counted(&c, unified);
    door_fill(&set);
    states[1].done = 1;
    for (int32_t i = 0; i < 64; i++) slot[i] = i < listed - n_done ? 0 : 1;
    set.slots.state = states;
    set.rows.slot = slot;
    set.rows.count = &listed;
    set.embed.M = R;
    if (!with_list) {
        set.embed.slots = NULL;
        set.embed.rows = NULL;
        set.embed.ids = set.embed.pos = ids;
    }
    set.gemm.M = M;
    set.gemm.count = with_count ? &listed : NULL;
    set.gemm.residual = NULL;
    cr_expect_eq(hdl_embed(c.stream, &set.embed), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(hdl_gemm(c.stream, &set.gemm), HDL_OK, "%s", hdl_error_detail());
    const hdl__counts counts = hdl__counters_read(&c.counters);
    close_counted(&c);
    return counts;
}

Test(counting, padding)
{
    static const struct {
        int unified; bool with_list; int32_t R, listed, n_done; bool with_count; int32_t M; uint64_t rows, padded;
    } rows[] = {
        {1, true, 8, 5, 0, true, 8, 5, 0},      /* a bucket of 8, 5 live: the backend computes 5 */
        {1, true, 8, 5, 0, false, 8, 8, 3},     /* the count was forgotten */
        {1, true, 8, 5, 2, true, 8, 5, 2},      /* two rows of a finished sentence */
        {1, true, 8, 8, 0, true, 8, 8, 0},
        {1, true, 8, 0, 0, true, 8, 0, 0},      /* a step without rows */
        {1, false, 8, 0, 0, false, 8, 8, 0},    /* an encoder pass: all rows are tokens */
        {1, false, 8, 0, 0, false, 12, 12, 4},
        {1, false, 8, 0, 0, false, 3, 3, 0},    /* some rows of the pass */
        {1, true, 8, 9, 0, true, 8, 8, 0},      /* a count above M is M */
        {0, true, 8, 5, 0, true, 8, 8, 0},      /* counts lie where the host cannot look */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl__counts counts = run_pass(rows[i].unified, rows[i].with_list, rows[i].R, rows[i].listed,
                                            rows[i].n_done, rows[i].with_count, rows[i].M);
        cr_expect_eq(counts.rows, rows[i].rows, "row %zu: %d rows", i, (int)counts.rows);
        cr_expect_eq(counts.padded_rows, rows[i].padded, "row %zu: %d padded", i, (int)counts.padded_rows);
        cr_expect_eq(counts.padding_seen, rows[i].unified == 1);
        /* door_fill: K = 8, N = 16, bias, no residual; the fake's weights have 1000 bytes */
        const uint64_t n = rows[i].rows;
        cr_expect_eq(counts.product_flops, n * 2 * 8 * 16, "row %zu", i);
        cr_expect_eq(counts.product_bytes, n == 0 ? 0 : n * (8 + 16) * 4 + 1000 + 16 * 4, "row %zu", i);
    }
}

Test(counting, padding_of_a_packed_attention)
{
    counted c;
    door_set set;
    const int32_t cu[] = {0, 1, 3};
    open_counted(&c, 1);
    door_fill(&set);
    set.attention.keys = HDL_KEYS_PACKED;
    set.attention.cu_q = set.attention.cu_k = cu;
    cr_expect_eq(hdl_attention(c.stream, &set.attention), HDL_OK, "%s",
                 hdl_error_detail()); /* M = 4, 3 in sequences */
    cr_expect_eq(hdl__counters_read(&c.counters).padded_rows, 1);
    set.attention.M = 3;
    cr_expect_eq(hdl_attention(c.stream, &set.attention), HDL_OK);
    set.attention.keys = HDL_KEYS_SELF_PAGES;
    set.attention.M = 4;
    cr_expect_eq(hdl_attention(c.stream, &set.attention), HDL_OK);
    cr_expect_eq(hdl__counters_read(&c.counters).padded_rows, 1);
    close_counted(&c);
}

/* Logits and forced scores are products too; with a residual a gemm reads one matrix more. */
Test(counting, flops_and_bytes_of_the_other_products)
{
    counted c;
    door_set set;
    int32_t count = 3;
    open_counted(&c, 1);
    door_fill(&set);
    set.rows.count = &count;
    cr_expect_eq(hdl_logit_reduce(c.stream, &set.logit_reduce), HDL_OK);
    hdl__counts counts = hdl__counters_read(&c.counters);
    cr_expect_eq(counts.rows, 3);
    cr_expect_eq(counts.product_flops, 3 * 2 * 100 * 16);
    cr_expect_eq(counts.product_bytes, 3 * 16 * 4 + 1000);
    hdl__counters_reset(&c.counters);
    cr_expect_eq(hdl_token_logprobs(c.stream, &set.token_logprobs), HDL_OK);
    counts = hdl__counters_read(&c.counters);
    cr_expect_eq(counts.rows, 4);
    cr_expect_eq(counts.product_flops, 4 * 2 * 100 * 16);
    cr_expect_eq(counts.product_bytes, 4 * (16 * 4 + 4) + 1000);
    hdl__counters_reset(&c.counters);
    set.gemm.count = NULL;
    cr_expect_eq(hdl_gemm(c.stream, &set.gemm), HDL_OK);
    cr_expect_eq(hdl__counters_read(&c.counters).product_bytes, 4 * (8 + 16 + 16) * 4 + 1000 + 16 * 4);
    close_counted(&c);
}

/* A recorded op counts when it is replayed, by what the memory holds then; nothing is allocated while replaying. */
Test(counting, recordings_count_each_replay)
{
    counted c;
    door_set set;
    static hdl_slot_state states[1];
    static int32_t slot[8];
    int32_t count = 0;
    hdl_recording *recording = NULL;
    open_counted(&c, 1);
    door_fill(&set);
    set.slots.state = states;
    set.rows.slot = slot;
    set.rows.count = set.gemm.count = &count;
    cr_assert_eq(hdl_record_begin(c.stream), HDL_OK);
    cr_expect_eq(hdl_embed(c.stream, &set.embed), HDL_OK);
    for (int i = 0; i < 100; i++)
        cr_expect_eq(hdl_gemm(c.stream, &set.gemm), HDL_OK); /* more than the list's first size */
    cr_assert_eq(hdl_record_end(c.stream, &recording), HDL_OK);
    cr_expect_eq(hdl__counters_read(&c.counters).calls[HDL__OP_gemm], 0);
    cr_expect_eq(hdl__recording_launches(recording), FAKE_LAUNCHES);

    hdl__counters_reset(&c.counters);
    for (count = 1; count <= 4; count++) cr_expect_eq(hdl_record_replay(c.stream, recording), HDL_OK);
    hdl__counts counts = hdl__counters_read(&c.counters);
    cr_expect_eq(counts.calls[HDL__OP_embed], 4);
    cr_expect_eq(counts.calls[HDL__OP_gemm], 400);
    cr_expect_eq(counts.rows, 100 * (1 + 2 + 3 + 4));
    cr_expect_eq(counts.padded_rows, 0);
    cr_expect_eq(counts.host_allocs, 0);
    cr_expect_eq(counts.device_allocs, 0);
    states[0].done = 1;
    count = 2;
    cr_expect_eq(hdl_record_replay(c.stream, recording), HDL_OK);
    counts = hdl__counters_read(&c.counters);
    cr_expect_eq(counts.padded_rows, 200);
    states[0].done = 0;
    hdl_record_close(recording);

    /* a stream that is closed while it records, and a recording that runs out of memory */
    cr_assert_eq(hdl_record_begin(c.stream), HDL_OK);
    hdl__alloc_fail_at(1);
    cr_expect_eq(hdl_gemm(c.stream, &set.gemm), HDL_ENOMEM);
    cr_expect_str_eq(hdl_error_detail(), "record: no memory for 64 ops");
    close_counted(&c);
}

static void *copy_often(void *user)
{
    hdl_stream *stream = user;
    char a[8] = "", b[8];
    for (int i = 0; i < 1000; i++) hdl_stream_upload(stream, b, a, 3);
    return NULL;
}

/* Lanes are threads. (The fake's own note of calls is not for threads: its entries are taken out.) */
static hdl_status copy_quietly(hdl_backend_stream *s, void *to, const void *from, size_t bytes)
{
    (void)s;
    memcpy(to, from, bytes);
    return HDL_OK;
}

Test(counting, lanes_count_together)
{
    counted c;
    pthread_t threads[4];
    hdl_stream *streams[4];
    open_counted(&c, 1);
    c.inner.table.upload = copy_quietly;
    for (int i = 0; i < 4; i++) cr_assert_eq(hdl_stream_create(&c.device, &streams[i]), HDL_OK);
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, copy_often, streams[i]), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    cr_expect_eq(hdl__counters_read(&c.counters).copied_bytes, 12000);
    for (int i = 0; i < 4; i++) hdl_stream_close(streams[i]);
    close_counted(&c);
}
