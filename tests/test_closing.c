/* test_closing.c - callbacks, closing with work left, fork, options of the translator, numbers that are not finite. */
#include "engine_life.h"
#include "result_hash.h"
#include "tiny_memory.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- callbacks ---- */

typedef struct chain { engine e; atomic_int left; hdl_status closed, waited, translated, polled; hdl_ticket *last; gate done; } chain;

static void go_on(hdl_ticket *ticket, void *user)
{
    chain *c = user;
    if (atomic_fetch_sub(&c->left, 1) > 1) {
        hdl_request r = simple();
        hdl_ticket *dropped;
        hdl_results *results = NULL;
        const char *line = "w1";
        r.on_done = go_on;
        r.user = c;
        cr_assert_eq(hdl_translator_submit(c->e.translator, &r, &c->last), HDL_OK, "%s", hdl_error_detail());
        c->waited = hdl_ticket_wait(c->last, -1, NULL);
        c->polled = hdl_ticket_wait(c->last, 0, NULL);
        r.on_done = NULL;
        cr_assert_eq(hdl_translator_submit(c->e.translator, &r, &dropped), HDL_OK);
        hdl_ticket_cancel(dropped);
        hdl_ticket_release(dropped);
        c->closed = hdl_translator_close(c->e.translator, 1);
        c->translated = hdl_translate(c->e.translator, &line, 1, NULL, &results);
    } else {
        c->done.open = true;
        stand_at(ticket, &c->done);
    }
    hdl_ticket_release(ticket);
}

Test(closing, callbacks_may_submit_and_cancel_but_not_wait_or_close)
{
    static chain c = {.left = 20, .done = GATE_INIT};
    hdl_ticket *first;
    c.e = open_with(16, 8);
    hdl_request r = simple();
    r.on_done = go_on;
    r.user = &c;
    cr_assert_eq(hdl_translator_submit(c.e.translator, &r, &first), HDL_OK);
    wait_reached(&c.done);
    cr_expect_eq(c.closed, HDL_ESTATE);
    cr_expect_eq(c.waited, HDL_ESTATE);
    cr_expect_eq(c.translated, HDL_ESTATE);
    cr_expect_eq(c.polled, HDL_ETIMEOUT);
    close_engine(&c.e);
}

/* ---- closing ---- */

static void close_with(int drain)
{
    static hdl_ticket *tickets[MOST];
    engine e = open_with(1000, 8);
    const hdl_search_options slow = endless();
    for (size_t i = 0; i < MOST; i++) {
        hdl_request r = simple();
        r.search = &slow;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK);
    }
    cr_expect_eq(hdl_translator_close(e.translator, drain), HDL_OK);
    hdl_model_close(e.model);       /* tickets outlive translator and model */
    size_t n_cancelled = 0;
    for (size_t i = 0; i < MOST; i++) {
        const hdl_result *result;
        cr_assert_eq(hdl_ticket_wait(tickets[i], 0, &result), HDL_OK);
        n_cancelled += result->status == HDL_ECANCELLED;
        cr_expect(result->status == HDL_OK || result->status == HDL_ECANCELLED, "%s", result->detail);
        for (size_t j = 0; j < result->n_hypotheses; j++)
            for (size_t k = 0; k < result->hypotheses[j].n_tokens; k++) cr_expect_geq(strlen(result->hypotheses[j].tokens[k]), 2u);
        for (size_t j = 0; j < result->n_source_tokens; j++) cr_expect_str_eq(result->source_tokens[j], words[j]);
        hdl_ticket_cancel(tickets[i]);
        hdl_ticket_release(tickets[i]);
    }
    if (drain) cr_expect_eq(n_cancelled, 0u);
    else cr_expect_gt(n_cancelled, 0u);
}

Test(closing, close_with_drain) { close_with(1); }
Test(closing, close_without_drain) { close_with(0); }

static hdl_status blocked_status;
static atomic_int blocked_left;

static void *submit_blocked(void *translator)
{
    hdl_request r = simple();
    hdl_ticket *ticket = NULL;
    blocked_status = hdl_translator_submit(translator, &r, &ticket);
    atomic_fetch_add(&blocked_left, 1);
    hdl_ticket_release(ticket);
    return NULL;
}

