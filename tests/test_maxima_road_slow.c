/*
 * test_maxima_road_slow.c - int8 with row maxima, and without them, on the stand-in for CUDA and on a GPU where there is one: the same bits
 * from fewer kernels, whatever way layers are built.
 */
#include "op_fixture.h"
#include "result_hash.h"
#include "road_fixture.h"

#include "device/plugin.h"
#include "model/model_state.h"
#include "runtime/translator_state.h"

#include <heddle/detail/buckets.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 8, FEW = 24, MANY = 1024 };  /* requests; rows of a lane: products quantise few of them themselves, and of many only known ones */

TestSuite(simt_maxima, .fini = road_expect_no_faults, .timeout = 3600);
TestSuite(cuda_maxima, .timeout = 600);

static void leave_alone(hdl__checkpoint *c) { (void)c; }

/* Layers of a post-norm model in the other order, and no norm at the end: the encoder's rows come out of a product. */
static void put_norms_first(hdl__checkpoint *c) { c->config.encoder.pre_norm = c->config.decoder.pre_norm = true; }

static int by_name(const void *a, const void *b) { return strcmp(((const hdl__param *)a)->name, ((const hdl__param *)b)->name); }

/* A gate in every layer, with the weights that are before it. */
static void add_gates(hdl__checkpoint *c)
{
    const int32_t n = c->n_params;
    hdl__param *params = hdl__calloc(2 * (size_t)n, sizeof *params);
    cr_assert_not_null(params);
    memcpy(params, c->params, (size_t)n * sizeof *params);
    for (int32_t i = 0; i < n; i++) {
        const char *name = params[i].name, *up = strstr(name, ".ffn.up.weight");
        if (up == NULL) continue;
        const size_t bytes = strlen(name) + sizeof ".gate";
        hdl__param *gate = &params[c->n_params++];
        *gate = params[i];
        gate->name = hdl__calloc(1, bytes);
        cr_assert_not_null(gate->name);
        snprintf(gate->name, bytes, "%.*s.ffn.gate.weight", (int)(up - name), name);
    }
    cr_assert_gt(c->n_params, n);
    qsort(params, (size_t)c->n_params, sizeof *params, by_name);
    hdl__free(c->params);
    c->params = params;
}

static void take_hash(int i, const hdl_result *result, void *user) { ((uint64_t *)user)[i] = hash_result(result); }

/* A model, what is changed in it, and what it is asked. */
typedef struct load {
    const char        *path;
    void             (*change)(hdl__checkpoint *);
    hdl_request        requests[N];
    hdl_search_options options[N];
} load;

/* Hashes of the results in int8 with and without maxima; kernels of a step of all rows. */
static uint64_t run_load(const char *device, const load *load, bool noted, int32_t max_rows, uint64_t *hashes)
{
    static hdl_backend table;
    lag_engine l = {0};
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    table = *op_library(device);
    table.row_maxima = noted;
    hdl__plugin_provide(device, &table);
    o.device = device;
    o.compute = HDL_COMPUTE_INT8;
    o.max_positions = 64;
    o.max_beam = 8;
    o.max_rows = max_rows;
    cr_assert_eq(hdl_model_load(load->path, NULL, &l.e.model), HDL_OK, "%s", hdl_error_detail());
    load->change(&l.e.model->checkpoint);
    cr_assert_eq(hdl_translator_open(l.e.model, &o, &l.e.translator), HDL_OK, "%s", hdl_error_detail());
    lag_run_requests(&l, load->requests, N, take_hash, hashes);
    const hdl_recording *step = l.e.translator->lanes[0].recordings[hdl_bucket_index(max_rows)][0];
    cr_assert_not_null(step);
    const uint64_t launches = hdl__recording_launches(step);
    cr_expect_eq(l.e.translator->lanes[0].hidden.maxima != NULL, noted);
    close_engine(&l.e);
    return launches;
}

