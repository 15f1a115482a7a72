/* test_translator.c - the life of requests: tickets, waiting, priorities, deadlines, cancelling, totals. */
#include "engine_life.h"
#include "model/model_state.h"

#include <stdatomic.h>
#include <string.h>

Test(translator, full_queue)
{
    static hdl_ticket *tickets[10000];
    engine e = open_with(4, 8);
    hdl_ticket *extra = NULL;
    const size_t n = fill_up(&e, tickets, 10000);
    cr_assert_lt(n, 10000u, "the queue never filled");
    cr_expect_not_null(strstr(hdl_error_detail(), "allowed 4"), "%s", hdl_error_detail());
    hdl_request r = simple();
    cr_expect_eq(hdl_translator_submit(e.translator, &r, &extra), HDL_OK, "%s", hdl_error_detail());    /* waits for room */
    cr_expect_eq(wait_status(extra), HDL_OK);
    hdl_ticket_release(extra);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(wait_status(tickets[i]), HDL_OK);
        hdl_ticket_release(tickets[i]);
    }
    close_engine(&e);
}

/* A line of more pieces than the queue holds goes in when the queue is empty. */
Test(translator, a_line_longer_than_the_queue)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_queue = 2;
    engine e = open_engine("models/en-de", &o);
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket;
    r.text = "I came. You saw. He went. We stayed. They left.";
    r.n_bytes = strlen(r.text);
    r.split = HDL_SPLIT_SENTENCES;
    const hdl_result *result = run_request(&e, &r, &ticket);
    cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_eq(result->n_pieces, 5u);
    hdl_ticket_release(ticket);
    close_engine(&e);
}

static struct { atomic_int n; hdl_ticket *order[MOST]; } delivered;

static void note_order(hdl_ticket *ticket, void *user)
{
    (void)user;
    delivered.order[atomic_fetch_add(&delivered.n, 1)] = ticket;
}

/* With room for one sentence at a time, larger priorities are done first, equal ones in order of arrival. */
Test(translator, priorities)
{
    static const int32_t priorities[] = {0, 5, -3, 5, 7, 0, -3, 7};
    static const size_t wanted[] = {4, 7, 1, 3, 0, 5, 2, 6};
    engine e = open_with(64, 8);
    const hdl_search_options slow = endless(), wide = {.struct_bytes = sizeof wide, .beam = 8};
    hdl_ticket *first, *tickets[8];
    hdl_request r = simple();
    r.search = &slow;
    r.priority = 100;
    cr_assert_eq(hdl_translator_submit(e.translator, &r, &first), HDL_OK);
    for (size_t i = 0; i < 8; i++) {
        r = simple();
        r.search = &wide;
        r.priority = priorities[i];
        r.on_done = note_order;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK);
    }
    for (size_t i = 0; i < 8; i++) cr_expect_eq(wait_status(tickets[i]), HDL_OK);
    cr_expect_eq(hdl_translator_close(e.translator, 1), HDL_OK);
    for (size_t i = 0; i < 8; i++) cr_expect_eq(delivered.order[i], tickets[wanted[i]], "place %zu", i);
    for (size_t i = 0; i < 8; i++) hdl_ticket_release(tickets[i]);
    hdl_ticket_release(first);
    hdl_model_close(e.model);
}

/* A deadline of one microsecond passes while running or waiting; a huge one never does, and does not wrap round. */
Test(translator, deadlines)
{
    engine e = open_with(10000, 8);
    const hdl_search_options slow = endless();
    static hdl_ticket *tickets[MOST];
    for (size_t i = 0; i < MOST; i++) {
        hdl_request r = simple();
        r.search = &slow;
        r.deadline_us = i % 2 == 0 ? 1 : INT64_MAX;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK);
    }
    for (size_t i = 0; i < MOST; i++) {
        cr_expect_eq(wait_status(tickets[i]), i % 2 == 0 ? HDL_ETIMEOUT : HDL_OK, "ticket %zu", i);
        hdl_ticket_release(tickets[i]);
    }
    /* running: the only one, long, with a deadline in its middle */
    hdl_request r = simple();
    hdl_ticket *running;
    r.search = &slow;
    r.deadline_us = 300;
    cr_assert_eq(hdl_translator_submit(e.translator, &r, &running), HDL_OK);
    const hdl_result *result;
    cr_assert_eq(hdl_ticket_wait(running, -1, &result), HDL_OK);
    if (result->status != HDL_OK) cr_expect_not_null(strstr(result->detail, "deadline"), "%s", result->detail);
    hdl_ticket_release(running);
    close_engine(&e);
}

Test(translator, cancel)
{
    engine e = open_with(10000, 8);
    const hdl_search_options slow = endless();
    static hdl_ticket *tickets[MOST];
    for (size_t i = 0; i < MOST; i++) {
        hdl_request r = simple();
        r.search = &slow;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &tickets[i]), HDL_OK);
    }
    for (size_t i = 0; i < MOST; i++)
        if (i % 3 != 1) hdl_ticket_cancel(tickets[i]);
    for (size_t i = 0; i < MOST; i++) {
        const hdl_status got = wait_status(tickets[i]);
        if (i % 3 == 1) cr_expect_eq(got, HDL_OK);
        else if (i > 8) cr_expect_eq(got, HDL_ECANCELLED, "ticket %zu: %s", i, hdl_status_name(got));   /* the first may have ended */
        hdl_ticket_cancel(tickets[i]);      /* done: nothing happens */
        cr_expect_eq(wait_status(tickets[i]), got);
        hdl_ticket_release(tickets[i]);
    }
    close_engine(&e);
}

