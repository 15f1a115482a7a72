/* lane_loop.c - the thread of a lane: admit, run given tokens, step, until the translator closes. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <stdio.h>
#include <string.h>

/* Whether another device of the translator still works. With the mutex held. */
static bool others_work(const hdl__lane *lane)
{
    const hdl_translator *t = lane->translator;
    for (int32_t i = 0; i < t->n_lanes; i++)
        if (!t->lanes[i].lost && t->lanes[i].network != lane->network) return true;
    return false;
}

/* After a device error the stream is lost: everything seated fails. What waits is for the other devices; the last one fails it too. */
static void lose_device(hdl__lane *lane, hdl_status status)
{
    hdl_translator *t = lane->translator;
    char name[HDL_DEVICE_NAME_BYTES];
    snprintf(lane->lost_line, sizeof lane->lost_line, "%s", hdl_error_detail());
    pthread_mutex_lock(&t->hub->mutex);
    lane->lost = true;
    hdl__lane_publish_load(lane, true);
    const bool go_on = others_work(lane);
    pthread_cond_broadcast(&t->work);       /* what was signalled to this lane is another's now */
    pthread_mutex_unlock(&t->hub->mutex);
    for (int32_t i = 0; i < lane->plan.n_slots; i++)
        if (lane->residents[i].sentence != NULL) hdl__lane_fail(lane, &lane->residents[i], status, lane->lost_line);
    if (t->n_devices == 1) return;          /* every request says it */
    hdl__device_name_of(lane->network->device, name);
    hdl__log(HDL_LOG_WARNING, "%s has failed and takes no more work%s: %s", name, go_on ? "; other devices go on" : "",
             lane->lost_line);
}

/* A lost lane ends while other devices work; the last one stays to fail what comes. */
static bool retires(hdl__lane *lane)
{
    hdl_translator *t = lane->translator;
    if (!lane->lost) return false;
    pthread_mutex_lock(&t->hub->mutex);
    const bool ends = others_work(lane);
    lane->busy = false;
    lane->published = lane->stats;
    hdl__lane_publish_load(lane, true);
    pthread_mutex_unlock(&t->hub->mutex);
    return ends;
}

static void fail_waiting(hdl__lane *lane)
{
    hdl_translator *t = lane->translator;
    for (;;) {
        pthread_mutex_lock(&t->hub->mutex);
        hdl__sentence *s = hdl__queue_pop(&t->queue);
        pthread_cond_broadcast(&t->room);
        const hdl__queue_length length = hdl__queue_length_locked(t);
        pthread_mutex_unlock(&t->hub->mutex);
        if (s == NULL) return;
        hdl__trace_queue(t->trace, length);
        hdl__sentence_fail(s, HDL_EDEVICE, lane->lost_line);
        hdl__sentence_complete(t, s, lane);
    }
}

/* Cancelled and late sentences leave their slots. */
static void drop_unwanted(hdl__lane *lane)
{
    for (int32_t i = 0; i < lane->plan.n_slots && lane->n_residents > 0; i++) {
        hdl__resident *r = &lane->residents[i];
        if (r->sentence == NULL) continue;
        if (lane->abandon)
            hdl__lane_fail(lane, r, HDL_ECANCELLED, "the translator was closed");
        else if (atomic_load(&r->sentence->ticket->cancelled))
            hdl__lane_fail(lane, r, HDL_ECANCELLED, "the request was cancelled");
        else if (r->sentence->deadline_us != 0 && hdl__now_us() > r->sentence->deadline_us)
            hdl__lane_fail(lane, r, HDL_ETIMEOUT, "the request's deadline passed while it was being translated");
    }
}

void hdl__recall_assistants_locked(hdl_translator *translator, const hdl__lane *lane)
{
    for (int32_t i = 0; i < translator->n_lanes; i++) {
        hdl__lane *other = &translator->lanes[i];
        if (other->assisting != NULL && (lane == NULL || other->assisting == lane))
            __atomic_store_n(&other->assist_stop, 1, __ATOMIC_RELEASE);
    }
}

static hdl__lane *find_busy(hdl_translator *t)
{
    for (int32_t i = 0; i < t->n_lanes; i++)
        if (t->lanes[i].busy) return &t->lanes[i];
    return NULL;
}

/* Nothing waits: joins the ops of a lane that works, if the backend offers that, else sleeps. With the mutex held. */
static void pass_time_locked(hdl_translator *t, hdl__lane *lane)
{
    hdl__lane *other = find_busy(t);
    if (other != NULL && hdl__device_table(t->network->device)->stream_assist != NULL) {
        lane->assisting = other;
        __atomic_store_n(&lane->assist_stop, 0, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&t->hub->mutex);
        hdl__range_begin(lane, "assist");
        hdl__stream_assist(other->stream, &lane->assist_stop);
        hdl__range_end(lane, true);
        pthread_mutex_lock(&t->hub->mutex);
        lane->assisting = NULL;
        return;
    }
    t->n_idle++;
    pthread_cond_wait(&t->work, &t->hub->mutex);
    t->n_idle--;
}

/* Waits for work; false: the translator closes and nothing is left to do. */
static bool wait_for_work(hdl__lane *lane)
{
    hdl_translator *t = lane->translator;
    pthread_mutex_lock(&t->hub->mutex);
    lane->published = lane->stats;
    lane->busy = lane->n_residents > 0;
    hdl__lane_publish_load(lane, false);
    if (!lane->busy) hdl__recall_assistants_locked(t, lane);
    while (lane->n_residents == 0 && t->queue.n == 0 && !(t->closing && (!t->drain || t->n_open == 0)))
        pass_time_locked(t, lane);
    lane->abandon = t->closing && !t->drain;
    const bool go_on = lane->n_residents > 0 || t->queue.n > 0;
    pthread_mutex_unlock(&t->hub->mutex);
    return go_on;
}

static hdl_status run_round(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    drop_unwanted(lane);
    HDL_TRY(hdl__lane_admit(lane));
    HDL_TRY(hdl__lane_run_forced(lane));
    HDL_TRY(hdl__lane_run_step(lane));
done:
    return status;
}

void *hdl__lane_main(void *argument)
{
    hdl__lane *lane = argument;
    while (!retires(lane) && wait_for_work(lane)) {
        if (lane->lost) {
            fail_waiting(lane);
            continue;
        }
        const hdl_status status = run_round(lane);
        if (status != HDL_OK) lose_device(lane, status);
    }
    return NULL;
}
