/* engine_life.c - what the tests of the runtime share. */
#include "engine_life.h"
#include "runtime/translator_state.h"

#include <unistd.h>

const char *const words[8] = {"w1", "w2", "w3", "w4", "w6", "w7", "w8", "w9"};
hdl_request simple(void)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.tokens = words;
    r.n_tokens = 3;
    r.wait = 1;
    return r;
}

hdl_search_options endless(void)
{
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    o.min_length = o.max_length = 64;
    o.beam = 8;
    o.alternatives = 1;
    o.n_best = 8;
    return o;
}

engine open_with(int32_t max_queue, int32_t max_rows)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.max_queue = max_queue;
    o.max_rows = max_rows;
    o.max_beam = 8;
    return open_engine("tests/data/goldens/tiny-a", &o);
}

hdl_status wait_status(hdl_ticket *ticket)
{
    const hdl_result *result = NULL;
    cr_assert_eq(hdl_ticket_wait(ticket, -1, &result), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(result->status == HDL_OK, result->detail[0] == '\0');
    cr_expect_eq(result->status == HDL_OK, result->n_hypotheses > 0);
    return result->status;
}

void stand_at(hdl_ticket *ticket, void *user)
{
    gate *g = user;
    (void)ticket;
    pthread_mutex_lock(&g->mutex);
    g->reached = true;
    pthread_cond_broadcast(&g->moved);
    while (!g->open) pthread_cond_wait(&g->moved, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

void wait_reached(gate *g)
{
    pthread_mutex_lock(&g->mutex);
    while (!g->reached) pthread_cond_wait(&g->moved, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

void open_gate(gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->open = true;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->mutex);
}

size_t fill_up(const engine *e, hdl_ticket **tickets, size_t most)
{
    const hdl_search_options o = endless();
    size_t n = 0;
    for (hdl_status status = HDL_OK; n < most && status == HDL_OK;) {
        hdl_request r = simple();
        r.search = &o;
        r.wait = 0;
        status = hdl_translator_submit(e->translator, &r, &tickets[n]);
        if (status == HDL_OK) n++;
        else cr_assert_eq(status, HDL_EAGAIN, "%s", hdl_error_detail());
    }
    return n;
}

void wait_inside(hdl_translator *translator, int n, const atomic_int *left)
{
    for (int seen = 0; seen < n; usleep(100)) {
        pthread_mutex_lock(&translator->hub->mutex);
        seen = translator->n_inside + atomic_load(left);
        pthread_mutex_unlock(&translator->hub->mutex);
    }
}
