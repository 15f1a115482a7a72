/*
 * test_paging.c - a page pool that holds one full sentence: sentences restart, results do not change; too small a pool is refused. A pool that
 * lasts: sentences are encoded before rows are free for them, which holds up no urgent one.
 */
#include "engine_fixture.h"
#include "result_hash.h"

#include <stdlib.h>
#include <string.h>

enum { N = 48 };

static hdl_translator_options small_options(uint64_t pool_bytes)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_beam = 8;
    o.max_rows = 64;
    o.pool_bytes = pool_bytes;
    return o;
}

/* The smallest pool, in bytes, as the refusal says it. */
static uint64_t smallest_pool(hdl_model *model)
{
    hdl_translator_options o = small_options(1);
    hdl_translator *t = NULL;
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_EINVAL);
    const char *found = strstr(hdl_error_detail(), "pool_bytes = 1 holds 0 pages"), *needs = strstr(hdl_error_detail(), "needs ");
    cr_assert(found != NULL && needs != NULL, "%s", hdl_error_detail());
    const char *bytes = strstr(needs, "pages, ");
    cr_assert_not_null(bytes, "%s", hdl_error_detail());
    return strtoull(bytes + strlen("pages, "), NULL, 10);
}

typedef struct batch { hdl_request requests[N]; hdl_search_options options[N]; hdl_ticket *tickets[N]; uint64_t hashes[N]; } batch;

static const char *const words[] = {"w1", "w2", "w3", "w4", "w6", "w7", "w8", "w9", "w11", "w12", "w13", "w14"};

/* mode 0: all kinds of searches; 1: alternatives and samples with many children; 2: scores and long prefixes. */
static void fill(batch *b, int mode)
{
    for (int32_t i = 0; i < N; i++) {
        hdl_request *r = &b->requests[i];
        hdl_search_options *o = &b->options[i];
        *r = (hdl_request)HDL_REQUEST_INIT;
        *o = (hdl_search_options)HDL_SEARCH_OPTIONS_INIT;
        r->tokens = words;
        r->n_tokens = 1 + (size_t)i % 12;
        r->search = o;
        r->wait = 1;
        o->min_length = 16 + i;
        o->max_length = 64;
        o->beam = mode == 0 ? 1 + i % 8 : 1;
        o->seed = 5;
        if (mode == 1) {
            o->n_best = 8;
            o->sample = i % 2;
            o->alternatives = !o->sample;
            if (o->alternatives) o->beam = 1 + i % 4;
        }
        if (mode != 2) continue;
        r->target_tokens = words;
        r->n_target_tokens = 12;
        r->kind = i % 2 ? HDL_REQUEST_SCORE : HDL_REQUEST_TRANSLATE;
        o->beam = 1 + i % 5;
    }
}

static void run(hdl_model *model, batch *b, uint64_t pool_bytes, hdl_translator_stats *stats)
{
    const hdl_translator_options o = small_options(pool_bytes);
    hdl_translator *t;
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < N; i++) cr_assert_eq(hdl_translator_submit(t, &b->requests[i], &b->tickets[i]), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < N; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(b->tickets[i], 60000000, &result), HDL_OK, "request %d does not end", i);
        cr_assert_eq(result->status, HDL_OK, "%s", result->detail);
        b->hashes[i] = hash_result(result);
        hdl_ticket_release(b->tickets[i]);
    }
    cr_assert_eq(hdl_translator_get_stats(t, stats), HDL_OK);
    cr_assert_eq(hdl_translator_close(t, 1), HDL_OK);
}

static void check_mode(int mode, bool restarts)
{
    static batch large, small;
    hdl_translator_stats easy = HDL_TRANSLATOR_STATS_INIT, hard = HDL_TRANSLATOR_STATS_INIT;
    hdl_model *model;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK, "%s", hdl_error_detail());
    fill(&large, mode);
    fill(&small, mode);
    const uint64_t least = smallest_pool(model);
    run(model, &large, 0, &easy);
    run(model, &small, least, &hard);
    cr_expect_eq(easy.restarts, 0u);
    if (restarts) cr_expect_gt(hard.restarts, 0u);
    /* no thrashing: what has restarted waits until something has left, so each gets through after a few tries */
    cr_expect_lt(hard.restarts, 12u * N, "%d restarts", (int)hard.restarts);
    cr_expect_lt(hard.encoder_passes, 12u * N, "%d encoder passes", (int)hard.encoder_passes);
    cr_expect_eq(hard.sentences, (uint64_t)N);
    for (int i = 0; i < N; i++) cr_expect_eq(large.hashes[i], small.hashes[i], "mode %d: request %d differs", mode, i);
    hdl_model_close(model);
}

Test(paging, searches) { check_mode(0, true); }
Test(paging, many_children) { check_mode(1, true); }
Test(paging, scores_and_long_prefixes) { check_mode(2, true); }