static void check_load(const char *device, const load *load)
{
    uint64_t plain[N], noted[N];
    for (int32_t rows = FEW; rows <= MANY; rows += MANY - FEW) {
        const uint64_t more = run_load(device, load, false, rows, plain);
        const uint64_t launches = run_load(device, load, true, rows, noted);
        printf("%s, %d rows: %d kernels a step, %d with maxima\n", load->path, rows, (int)more, (int)launches);
        for (int i = 0; i < N; i++) cr_expect_eq(noted[i], plain[i], "request %d of %d rows differs", i, rows);
        /* how many rows are few depends on the multiprocessors, of which the stand-in has 8 */
        cr_expect_leq(launches, more);
        if (rows == MANY && strcmp(device, "simt") == 0) cr_expect_lt(launches, more);
    }
}

/* One of the tiny models, with every kind of request in turn. */
static void check_tiny(const char *device, const char *path, void (*change)(hdl__checkpoint *))
{
    static load load;
    if (!road_have(device)) return;
    load.path = path;
    load.change = change;
    for (int i = 0; i < N; i++) lag_request(i, &load.requests[i], &load.options[i]);
    check_load(device, &load);
}

#define GOLDEN(name) HEDDLE_SOURCE_DIR "/tests/data/goldens/" name

Test(simt_maxima, norms_behind) { check_tiny("simt", GOLDEN("tiny-b"), leave_alone); }
Test(cuda_maxima, norms_behind) { check_tiny("cuda", GOLDEN("tiny-b"), leave_alone); }
Test(simt_maxima, norms_before) { check_tiny("simt", GOLDEN("tiny-c"), put_norms_first); }
Test(cuda_maxima, norms_before) { check_tiny("cuda", GOLDEN("tiny-c"), put_norms_first); }
Test(simt_maxima, gates) { check_tiny("simt", GOLDEN("tiny-d"), add_gates); }
Test(cuda_maxima, gates) { check_tiny("cuda", GOLDEN("tiny-d"), add_gates); }

/* Norms before the layers and one behind them. */
static void check_transliteration(const char *device)
{
    static const char *const names[] = {"\u0622\u062a\u0632\u0645\u0648\u0646", "\u0622\u0646\u064a\u0633\u0629", "\u0645\u062d\u0645\u062f",
                                        "\u0633\u0644\u0627\u0645"};
    enum { NAMES = sizeof names / sizeof names[0] };
    static token_list tokens[N];
    static char bytes[N][256];
    static load load;
    if (!road_have(device)) return;
    load.path = HEDDLE_SOURCE_DIR "/tests/data/ct2/aren-v2";
    load.change = leave_alone;
    for (int i = 0; i < N; i++) {
        load.options[i] = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
        load.options[i].beam = 1 + i / NAMES;
        list_characters(names[i % NAMES], bytes[i], sizeof bytes[0], &tokens[i]);
        load.requests[i] = token_request(&tokens[i]);
        load.requests[i].search = &load.options[i];
    }
    check_load(device, &load);
}

Test(simt_maxima, transliteration) { check_transliteration("simt"); }
Test(cuda_maxima, transliteration) { check_transliteration("cuda"); }

/* Who needs no maxima has no memory for them. */
Test(simt_maxima, none_but_for_int8)
{
    static const hdl_compute computes[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_F16, HDL_COMPUTE_INT8};
    if (!road_have("simt")) return;
    for (int i = 0; i < 4; i++) {
        const lag_device device = road_device(-1, FEW, computes[i]);
        lag_engine l = lag_open("tests/data/goldens/tiny-b", &device);
        const hdl__network *n = l.network;
        const int64_t bytes = (3 * 32 + 3 * 32) * (int64_t)hdl_dtype_bytes(n->act), maxima = (2 + 3 * 3) * (int64_t)sizeof(float);
        cr_expect_eq((int64_t)hdl__hidden_bytes(n, FEW), FEW * (bytes + (computes[i] == HDL_COMPUTE_INT8 ? maxima : 0)));
        cr_expect_eq(l.e.translator->lanes[0].hidden.maxima != NULL, computes[i] == HDL_COMPUTE_INT8);
        lag_close(&l);
    }
}
