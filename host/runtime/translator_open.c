/* translator_open.c - hdl_translator: options, lanes, threads, close. */
#include "base/cores.h"
#include "runtime/translator_state.h"

#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_ROWS 128        /* the weights of a layer are read once for this many rows; more hardly helps a CPU */
#define DEFAULT_BATCH_TOKENS 4096
#define DEFAULT_MAX_BEAM 16
#define DEFAULT_MAX_POSITIONS 1024
#define DEFAULT_MAX_QUEUE 1024      /* several times what all rows of a large lane hold */
#define DEFAULT_MAX_DELAY_US 2000
#define MOST_THREADS 256
#define MOST_BATCH_TOKENS (1 << 20)
#define MOST_POSITIONS (1 << 16)
#define MOST_QUEUE (1 << 24)

/* 0 takes the default; others must be in [1, most]. */
static hdl_status resolve_int(const char *name, int32_t *value, int32_t otherwise, int32_t most)
{
    hdl_status status = HDL_OK;
    if (*value == 0) *value = otherwise;
    HDL_CHECK(*value >= 1 && *value <= most, HDL_EINVAL, "%s = %d, allowed 1 to %d", name, *value, most);
done:
    return status;
}

static hdl_status resolve_options(const hdl_translator_options *options, hdl_translator_options *out)
{
    hdl_status status = HDL_OK;
    const hdl_translator_options defaults = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator_options o = options != NULL ? *options : defaults;
    HDL_CHECK(o.struct_bytes >= sizeof defaults, HDL_EINVAL,
              "hdl_translator_options: struct_bytes = %zu, expected %zu; use HDL_TRANSLATOR_OPTIONS_INIT",
              o.struct_bytes, sizeof defaults);
    if (o.device == NULL) o.device = "auto";
    HDL_CHECK(o.compute >= HDL_COMPUTE_AUTO && o.compute <= HDL_COMPUTE_INT8, HDL_EINVAL, "compute = %d, allowed 0 to %d",
              (int)o.compute, (int)HDL_COMPUTE_INT8);
    HDL_TRY(resolve_int("threads", &o.threads, hdl__cores_available() < MOST_THREADS ? hdl__cores_available() : MOST_THREADS,
                        MOST_THREADS));
    HDL_TRY(resolve_int("max_beam", &o.max_beam, DEFAULT_MAX_BEAM, HDL_MAX_BEAM));
    const int32_t rows = o.max_rows == 0 && DEFAULT_MAX_ROWS < o.max_beam ? o.max_beam : DEFAULT_MAX_ROWS;
    HDL_TRY(resolve_int("max_rows", &o.max_rows, rows, HDL__MAX_ROWS));
    HDL_CHECK(o.max_rows >= o.max_beam || options == NULL || options->max_beam == 0, HDL_EINVAL,
              "max_rows = %d is below max_beam = %d", o.max_rows, o.max_beam);
    if (o.max_rows < o.max_beam) o.max_beam = o.max_rows < HDL_MAX_BEAM ? o.max_rows : HDL_MAX_BEAM;
    HDL_TRY(resolve_int("batch_tokens", &o.batch_tokens, DEFAULT_BATCH_TOKENS, MOST_BATCH_TOKENS));
    HDL_TRY(resolve_int("max_positions", &o.max_positions, DEFAULT_MAX_POSITIONS, MOST_POSITIONS));
    HDL_TRY(resolve_int("max_queue", &o.max_queue, DEFAULT_MAX_QUEUE, MOST_QUEUE));
    HDL_TRY(resolve_int("max_delay_us", &o.max_delay_us, DEFAULT_MAX_DELAY_US, INT32_MAX));
    *out = o;
done:
    return status;
}

static hdl_status acquire(hdl_model *model, const hdl_translator_options *o, hdl__network **network,
                          hdl__lane_plan *plan)
{
    hdl_status status = HDL_OK;
    hdl__network *n = NULL;
    const hdl__network_options wanted = {o->device, o->device_options, o->compute, o->max_positions};
    HDL_TRY(hdl__network_acquire(model, &wanted, &n));
    HDL_TRY(hdl__lane_plan_make(n, o, plan));
    *network = n;
    n = NULL;
done:
    hdl__network_release(n);
    return status;
}

