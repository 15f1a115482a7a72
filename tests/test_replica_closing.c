/* test_replica_closing.c - a translator is closed while a sentence goes back to the queue and its device fails. */
#include "device/plugin.h"
#include "engine_life.h"
#include "replica_backend.h"
#include "runtime/translator_state.h"

#include <unistd.h>

enum { DEVICES = 2, PAUSE_US = 1000, WAIT_US = 10000000, STEPS = 64 };

/* Without the call that cancels what is left the last wait would never end: the time limit and WAIT_US stand for that. */
TestSuite(replica_closing, .timeout = 60);

static hdl_backend table;
static hdl_status (*embed_of)(hdl_backend_stream *, const hdl_embed_args *);
static gate encoding = GATE_INIT;
static atomic_bool armed;
static pthread_t encoder;

/* The encoder pass of the sentence that arms it waits at the gate; steps are recorded, and do not come by. */
static hdl_status embed_at_gate(hdl_backend_stream *stream, const hdl_embed_args *args)
{
    if (atomic_exchange(&armed, false)) {
        encoder = pthread_self();
        stand_at(NULL, &encoding);
    }
    return embed_of(stream, args);
}

static hdl_ticket *submit_long(const engine *e)
{
    hdl_request r = simple();
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *ticket = NULL;
    o.beam = 1;
    o.min_length = o.max_length = STEPS;
    r.search = &o;
    cr_assert_eq(hdl_translator_submit(e->translator, &r, &ticket), HDL_OK, "%s", hdl_error_detail());
    return ticket;
}

static void *close_now(void *translator)
{
    cr_expect_eq(hdl_translator_close(translator, 0), HDL_OK, "%s", hdl_error_detail());
    return NULL;
}

static bool both_hold(hdl_translator *t)
{
    pthread_mutex_lock(&t->hub->mutex);
    const bool both = t->lanes[0].held > 0 && t->lanes[1].held > 0;
    pthread_mutex_unlock(&t->hub->mutex);
    return both;
}

/* The other lane has seen that the translator closes, and that it has nothing to do: its thread ends. */
static bool has_left(hdl_translator *t, const hdl__lane *lane)
{
    pthread_mutex_lock(&t->hub->mutex);
    const bool left = t->closing && t->n_idle == 0 && !lane->busy;
    pthread_mutex_unlock(&t->hub->mutex);
    return left;
}

static hdl_status end_of(hdl_ticket *ticket)
{
    const hdl_result *result = NULL;
    cr_assert_eq(hdl_ticket_wait(ticket, WAIT_US, &result), HDL_OK, "a request never ends: %s", hdl_error_detail());
    const hdl_status status = result->status;
    hdl_ticket_release(ticket);
    return status;
}

Test(replica_closing, back_in_the_queue_of_a_lost_device)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    table = *replica_backend(DEVICES);
    embed_of = table.embed;
    table.embed = embed_at_gate;
    hdl__plugin_provide("simt", &table);
    o.device = "simt:all";
    o.max_rows = 32;
    o.max_beam = 8;
    o.compute = HDL_COMPUTE_F32;
    engine e = open_engine("tests/data/goldens/tiny-a", &o);
    hdl_translator *t = e.translator;
    pthread_t closing;

    replica_hold(1);
    hdl_ticket *const both[2] = {submit_long(&e), submit_long(&e)};        /* one on each device */
    for (int waited = 0; !both_hold(t) && waited < WAIT_US; waited += PAUSE_US) usleep(PAUSE_US);
    cr_assert(both_hold(t));
    atomic_store(&armed, true);
    hdl_ticket *const youngest = submit_long(&e);
    replica_hold(0);
    wait_reached(&encoding);
    const int32_t at = pthread_equal(encoder, t->lane_threads[0]) ? 0 : 1;

    cr_assert_eq(pthread_create(&closing, NULL, close_now, t), 0);
    for (int waited = 0; !has_left(t, &t->lanes[1 - at]) && waited < WAIT_US; waited += PAUSE_US) usleep(PAUSE_US);
    cr_assert(has_left(t, &t->lanes[1 - at]));
    t->lanes[at].n_free_pages = 0;      /* so that the youngest gives way to its elder in the coming step, */
    replica_fail(at, 1);                /* which then fails; the lane's thread stands at the gate */
    open_gate(&encoding);
    pthread_join(closing, NULL);

    cr_expect_eq(end_of(youngest), HDL_ECANCELLED);
    int n_lost = 0;
    for (int i = 0; i < 2; i++) n_lost += end_of(both[i]) == HDL_EDEVICE;
    cr_expect_eq(n_lost, 1, "the step did not fail");      /* the other one had ended, or was cancelled */
    hdl_model_close(e.model);
    cr_expect_eq(replica_open_things(), 0);
}