/* One byte below what is needed is refused; exactly that opens. */
Test(paging, smallest)
{
    hdl_model *model;
    hdl_translator *t = NULL;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK, "%s", hdl_error_detail());
    const uint64_t least = smallest_pool(model);
    hdl_translator_options o = small_options(least - 1);
    cr_expect_eq(hdl_translator_open(model, &o, &t), HDL_EINVAL);
    o.pool_bytes = least;
    cr_expect_eq(hdl_translator_open(model, &o, &t), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(hdl_translator_close(t, 0), HDL_OK);
    o.pool_bytes = UINT64_MAX;
    cr_expect_neq(hdl_translator_open(model, &o, &t), HDL_OK);
    cr_expect_gt(strlen(hdl_error_detail()), 10u);
    hdl_model_close(model);
}

/*
 * Sentences that end one after the other, behind some that take all rows until the queue is full. The first of them come 64 at a time, with 16
 * that wait for rows; whenever none waits any more, at least one row is free and 16 more come.
 */
Test(paging, encodes_ahead)
{
    enum { BLOCKERS = 4, QUEUED = 160, ROWS = 64, AHEAD = ROWS / 4, MOST = BLOCKERS + 1 + (QUEUED - ROWS - AHEAD + AHEAD) / (AHEAD + 1) };
    static hdl_ticket *tickets[BLOCKERS + QUEUED];
    hdl_translator_options o = small_options(0);
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    hdl_model *model;
    hdl_translator *t;
    o.max_beam = o.max_rows = ROWS;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < BLOCKERS + QUEUED; i++) {
        hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
        hdl_request request = HDL_REQUEST_INIT;
        request.tokens = words;
        request.n_tokens = 4;
        request.search = &search;
        request.wait = 1;
        search.beam = i < BLOCKERS ? ROWS : 1;
        search.min_length = search.max_length = i < BLOCKERS ? 60 : 1 + i % 40;
        cr_assert_eq(hdl_translator_submit(t, &request, &tickets[i]), HDL_OK, "%s", hdl_error_detail());
    }
    for (int i = 0; i < BLOCKERS + QUEUED; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], 60000000, &result), HDL_OK, "request %d does not end", i);
        cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
        hdl_ticket_release(tickets[i]);
    }
    cr_assert_eq(hdl_translator_get_stats(t, &stats), HDL_OK);
    cr_expect_leq(stats.encoder_passes, (uint64_t)MOST, "%d encoder passes, %d at most", (int)stats.encoder_passes, MOST);
    cr_expect_eq(hdl_translator_close(t, 1), HDL_OK);
    hdl_model_close(model);
}

typedef struct urgent_case { hdl_translator *t; hdl_ticket *tickets[4]; int n_done, order[4]; } urgent_case;
typedef struct urgent_part { urgent_case *c; int which; } urgent_part;

enum { URGENT = 3, ALL_ROWS = 64 };

static void submit_part(urgent_case *c, int which);

/* When the first has ended, the second gets its rows, the third is encoded and waits; the urgent one comes then. */
static void note_done(hdl_ticket *ticket, void *user)
{
    (void)ticket;
    urgent_case *c = ((const urgent_part *)user)->c;
    c->order[c->n_done++] = ((const urgent_part *)user)->which;
    if (c->n_done == 1) submit_part(c, URGENT);
}

static void submit_part(urgent_case *c, int which)
{
    static urgent_part parts[4];
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    hdl_request request = HDL_REQUEST_INIT;
    parts[which] = (urgent_part){c, which};
    request.tokens = words;
    request.n_tokens = 4;
    request.search = &search;
    request.on_done = note_done;
    request.user = &parts[which];
    request.priority = which == URGENT;
    search.beam = which == URGENT ? 1 : ALL_ROWS;
    search.min_length = search.max_length = which == URGENT ? 2 : 60;
    cr_assert_eq(hdl_translator_submit(c->t, &request, &c->tickets[which]), HDL_OK, "%s", hdl_error_detail());
}

Test(paging, urgent_before_encoded)
{
    static urgent_case c;
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    hdl_translator_options o = small_options(0);
    hdl_model *model;
    const hdl_result *result;
    o.max_beam = o.max_rows = ALL_ROWS;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_translator_open(model, &o, &c.t), HDL_OK, "%s", hdl_error_detail());
    submit_part(&c, 0);
    while (stats.encoder_passes == 0) cr_assert_eq(hdl_translator_get_stats(c.t, &stats), HDL_OK);    /* it is on its way, alone */
    for (int i = 1; i < URGENT; i++) submit_part(&c, i);
    cr_assert_eq(hdl_ticket_wait(c.tickets[URGENT - 1], 60000000, &result), HDL_OK);
    cr_expect_eq(hdl_translator_close(c.t, 1), HDL_OK);
    for (int i = 0; i < 4; i++) hdl_ticket_release(c.tickets[i]);
    cr_assert_eq(c.n_done, 4);
    cr_expect_eq(c.order[3], URGENT - 1, "the one that waited, encoded, ended before the urgent one");
    hdl_model_close(model);
}
