/* test_model_layer.c - the layers themselves: decoding step by step and in chunks, and logits against transformers' (tests/data/goldens). */
#include "cpu/kv_pool.h"
#include "engine_fixture.h"
#include "runtime/translator_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_T = 64, MOST_V = 128 };

/* A lane of its own with one encoded sentence in slot 0. */
typedef struct bench {
    engine        e;
    hdl__lane     lane;
    hdl__search   search;
    hdl_ticket    ticket;
    hdl__sentence sentence;
    hdl__outcome  outcome;
    hdl_stream   *stream;           /* for the logits: wide enough for the vocabulary */
    int32_t       end, target[MOST_T], ids[MOST_T];
    float         logprobs[MOST_T], logits[MOST_T * MOST_V];
} bench;

static void open_bench(const char *path, const int32_t *source, int32_t S, const int32_t *target, int32_t T, bench *b)
{
    memset(b, 0, sizeof *b);
    b->e = open_engine(path, NULL);
    hdl__network *n = b->e.translator->network;
    hdl_translator_options o = b->e.translator->options;
    hdl__lane_plan plan;
    hdl__resident *resident = NULL;
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    cr_assert(n->output.N <= MOST_V && T < MOST_T);
    o.max_rows = MOST_T;
    o.max_beam = 1;
    cr_assert_eq(hdl__lane_plan_make(n, &o, true, &plan), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__lane_open(b->e.translator, n, &plan, &b->lane), HDL_OK, "%s", hdl_error_detail());
    memcpy(b->target, target, (size_t)T * sizeof *target);
    b->end = b->e.model->checkpoint.config.end_id;
    b->search.slot = (hdl_slot_options){.K = 1, .n_enough = 1, .n_pool = 1, .repetition_penalty = 1.0f, .n_end = 1};
    b->search.n_best = 1;
    b->search.ends = &b->end;
    b->ticket.n_open = 2;       /* never delivered */
    b->outcome = (hdl__outcome){.ids = b->ids, .logprobs = b->logprobs};
    b->sentence = (hdl__sentence){.ticket = &b->ticket, .search = &b->search, .source = source, .prefix = b->target, .S = S,
                                  .n_prefix = T, .max_length = T + 1, .phase = HDL__PHASE_SCORE, .n_children = 1,
                                  .outcomes = &b->outcome, .capacity = 1};
    cr_assert_eq(hdl__lane_settle(&b->lane, &b->sentence, &resident), HDL_OK);
    cr_assert_not_null(resident);
    cr_assert_eq(hdl__lane_encode(&b->lane, &resident, 1), HDL_OK, "%s", hdl_error_detail());
    limits.M = MOST_T;
    limits.N = n->output.N;
    limits.K = n->output.K;
    cr_assert_eq(hdl_stream_create(n->device, &b->stream), HDL_OK);
    cr_assert_eq(hdl_stream_reserve(b->stream, &limits), HDL_OK, "%s", hdl_error_detail());
}

static void close_bench(bench *b)
{
    hdl_stream_close(b->stream);
    hdl__lane_evict(&b->lane, &b->lane.residents[0]);
    hdl__lane_close(&b->lane);
    close_engine(&b->e);
}

/* Runs positions [first, first + n) of slot 0 in one pass; row i of logits belongs to position i. inputs[i] is the token read at i. */
static void run_chunk(bench *b, const int32_t *inputs, int32_t first, int32_t n)
{
    hdl__lane *lane = &b->lane;
    const hdl__network *net = lane->network;
    hdl__pass_inputs in;
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    hdl__place_inputs(lane->input, n, 1, &in);
    const hdl__decode_place place = {&lane->slots, &in.rows.view, lane->pool, n};
    cr_assert(hdl__lane_cover(lane, 0, first + n));
    for (int32_t i = 0; i < n; i++) {
        in.rows.slot[i] = in.rows.beam[i] = 0;
        in.rows.pos[i] = first + i;
        in.ids[i] = inputs[first + i];
    }
    *in.rows.count = n;
    *in.rows.n_groups = 1;
    in.rows.group[0] = 0;
    in.rows.group[1] = n;
    cr_assert_eq(hdl__decode(lane->stream, net, &place, in.ids, false, &lane->hidden, NULL), HDL_OK, "%s", hdl_error_detail());
    a.x = lane->hidden.x;
    a.ldx = net->output.K;
    a.w = net->output.w;
    a.bias = net->output.bias;
    a.y = b->logits + first * net->output.N;
    a.ldy = net->output.N;
    a.M = n;
    a.N = net->output.N;
    a.K = net->output.K;
    cr_assert_eq(hdl_gemm(b->stream, &a), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_stream_wait(b->stream), HDL_OK);
}

/* The first row of every model of ours: the start token, or a row of zeros. */
static int32_t start_of(const bench *b)
{
    const hdl__config *c = &b->e.model->checkpoint.config;
    return c->start_is_zero ? -1 : c->start_id;
}