static int32_t count_lanes(const hdl__network *network, const hdl_translator_options *o)
{
    return hdl__device_lanes_share(network->device) ? o->threads : 1;
}

hdl_status hdl_translator_bytes(hdl_model *model, const hdl_translator_options *options, uint64_t *bytes)
{
    hdl_status status = HDL_OK;
    hdl_translator_options o;
    hdl__lane_plan plan;
    hdl__network *network = NULL;
    HDL_CHECK(model != NULL && bytes != NULL, HDL_EINVAL, "hdl_translator_bytes: an argument is NULL");
    HDL_TRY(resolve_options(options, &o));
    HDL_TRY(acquire(model, &o, &network, &plan));
    *bytes = network->bytes + (uint64_t)count_lanes(network, &o) * plan.bytes;
done:
    hdl__network_release(network);
    return status;
}

static hdl_status open_hub(hdl_translator *t)
{
    pthread_condattr_t attributes;
    hdl__ticket_hub *hub = hdl__calloc(1, sizeof *hub);
    if (hub == NULL) return hdl__fail(HDL_ENOMEM, "no memory for a translator");
    pthread_mutex_init(&hub->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->finished, &attributes);
    pthread_condattr_destroy(&attributes);
    hub->translator = t;
    hub->pid = t->pid;
    atomic_init(&hub->refs, 1);
    t->hub = hub;
    return HDL_OK;
}

static hdl_status start_threads(hdl_translator *t)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(pthread_create(&t->delivery_thread, NULL, hdl__delivery_main, t) == 0, HDL_ENOMEM,
              "cannot start the delivery thread");
    t->delivery_started = true;
    for (int32_t i = 0; i < t->n_lanes; i++) {
        HDL_CHECK(pthread_create(&t->lane_threads[i], NULL, hdl__lane_main, &t->lanes[i]) == 0, HDL_ENOMEM,
                  "cannot start thread %d of %d", i + 1, t->n_lanes);
        t->n_started++;
    }
done:
    return status;
}

/* Frees everything; threads have ended. */
static void free_translator(hdl_translator *t)
{
    for (int32_t i = 0; t->lanes != NULL && i < t->n_lanes; i++) hdl__lane_close(&t->lanes[i]);
    hdl__free(t->lanes);
    hdl__free(t->lane_threads);
    hdl__queue_close(&t->queue);
    hdl__network_release(t->network);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->room);
    pthread_cond_destroy(&t->delivery);
    if (t->hub != NULL) hdl__hub_unref(t->hub);
    hdl__free(t);
}

/* Ends the threads; with drain they finish all work first. */
static void stop_threads(hdl_translator *t, bool drain)
{
    pthread_mutex_lock(&t->hub->mutex);
    t->closing = true;
    t->drain = drain;
    while (!drain && t->queue.n > 0) {
        hdl__sentence *s = hdl__queue_pop(&t->queue);
        atomic_store(&s->ticket->cancelled, true);
        hdl__sentence_fail(s, HDL_ECANCELLED, "the translator was closed");
        if (--s->ticket->n_open == 0) hdl__deliver_locked(t, s->ticket);
    }
    hdl__recall_assistants_locked(t, NULL);
    pthread_cond_broadcast(&t->work);
    pthread_cond_broadcast(&t->room);
    while (t->n_inside > 0) pthread_cond_wait(&t->room, &t->hub->mutex);
    pthread_mutex_unlock(&t->hub->mutex);
    for (int32_t i = 0; i < t->n_started; i++) pthread_join(t->lane_threads[i], NULL);
    pthread_mutex_lock(&t->hub->mutex);
    t->stop_delivery = true;
    pthread_cond_broadcast(&t->delivery);
    pthread_mutex_unlock(&t->hub->mutex);
    if (t->delivery_started) pthread_join(t->delivery_thread, NULL);
    pthread_mutex_lock(&t->hub->mutex);
    t->hub->translator = NULL;
    pthread_mutex_unlock(&t->hub->mutex);
}