/* A thread that waits for room when the translator closes gets HDL_ESTATE, and close waits until it has left. */
Test(closing, close_while_submit_waits)
{
    for (int round = 0; round < 20; round++) {
        static hdl_ticket *tickets[1000];
        engine e = open_with(1, 8);
        pthread_t thread;
        const size_t n = fill_up(&e, tickets, 1000);
        atomic_store(&blocked_left, 0);
        pthread_create(&thread, NULL, submit_blocked, e.translator);
        wait_inside(e.translator, 1, &blocked_left);
        cr_expect_eq(hdl_translator_close(e.translator, round % 2), HDL_OK);
        pthread_join(thread, NULL);
        cr_expect(blocked_status == HDL_ESTATE || blocked_status == HDL_OK, "%s", hdl_status_name(blocked_status));
        for (size_t i = 0; i < n; i++) hdl_ticket_release(tickets[i]);
        hdl_model_close(e.model);
    }
}

/* ---- fork ---- */

Test(closing, fork)
{
    engine e = open_with(16, 8);
    hdl_request r = simple();
    hdl_ticket *ticket;
    cr_assert_eq(hdl_translator_submit(e.translator, &r, &ticket), HDL_OK);
    cr_expect_eq(wait_status(ticket), HDL_OK);
    const pid_t child = fork();
    if (child == 0) {
        hdl_ticket *other = NULL;
        hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
        hdl_map map = {0};
        const int32_t id = 2;
        int bad = hdl_translator_submit(e.translator, &r, &other) != HDL_ESTATE;
        bad |= (hdl_translator_check(e.translator, NULL) != HDL_ESTATE) << 1;
        bad |= (hdl_translator_get_stats(e.translator, &stats) != HDL_ESTATE) << 2;
        bad |= (hdl_ticket_wait(ticket, -1, NULL) != HDL_ESTATE) << 3;
        bad |= (hdl_translator_map(e.translator, &id, 1, &id, 1, HDL_MAP_CROSS, 0, 0, &map) != HDL_ESTATE) << 4;
        bad |= (hdl_translator_close(e.translator, 0) != HDL_ESTATE) << 5;
        hdl_ticket_cancel(ticket);
        hdl_ticket_release(ticket);
        _exit(bad);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's findings: %x", WEXITSTATUS(status));
    hdl_ticket_release(ticket);
    close_engine(&e);
}

/* ---- options of the translator ---- */

Test(closing, options_out_of_range)
{
    static const struct { size_t at; int32_t value; const char *words; } cases[] = {
        {offsetof(hdl_translator_options, struct_bytes), 4, "struct_bytes = 4"},
        {offsetof(hdl_translator_options, compute), 9, "compute = 9"},
        {offsetof(hdl_translator_options, threads), -1, "threads = -1"},
        {offsetof(hdl_translator_options, threads), 257, "threads = 257, allowed 1 to 256"},
        {offsetof(hdl_translator_options, max_rows), 4097, "max_rows = 4097"},
        {offsetof(hdl_translator_options, batch_tokens), -5, "batch_tokens = -5"},
        {offsetof(hdl_translator_options, max_beam), 65, "max_beam = 65"},
        {offsetof(hdl_translator_options, max_positions), 70000, "max_positions = 70000"},
        {offsetof(hdl_translator_options, max_queue), -1, "max_queue = -1"},
        {offsetof(hdl_translator_options, max_delay_us), -1, "max_delay_us = -1"},
    };
    engine e = open_with(16, 8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
        hdl_translator *t = NULL;
        uint64_t bytes = 0;
        memcpy((char *)&o + cases[i].at, &cases[i].value, sizeof cases[i].value);
        cr_expect_eq(hdl_translator_open(e.model, &o, &t), HDL_EINVAL);
        cr_expect_not_null(strstr(hdl_error_detail(), cases[i].words), "%s", hdl_error_detail());
        cr_expect_null(t);
        cr_expect_eq(hdl_translator_bytes(e.model, &o, &bytes), HDL_EINVAL);
    }
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator *t = NULL;
    o.device = "nonsense";
    cr_expect_eq(hdl_translator_open(e.model, &o, &t), HDL_EINVAL);
    o.device = "cpu";
    o.max_rows = 4;
    o.max_beam = 8;
    cr_expect_eq(hdl_translator_open(e.model, &o, &t), HDL_EINVAL);
    cr_expect_not_null(strstr(hdl_error_detail(), "max_rows = 4 is below max_beam = 8"), "%s", hdl_error_detail());
    close_engine(&e);
}

/* ---- numbers that are not finite ---- */

/* Weights that are finite, but whose products overflow when word w5 is read. Its logit is never the largest, or always. */
static hdl_model *load_spoiled(tiny_memory *memory, float w5_bias)
{
    size_t n;
    hdl_model *model = NULL;
    cr_assert(tiny_read("tiny-a", memory));
    float *shared = tiny_tensor(memory, "model.shared.weight", &n), *bias = tiny_tensor(memory, "final_logits_bias", &n);
    cr_assert(shared != NULL && bias != NULL);
    for (int i = 0; i < 16; i++) shared[7 * 16 + i] = 1e36f;
    bias[7] = w5_bias;
    cr_assert_eq(hdl_model_load_memory(memory->files, TINY_FILES, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    return model;
}

Test(closing, a_bad_number_fails_its_sentence_and_no_other)
{
    static const char *const good[] = {"w1", "w2"}, *const bad[] = {"w1", "w5", "w2"};
    tiny_memory memory;
    hdl_model *model = load_spoiled(&memory, -3e38f);
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator *t;
    hdl_ticket *tickets[MOST];
    o.device = "cpu";
    o.threads = 1;
    cr_assert_eq(hdl_translator_open(model, &o, &t), HDL_OK, "%s", hdl_error_detail());
    uint64_t hash = 0;
    for (int round = 0; round < 2; round++) {      /* alone first, then all together */
        for (size_t i = 0; i < MOST; i++) {
            hdl_request r = HDL_REQUEST_INIT;
            hdl_search_options s = HDL_SEARCH_OPTIONS_INIT;
            const bool spoiled = round == 1 && i % 4 != 0;
            s.sample = spoiled && i % 4 == 1;
            s.alternatives = spoiled && i % 4 == 2;
            s.n_best = s.sample || s.alternatives ? 3 : 1;
            r.search = &s;
            r.tokens = spoiled ? bad : good;
            r.n_tokens = spoiled ? 3 : 2;
            r.kind = spoiled && i % 8 == 7 ? HDL_REQUEST_SCORE : HDL_REQUEST_TRANSLATE;
            r.target_tokens = good;
            r.n_target_tokens = r.kind == HDL_REQUEST_SCORE ? 2 : 0;
            cr_assert_eq(hdl_translator_submit(t, &r, &tickets[i]), HDL_OK);
            if (round == 0) break;
        }
        for (size_t i = 0; i < (round == 0 ? 1 : MOST); i++) {
            const hdl_result *result;
            cr_assert_eq(hdl_ticket_wait(tickets[i], -1, &result), HDL_OK);
            if (i % 4 == 0) {
                cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
                if (round == 0) hash = hash_result(result);
                cr_expect_eq(hash_result(result), hash);
            } else {
                cr_expect_eq(result->status, HDL_ENUMERIC, "ticket %zu: %s", i, hdl_status_name(result->status));
                cr_expect_not_null(strstr(result->detail, "not finite"), "%s", result->detail);
            }
            hdl_ticket_release(tickets[i]);
        }
    }
    cr_expect_eq(hdl_translator_close(t, 1), HDL_OK);
    hdl_model_close(model);
    tiny_free(&memory);
}


/* Three alternatives, each followed by the bad word: they fail in one and the same step. */
Test(closing, siblings_fail_in_one_step)
{
    static const char *const source[] = {"w1", "w2"}, *const suppress[] = {"w1 w5"};
    tiny_memory memory;
    hdl_model *model = load_spoiled(&memory, 2e38f);
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_search_options s = HDL_SEARCH_OPTIONS_INIT;
    engine e = {.model = model};
    hdl_ticket *ticket;
    o.device = "cpu";
    o.threads = 1;
    cr_assert_eq(hdl_translator_open(model, &o, &e.translator), HDL_OK, "%s", hdl_error_detail());
    s.alternatives = s.beam = 1;
    s.n_best = 3;
    s.suppress = suppress;
    s.n_suppress = 1;
    hdl_request r = HDL_REQUEST_INIT;
    r.tokens = source;
    r.n_tokens = 2;
    r.target_tokens = source;
    r.n_target_tokens = 1;
    r.search = &s;
    for (int i = 0; i < 3; i++) {
        const hdl_result *result = run_request(&e, &r, &ticket);
        cr_expect_eq(result->status, HDL_ENUMERIC, "%s", hdl_status_name(result->status));
        hdl_ticket_release(ticket);
    }
    cr_expect_eq(hdl_translator_close(e.translator, 1), HDL_OK);
    hdl_model_close(model);
    tiny_free(&memory);
}
