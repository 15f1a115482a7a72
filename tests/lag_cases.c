/* lag_cases.c - requests of every kind and an engine on a device with a lag of one's choice. */
#include "lag_cases.h"

#include "device/device_state.h"
#include "model/network.h"
#include "result_hash.h"

#include <stdio.h>

#define WAIT_US 1800000000  /* what has not ended after half an hour hangs: the stand-in is slow, and slower on a busy machine */
#define POSITIONS 1024      /* the translator's default: its network must be the one whose lag was set */

static const char *const words[] = {"w1", "w2", "w3", "w4", "w6", "w7", "w8", "w9", "w11", "w12", "w13", "w14"};

static const char *trace_path;

void lag_trace_to(const char *path) { trace_path = path; }

static hdl_products wanted_products;
static const char *products_dir;

void lag_take_products(hdl_products products, const char *library_dir)
{
    wanted_products = products;
    products_dir = library_dir;
}

lag_engine lag_open(const char *path, const lag_device *device)
{
    lag_engine l = {0};
    char full[1024];
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    const hdl__network_options wanted = {device->name, &places, device->compute, POSITIONS};
    snprintf(full, sizeof full, "%s/%s", HEDDLE_SOURCE_DIR, path);
    places.library_dir = products_dir != NULL ? products_dir : device->library_dir;
    places.products = wanted_products;
    cr_assert_eq(hdl_model_load(full, NULL, &l.e.model), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__network_acquire(l.e.model, &wanted, &l.network), HDL_OK, "%s", hdl_error_detail());
    if (device->lag >= 0) hdl__device_set_lag(l.network->device, device->lag);
    o.device = device->name;
    o.device_options = &places;     /* the network's, so that it is shared */
    o.threads = 1;
    o.compute = device->compute;
    o.max_positions = POSITIONS;
    o.max_beam = 8;
    o.max_rows = device->max_rows;
    o.pool_bytes = device->pool_bytes;
    o.trace = trace_path;
    cr_assert_eq(hdl_translator_open(l.e.model, &o, &l.e.translator), HDL_OK, "%s", hdl_error_detail());
    return l;
}

void lag_close(lag_engine *l)
{
    hdl__network_release(l->network);
    close_engine(&l->e);
}

static void choose_kind(int kind, hdl_request *r, hdl_search_options *o)
{
    static const char *const ends[] = {"w21", "w8"}, *const suppress[] = {"w35", "w26 w18", "w1 w2 w3"};
    r->n_target_tokens = 0;
    switch (kind) {
    case 0: o->beam = 1; break;
    case 1: o->beam = o->n_best = 4; break;
    case 2: o->beam = 8; o->length_penalty = 0.6f; o->length_norm = HDL_LENGTH_GNMT; break;
    case 3: o->sample = 1; o->n_best = 3; o->top_p = 0.9f; o->beam = 1; break;
    case 4: o->sample = 1; o->n_best = 2; o->top_k = 5; o->temperature = 0.7f; o->beam = 1; break;
    case 5: o->alignment = 1; o->coverage_penalty = 0.3f; break;
    case 6: o->alternatives = 1; o->n_best = 5; o->beam = 2; break;
    case 7: o->repetition_penalty = 1.3f; o->no_repeat_ngram = 2; o->stop = HDL_STOP_BOUND; break;
    case 8: o->stop = HDL_STOP_ALL; o->repetition_penalty = 1.1f; o->beam = 6; break;
    case 9: o->prefix_bias = 0.4f; o->beam = 3; r->n_target_tokens = 5; break;
    case 10: r->n_target_tokens = 3; break;                                 /* forced step by step */
    case 11: r->n_target_tokens = 10; o->beam = 5; o->alignment = 1; break; /* as one pass */
    case 12: r->n_target_tokens = 12; o->alternatives = 1; o->n_best = 4; break;
    case 13: r->kind = HDL_REQUEST_SCORE; r->n_target_tokens = 12; break;
    case 14: r->kind = HDL_REQUEST_SCORE; r->n_target_tokens = 7; o->alignment = 1; break;
    case 15: o->end_tokens = ends; o->n_end_tokens = 2; o->patience = 1.5f; break;
    case 16: o->suppress = suppress; o->n_suppress = 3; o->no_unknown = 1; break;
    case 17: o->min_length = 30; o->no_repeat_ngram = 3; break;
    case 18: o->length_penalty = HDL_OFF; o->n_best = 2; o->beam = 2; break;
    default: o->max_length = 12; r->n_target_tokens = 12; break;            /* a prefix as long as allowed */
    }
}

void lag_request(int i, hdl_request *r, hdl_search_options *o)
{
    *r = (hdl_request)HDL_REQUEST_INIT;
    *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
    r->tokens = words + i % 3;
    r->n_tokens = 1 + (size_t)(i * 7) % 10;
    r->target_tokens = words;
    r->search = o;
    r->wait = 1;
    r->line = (uint64_t)i;
    o->max_length = 20 + i % 44;
    o->seed = 5;
    choose_kind(i % LAG_KINDS, r, o);
}

void lag_run_requests(const lag_engine *l, const hdl_request *requests, int n, lag_take take, void *user)
{
    hdl_ticket *tickets[LAG_CASES];
    cr_assert(n <= LAG_CASES);
    for (int i = 0; i < n; i++)
        cr_assert_eq(hdl_translator_submit(l->e.translator, &requests[i], &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < n; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], WAIT_US, &result), HDL_OK, "request %d does not end", i);
        cr_assert_eq(result->status, HDL_OK, "request %d: %s", i, result->detail);
        take(i, result, user);
        hdl_ticket_release(tickets[i]);
    }
}

static void take_hash(int i, const hdl_result *result, void *user) { ((uint64_t *)user)[i] = hash_result(result); }

void lag_run(const lag_engine *l, int n, uint64_t *hashes)
{
    static hdl_request requests[LAG_CASES];
    static hdl_search_options options[LAG_CASES];
    for (int i = 0; i < n; i++) lag_request(i, &requests[i], &options[i]);
    lag_run_requests(l, requests, n, take_hash, hashes);
}