static double largest_difference(const float *a, const float *b, int32_t n)
{
    double largest = 0.0;
    for (int32_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

/* CTranslate2's case "incremental": the given ids are what the decoder reads. */
Test(model_layer, incremental)
{
    static bench by_step, by_chunk;
    int32_t source[16], target[16], S = 0, T = 0;
    size_t i, j;
    json_t *item, *id, *root = load_json("tests/data/ct2/cases.json");
    json_array_foreach(json_object_get(root, "translate"), i, item) {
        if (json_object_get(item, "source_ids") == NULL) continue;
        json_array_foreach(json_object_get(item, "source_ids"), j, id) source[S++] = (int32_t)json_integer_value(id);
        json_array_foreach(json_object_get(item, "target_ids"), j, id) target[T++] = (int32_t)json_integer_value(id);
    }
    cr_assert(S == 6 && T == 5);
    open_bench("tests/data/ct2/aren-v2", source, S, target, T, &by_step);
    open_bench("tests/data/ct2/aren-v2", source, S, target, T, &by_chunk);
    for (int32_t t = 0; t < T; t++) run_chunk(&by_step, target, t, 1);
    run_chunk(&by_chunk, target, 0, 3);
    run_chunk(&by_chunk, target, 3, 2);
    const int32_t V = by_step.lane.network->output.N;
    cr_expect_lt(largest_difference(by_step.logits, by_chunk.logits, T * V), 1e-5);
    cr_expect_gt(largest_difference(by_step.logits, by_step.logits + V, V), 1e-3, "positions do not differ at all");
    /* the same keys and values in the same pages */
    cr_expect_eq(by_step.lane.seats[0].n_self_pages, by_chunk.lane.seats[0].n_self_pages);
    cr_expect_eq(by_step.lane.n_free_pages, by_chunk.lane.n_free_pages);
    cr_expect_eq(memcmp(by_step.lane.self_pages, by_chunk.lane.self_pages, sizeof(int32_t)), 0);
    const float *a = (const void *)by_step.lane.pool->base, *b = (const void *)by_chunk.lane.pool->base;     /* f32 pages */
    const size_t n = 8 * by_step.lane.pool->page_bytes / sizeof *a;    /* scratch, source and self pages are the lowest numbers */
    double largest = 0.0, any = 0.0;
    for (size_t k = 0; k < n; k++) {
        largest = fmax(largest, fabs((double)a[k] - (double)b[k]));
        any = fmax(any, fabs((double)a[k]));
    }
    cr_expect_lt(largest, 1e-5);
    cr_expect_gt(any, 1e-3);
    close_bench(&by_step);
    close_bench(&by_chunk);
    json_decref(root);
}

/* Forced logits of the tiny models; the pad column is at -inf in one system and not in the other. */
static void check_logits(const char *model)
{
    static bench b;
    static float wanted[1 << 16];
    char path[512];
    size_t i, j;
    json_t *item, *id;
    snprintf(path, sizeof path, "%s/tests/data/goldens/%s/logits.f32", HEDDLE_SOURCE_DIR, model);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    const size_t n_wanted = fread(wanted, sizeof(float), sizeof wanted / sizeof wanted[0], f);
    fclose(f);
    snprintf(path, sizeof path, "tests/data/goldens/%s/goldens.json", model);
    json_t *root = load_json(path);
    const int32_t columns = (int32_t)number_of(root, "columns");
    snprintf(path, sizeof path, "tests/data/goldens/%s", model);
    json_array_foreach(json_object_get(root, "cases"), i, item) {
        int32_t source[MOST_T], target[MOST_T], inputs[MOST_T], S = 0, T = 0;
        const size_t offset = (size_t)number_of(item, "logits_offset");
        json_array_foreach(json_object_get(item, "source_ids"), j, id) source[S++] = (int32_t)json_integer_value(id);
        json_array_foreach(json_object_get(item, "target_ids"), j, id) target[T++] = (int32_t)json_integer_value(id);
        cr_assert_eq((int32_t)number_of(item, "logits_rows"), T + 1);
        cr_assert(offset + (size_t)(T + 1) * (size_t)columns <= n_wanted);
        open_bench(path, source, S, target, T, &b);
        cr_assert_eq(b.lane.network->output.N, columns);
        for (int32_t t = 0; t <= T; t++) inputs[t] = t == 0 ? start_of(&b) : target[t - 1];
        run_chunk(&b, inputs, 0, T + 1);
        const int32_t pad = b.e.model->checkpoint.config.pad_id;
        double largest = 0.0;
        for (int32_t t = 0; t <= T; t++)
            for (int32_t v = 0; v < columns - 1; v++)
                if (v != pad)
                    largest = fmax(largest, fabs((double)b.logits[t * columns + v] - (double)wanted[offset + (size_t)(t * columns + v)]));
        cr_expect_lt(largest, 1e-4, "%s, case %zu: logits differ by %g", model, i, largest);
        close_bench(&b);
    }
    cr_assert_gt(json_array_size(json_object_get(root, "cases")), 5u);
    json_decref(root);
}

Test(model_layer, logits_tiny_a) { check_logits("tiny-a"); }
Test(model_layer, logits_tiny_b) { check_logits("tiny-b"); }
Test(model_layer, logits_tiny_c) { check_logits("tiny-c"); }
Test(model_layer, logits_tiny_d) { check_logits("tiny-d"); }
Test(model_layer, logits_tiny_e) { check_logits("tiny-e"); }