Test(translator, release_without_waiting)
{
    engine e = open_with(10000, 8);
    for (int i = 0; i < 200; i++) {
        hdl_request r = simple();
        hdl_ticket *ticket;
        cr_assert_eq(hdl_translator_submit(e.translator, &r, &ticket), HDL_OK);
        hdl_ticket_release(ticket);
    }
    close_engine(&e);
}

Test(translator, poll_and_timeout)
{
    engine e = open_with(16, 8);
    gate g = GATE_INIT;
    hdl_request r = simple();
    hdl_ticket *first, *second;
    const hdl_result *result = NULL;
    r.on_done = stand_at;
    r.user = &g;
    cr_assert_eq(hdl_translator_submit(e.translator, &r, &first), HDL_OK);
    wait_reached(&g);
    r.on_done = NULL;
    cr_assert_eq(hdl_translator_submit(e.translator, &r, &second), HDL_OK);
    cr_expect_eq(hdl_ticket_wait(second, 0, &result), HDL_ETIMEOUT);
    cr_expect_eq(hdl_ticket_wait(second, 2000, &result), HDL_ETIMEOUT);
    cr_expect_null(result);
    cr_expect_eq(hdl_ticket_wait(first, 0, &result), HDL_OK);       /* its callback still runs */
    open_gate(&g);
    cr_expect_eq(hdl_ticket_wait(second, INT64_MAX, NULL), HDL_OK);
    hdl_ticket_release(first);
    hdl_ticket_release(second);
    close_engine(&e);
}

/* hdl_translate: all lines in order; one bad line does not take the others along. */
Test(translator, translate_many_lines)
{
    engine e = open_engine("models/en-de", NULL);
    const char *lines[] = {"Good morning.", "", "I do not know.", "\xff\xfe?", "Good morning."};
    hdl_results *results = NULL;
    cr_assert_eq(hdl_translate(e.translator, lines, 5, NULL, &results), HDL_OK, "%s", hdl_error_detail());
    for (size_t i = 0; i < 5; i++) cr_expect_eq(hdl_results_get(results, i)->n_hypotheses, 1u);
    cr_expect_str_eq(hdl_results_get(results, 0)->hypotheses[0].text, hdl_results_get(results, 4)->hypotheses[0].text);
    cr_expect_str_eq(hdl_results_get(results, 1)->hypotheses[0].text, "");
    cr_expect_gt(strlen(hdl_results_get(results, 0)->hypotheses[0].text), 5u);
    cr_expect_null(hdl_results_get(results, 5));
    hdl_results_free(results);
    cr_expect_eq(hdl_translate(e.translator, NULL, 0, NULL, &results), HDL_OK);
    hdl_results_free(results);
    close_engine(&e);
}

/* Totals: sentences count once, however often they restart. */
Test(translator, stats)
{
    engine e = open_with(16, 8);
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    for (int i = 0; i < 5; i++) {
        hdl_request r = simple();
        hdl_ticket *ticket;
        run_request(&e, &r, &ticket);
        hdl_ticket_release(ticket);
    }
    cr_assert_eq(hdl_translator_get_stats(e.translator, &s), HDL_OK);
    cr_expect_eq(s.sentences, 5u);
    cr_expect_eq(s.source_tokens, 15u);
    cr_expect_gt(s.target_tokens, 4u);
    cr_expect_gt(s.steps, 4u);
    cr_expect_geq(s.rows, s.steps);
    cr_expect_gt(s.pool_bytes, 0u);
    cr_expect_gt(s.weight_bytes, 0u);
    cr_expect_eq(s.lanes, 1);
    cr_expect(strcmp(s.compute, "f32") == 0 || strcmp(s.compute, "bf16") == 0, "%s", s.compute);   /* auto */
    cr_expect_not_null(s.device);
    struct { hdl_translator_stats known; char guard[8]; } small = {.known = {.struct_bytes = 16}, .guard = "kept"};
    small.known.source_tokens = 77;
    cr_expect_eq(hdl_translator_get_stats(e.translator, &small.known), HDL_OK);
    cr_expect_eq(small.known.sentences, 5u);
    cr_expect_eq(small.known.source_tokens, 77u);
    close_engine(&e);
}

/* Translators share packed weights when device and compute type are the same, however they were named. */
Test(translator, weights_are_shared)
{
    engine e = open_with(16, 8);
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator *t[2];
    uint64_t bytes = 0;
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    const void *only = e.model->networks;
    o.device = "cpu";
    o.threads = 1;
    cr_assert_eq(hdl_translator_open(e.model, &o, &t[0]), HDL_OK);
    cr_assert_eq(hdl_translator_get_stats(t[0], &s), HDL_OK);
    o.compute = strcmp(s.compute, "bf16") == 0 ? HDL_COMPUTE_BF16 : HDL_COMPUTE_F32;    /* what auto has chosen */
    cr_assert_eq(hdl_translator_open(e.model, &o, &t[1]), HDL_OK);
    cr_expect_eq(e.model->networks, only);
    cr_assert_eq(hdl_translator_bytes(e.model, NULL, &bytes), HDL_OK);
    cr_expect_gt(bytes, 0u);
    o.compute = HDL_COMPUTE_INT8;
    cr_assert_eq(hdl_translator_bytes(e.model, &o, &bytes), HDL_OK);
    cr_expect_eq(e.model->networks, only);      /* asked for and given back */
    cr_expect_eq(e.model->users, 3);
    hdl_model_close(e.model);       /* still used: it stays */
    for (int i = 0; i < 2; i++) cr_expect_eq(hdl_translator_close(t[i], 0), HDL_OK);
    hdl_request r = simple();
    hdl_ticket *ticket;
    cr_expect_eq(run_request(&e, &r, &ticket)->status, HDL_OK);
    hdl_ticket_release(ticket);
    close_engine(&e);
}
