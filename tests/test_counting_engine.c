/* test_counting_engine.c - while decoding on the CPU nothing is copied, padded or allocated; recorded steps read what changes from memory. */
#include "base/memory.h"
#include "device/counting.h"
#include "engine_fixture.h"
#include "result_hash.h"
#include "runtime/translator_state.h"

#include <heddle/embed.h>

#include <string.h>

static const char *const words[] = {"w1", "w2", "w3", "w4", "w6", "w7", "w8", "w9"};
enum { N = 40 };

static void set_options(int i, hdl_request *r, hdl_search_options *o)
{
    *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    o->beam = 1 + i % 5;
    o->max_length = 16;
    o->alignment = i % 3 == 0;
    if (i % 7 == 1) { o->beam = 1; o->sample = 1; o->n_best = 3; }
    if (i % 7 == 2) { o->alternatives = 1; o->n_best = 4; }
    if (i % 7 == 3) { r->kind = HDL_REQUEST_SCORE; r->target_tokens = words; r->n_target_tokens = 8; }
    if (i % 7 == 4) { r->target_tokens = words; r->n_target_tokens = 8; }
}

static void check(const char *path, hdl_compute compute, int32_t threads)
{
    hdl_translator_options to = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_ticket *tickets[N];
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    to.device = "cpu";
    to.compute = compute;
    to.threads = threads;
    to.max_rows = 33;
    engine e = open_engine(path, &to);
    for (int i = 0; i < N; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_search_options o;
        r.tokens = words;
        r.n_tokens = 1 + (size_t)i % 8;
        r.search = &o;
        set_options(i, &r, &o);
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < N; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], -1, &result), HDL_OK);
        cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
        hdl_ticket_release(tickets[i]);
    }
    cr_assert_eq(hdl_translator_get_stats(e.translator, &s), HDL_OK);
    cr_expect_eq(s.padded_rows, 0u, "%d padded rows", (int)s.padded_rows);
    cr_expect_eq(s.copied_bytes, 0u, "%d bytes copied", (int)s.copied_bytes);
    cr_expect_eq(s.allocations, 0u, "%d allocations", (int)s.allocations);
    cr_expect_gt(s.steps, 0u);
    const hdl__counts counts = hdl__counters_read(e.translator->network->device->counters);
    cr_expect(counts.padding_seen);
    cr_expect_gt(counts.rows, s.rows);          /* several products a row: the counters do count */
    cr_expect_gt(counts.copied_bytes, 0u);      /* packing has copied */
    close_engine(&e);
}

Test(counting_engine, f32) { check("tests/data/goldens/tiny-a", HDL_COMPUTE_F32, 1); }
Test(counting_engine, bf16) { check("tests/data/goldens/tiny-b", HDL_COMPUTE_BF16, 1); }
Test(counting_engine, int8) { check("tests/data/goldens/tiny-c", HDL_COMPUTE_INT8, 1); }
Test(counting_engine, two_lanes) { check("tests/data/goldens/tiny-a", HDL_COMPUTE_F32, 2); }
Test(counting_engine, en_de) { check("models/en-de", HDL_COMPUTE_INT8, 2); }

/* What is uploaded or allocated in an op is counted; what happens between ops is not. */
Test(counting_engine, counters_count)
{
    engine e = open_engine("tests/data/goldens/tiny-a", NULL);
    hdl_device *device = e.translator->network->device;
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    hdl_stream *stream;
    void *block;
    cr_assert_eq(hdl_stream_create(device, &stream), HDL_OK);
    cr_assert_eq(hdl_device_alloc(device, 64, &block), HDL_OK);
    cr_assert_eq(hdl_stream_upload(stream, block, words, 24), HDL_OK);
    cr_assert_eq(hdl_translator_get_stats(e.translator, &s), HDL_OK);
    cr_expect_eq(s.copied_bytes, 24u);
    cr_expect_eq(s.allocations, 0u);
    hdl_device_free(device, block, 64);
    hdl_stream_close(stream);
    close_engine(&e);
}

/* A recorded op is replayed with other ids, positions, lengths and counts in the same memory: each replay gives what a direct call gives. */
Test(recorded, replays_read_changing_values)
{
    enum { M = 4, E = 16 };
    engine e = open_engine("tests/data/goldens/tiny-a", NULL);
    const hdl__network *n = e.translator->network;
    hdl_stream *stream;
    hdl_recording *recording = NULL;
    void *block;
    cr_assert_eq(hdl_stream_create(n->device, &stream), HDL_OK);
    cr_assert_eq(hdl_device_alloc(n->device, 4096, &block), HDL_OK);
    int32_t *ids = block, *pos = ids + M;
    float *y = (float *)(void *)(pos + M), *direct = y + M * E;
    hdl_embed_args a = HDL_EMBED_ARGS_INIT;
    a.table = n->encoder.embedding;
    a.positions = n->encoder.positions;
    a.n_positions = n->encoder.n_positions;
    a.ids = ids;
    a.pos = pos;
    a.y = y;
    a.M = M;
    a.E = E;
    a.scale = n->encoder.config.embed_scale;
    cr_assert_eq(hdl_record_begin(stream), HDL_OK);
    cr_assert_eq(hdl_embed(stream, &a), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_record_end(stream, &recording), HDL_OK);
    for (int i = 0; i < M * E; i++) cr_assert_eq(y[i], 0.0f, "recording has run the op");
    a.y = direct;
    float before[M * E] = {0};
    for (int32_t round = 0; round < 5; round++) {
        for (int32_t i = 0; i < M; i++) {
            ids[i] = (7 * round + i) % 40;
            pos[i] = (11 * round + 3 * i) % 64;
        }
        cr_assert_eq(hdl_record_replay(stream, recording), HDL_OK);
        cr_assert_eq(hdl_embed(stream, &a), HDL_OK);
        cr_assert_eq(hdl_stream_wait(stream), HDL_OK);
        cr_expect_eq(memcmp(y, direct, sizeof before), 0, "round %d", round);
        cr_expect_neq(memcmp(y, before, sizeof before), 0, "round %d: the replay froze its arguments", round);
        memcpy(before, y, sizeof before);
    }
    hdl_record_close(recording);
    hdl_device_free(n->device, block, 4096);
    hdl_stream_close(stream);
    close_engine(&e);
}

/* The engine's own recorded step: options, prefixes, lengths and beams of another sentence in the same slots give that sentence's result. */
Test(recorded, steps_serve_any_sentence)
{
    engine e = open_engine("tests/data/goldens/tiny-a", NULL);
    uint64_t first[N] = {0};
    for (int round = 0; round < 2; round++)
        for (int j = 0; j < N; j++) {
            const int i = round == 0 ? j : N - 1 - j;       /* the other way round: each follows another neighbour */
            hdl_request r = HDL_REQUEST_INIT;
            hdl_search_options o;
            hdl_ticket *ticket;
            r.tokens = words;
            r.n_tokens = 1 + (size_t)i % 8;
            r.search = &o;
            set_options(i, &r, &o);
            const hdl_result *result = run_request(&e, &r, &ticket);
            if (round == 0) first[i] = hash_result(result);
            else cr_expect_eq(hash_result(result), first[i], "sentence %d", i);
            hdl_ticket_release(ticket);
        }
    close_engine(&e);
}