static hdl_status open_lanes(hdl_translator *t, const hdl__lane_plan *plan)
{
    hdl_status status = HDL_OK;
    const int32_t n = count_lanes(t->network, &t->options);
    t->lanes = hdl__calloc((size_t)n, sizeof *t->lanes);
    t->lane_threads = hdl__calloc((size_t)n, sizeof *t->lane_threads);
    HDL_CHECK(t->lanes != NULL && t->lane_threads != NULL, HDL_ENOMEM, "no memory for %d lanes", n);
    for (int32_t i = 0; i < n; i++) {
        HDL_TRY(hdl__lane_open(t, t->network, plan, &t->lanes[i]));
        t->n_lanes++;
    }
    HDL_TRY(hdl__queue_open(t->options.max_queue, n * plan->n_slots, &t->queue));
done:
    return status;
}

hdl_status hdl_translator_open(hdl_model *model, const hdl_translator_options *options, hdl_translator **translator)
{
    hdl_status status = HDL_OK;
    hdl__lane_plan plan;
    hdl_translator *t = NULL;
    if (model == NULL || translator == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_translator_open: %s is NULL", model == NULL ? "model" : "translator");
    t = hdl__calloc(1, sizeof *t);
    HDL_CHECK(t != NULL, HDL_ENOMEM, "no memory for a translator");
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->room, NULL);
    pthread_cond_init(&t->delivery, NULL);
    t->model = model;
    t->pid = getpid();
    HDL_TRY(resolve_options(options, &t->options));
    HDL_TRY(open_hub(t));
    HDL_TRY(acquire(model, &t->options, &t->network, &plan));
    HDL_TRY(open_lanes(t, &plan));
    t->options.device = t->network->device_name;       /* the caller's string may die */
    t->options.device_options = NULL;
    t->counted_at_open = hdl__counters_read(t->network->device->counters);
    HDL_TRY(start_threads(t));
    *translator = t;
    t = NULL;
done:
    if (t != NULL) {
        if (t->delivery_started) stop_threads(t, false);
        free_translator(t);
    }
    return status;
}

hdl_status hdl_translator_close(hdl_translator *translator, int drain)
{
    if (translator == NULL) return HDL_OK;
    if (hdl__on_delivery_thread(translator))
        return hdl__fail(HDL_ESTATE, "hdl_translator_close: a callback may not close its translator");
    const hdl_status status = hdl__check_process(translator->pid, "hdl_translator_close");
    if (status != HDL_OK) return status;
    stop_threads(translator, drain != 0);
    free_translator(translator);
    return HDL_OK;
}

static void add_lane_stats(const hdl__lane *lane, hdl_translator_stats *s)
{
    s->sentences += lane->published.sentences;
    s->source_tokens += lane->published.source_tokens;
    s->steps += lane->published.steps;
    s->rows += lane->published.rows;
    s->encoder_passes += lane->published.encoder_passes;
    s->restarts += lane->published.restarts;
    s->target_tokens += lane->published.target_tokens;
    s->pool_bytes += lane->plan.pool_bytes;
}

/* What the backend was asked for since open; translators that share weights share these numbers. */
static void add_counts(const hdl_translator *t, hdl_translator_stats *s)
{
    const hdl__counts now = hdl__counters_read(t->network->device->counters), *then = &t->counted_at_open;
    s->padded_rows = now.padded_rows - then->padded_rows;
    s->copied_bytes = now.copied_bytes - then->copied_bytes;
    s->allocations = now.op_allocs - then->op_allocs;
}

hdl_status hdl_translator_get_stats(hdl_translator *translator, hdl_translator_stats *stats)
{
    if (translator == NULL || stats == NULL || stats->struct_bytes < sizeof stats->struct_bytes)
        return hdl__fail(HDL_EINVAL, "hdl_translator_get_stats: an argument is NULL or struct_bytes is not set");
    const hdl_status status = hdl__translator_enter(translator, "hdl_translator_get_stats");
    if (status != HDL_OK) return status;
    const size_t room = stats->struct_bytes;
    hdl_translator_stats s = {.struct_bytes = room};
    pthread_mutex_lock(&translator->hub->mutex);
    for (int32_t i = 0; i < translator->n_lanes; i++) add_lane_stats(&translator->lanes[i], &s);
    pthread_mutex_unlock(&translator->hub->mutex);
    add_counts(translator, &s);
    s.weight_bytes = translator->network->bytes;
    s.lanes = translator->n_lanes;
    s.compute = hdl__compute_name(translator->network->compute);
    s.device = translator->network->device->info.description;
    memcpy(stats, &s, room < sizeof s ? room : sizeof s);
    hdl__translator_leave(translator);
    return HDL_OK;
}
