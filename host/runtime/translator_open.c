/* translator_open.c - hdl_translator: options, devices, lanes, threads, close. */
#include "base/cores.h"
#include "base/struct_args.h"
#include "runtime/translator_state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_ROWS 128        /* the weights of a layer are read once for this many rows */
#define DEFAULT_SHARED_ROWS 64      /* where every thread is a lane: one tile of a product; more hardly helps, and fills pages */
#define LANE_SHARE 4                /* of a device's memory is what more rows than that may take */
#define DEFAULT_BATCH_TOKENS 4096
#define DEFAULT_MAX_BEAM 16
#define DEFAULT_MAX_POSITIONS 1024
#define DEFAULT_MAX_QUEUE 1024      /* or the rows of all lanes: while they decode, as many sentences gather as they can hold */
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

/* `options` have the size that we know, here and below, or are NULL. */
static hdl_status resolve_options(const hdl_translator_options *options, hdl_translator_options *out)
{
    hdl_status status = HDL_OK;
    const hdl_translator_options defaults = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator_options o = options != NULL ? *options : defaults;
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

/* Of the smallest device; 0: unknown. */
static uint64_t least_memory(const hdl__translator_device *devices, int32_t n)
{
    uint64_t least = 0;
    for (int32_t i = 0; i < n; i++) {
        const uint64_t bytes = devices[i].network->device->info.memory_bytes;
        if (bytes > 0 && (least == 0 || bytes < least)) least = bytes;
    }
    return least;
}

/* The rows of a lane follow from its device, unless they were asked for: fewer than the device likes where its memory is small. */
static hdl_status settle_rows(const hdl__translator_device *devices, int32_t n, bool asked, hdl_translator_options *o,
                              hdl__lane_plan *plan)
{
    hdl_status status = HDL_OK;
    const hdl__network *network = devices[0].network;
    const hdl_device *device = network->device;
    const int32_t usual = hdl__device_lanes_share(device) ? DEFAULT_SHARED_ROWS : hdl__device_usual_rows(device);
    const uint64_t share = least_memory(devices, n) / LANE_SHARE + o->pool_bytes;      /* pages that were asked for are no reason */
    if (!asked && usual > 0) o->max_rows = o->max_beam > usual ? o->max_beam : usual;
    HDL_TRY(hdl__lane_plan_make(network, o, n == 1, plan));
    while (!asked && o->max_rows > DEFAULT_MAX_ROWS && least_memory(devices, n) > 0 && plan->bytes > share) {
        o->max_rows /= 2;
        HDL_TRY(hdl__lane_plan_make(network, o, n == 1, plan));
    }
done:
    return status;
}

static void release_devices(hdl__translator_device *devices, int32_t n)
{
    for (int32_t i = 0; i < n; i++) hdl__network_release(devices[i].network);
    hdl__free(devices);
}

/* The model on every device that is asked for. */
static hdl_status acquire_devices(hdl_model *model, const hdl_translator_options *o, hdl__translator_device **out,
                                  int32_t *n)
{
    hdl_status status = HDL_OK;
    hdl__device_set set;
    hdl__network *networks[HDL_MOST_REPLICAS];
    const hdl_device_options *places = o->device_options;
    static const hdl_device_options defaults = HDL_DEVICE_OPTIONS_INIT;
    hdl_device_options whole;
    hdl__translator_device *devices = NULL;
    if (places != NULL) {
        places = hdl__struct_read("device: options", places, &defaults, &whole, sizeof whole);
        if (places == NULL) return HDL_EINVAL;
    }
    const hdl__network_options wanted = {o->device, places, o->compute, o->max_positions};
    HDL_TRY(hdl__device_set_read(o->device, places, &set));
    devices = hdl__calloc((size_t)set.n, sizeof *devices);
    HDL_CHECK(devices != NULL, HDL_ENOMEM, "no memory for a list of %d devices", set.n);
    HDL_TRY(hdl__network_acquire_all(model, &wanted, &set, networks));
    for (int32_t i = 0; i < set.n; i++) devices[i].network = networks[i];
    *out = devices;
    *n = set.n;
    devices = NULL;
done:
    hdl__free(devices);
    return status;
}

/* Of one device: the CPU has one per thread. */
static int32_t count_lanes(const hdl__network *network, const hdl_translator_options *o)
{
    return hdl__device_lanes_share(network->device) ? o->threads : 1;
}

/* Completes options that resolve_options has checked; `given` are the caller's. Devices of one kind have lanes of one plan. */
static hdl_status acquire(hdl_model *model, const hdl_translator_options *given, hdl_translator_options *o,
                          hdl__translator_device **devices, int32_t *n_devices, hdl__lane_plan *plan)
{
    hdl_status status = HDL_OK;
    hdl__translator_device *made = NULL;
    int32_t n = 0;
    HDL_TRY(acquire_devices(model, o, &made, &n));
    HDL_TRY(settle_rows(made, n, given != NULL && given->max_rows != 0, o, plan));
    const int32_t rows = n * count_lanes(made[0].network, o) * o->max_rows;     /* of greedy search: as many sentences */
    if ((given == NULL || given->max_queue == 0) && o->max_queue < rows) o->max_queue = rows;
    *devices = made;
    *n_devices = n;
    made = NULL;
done:
    if (made != NULL) release_devices(made, n);
    return status;
}

hdl_status hdl_translator_bytes(hdl_model *model, const hdl_translator_options *options, uint64_t *bytes)
{
    hdl_status status = HDL_OK;
    static const hdl_translator_options defaults = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator_options o, whole;
    hdl__lane_plan plan;
    hdl__translator_device *devices = NULL;
    int32_t n = 0;
    HDL_CHECK(model != NULL && bytes != NULL, HDL_EINVAL, "hdl_translator_bytes: an argument is NULL");
    if (options != NULL) {
        options = hdl__struct_read("hdl_translator_options", options, &defaults, &whole, sizeof whole);
        if (options == NULL) return HDL_EINVAL;
    }
    HDL_TRY(resolve_options(options, &o));
    HDL_TRY(acquire(model, options, &o, &devices, &n, &plan));
    *bytes = 0;
    for (int32_t i = 0; i < n; i++)
        *bytes += devices[i].network->bytes + (uint64_t)count_lanes(devices[i].network, &o) * plan.bytes;
done:
    release_devices(devices, n);
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
    (void)hdl__trace_close(t->trace);
    hdl__free(t->lanes);
    hdl__free(t->lane_threads);
    hdl__queue_close(&t->queue);
    release_devices(t->devices, t->n_devices);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->room);
    pthread_cond_destroy(&t->delivery);
    if (t->hub != NULL) hdl__hub_unref(t->hub);
    hdl__free(t);
}

/* Whatever waits is cancelled. */
static void cancel_waiting_locked(hdl_translator *t)
{
    while (t->queue.n > 0) {
        hdl__sentence *s = hdl__queue_pop(&t->queue);
        atomic_store(&s->ticket->cancelled, true);
        hdl__sentence_fail(s, HDL_ECANCELLED, "the translator was closed");
        if (--s->ticket->n_open == 0) hdl__deliver_locked(t, s->ticket);
    }
}

/* Ends the threads; with drain they finish all work first. */
static void stop_threads(hdl_translator *t, bool drain)
{
    pthread_mutex_lock(&t->hub->mutex);
    t->closing = true;
    t->drain = drain;
    if (!drain) cancel_waiting_locked(t);
    const hdl__queue_length length = hdl__queue_length_locked(t);
    hdl__recall_assistants_locked(t, NULL);
    pthread_cond_broadcast(&t->work);
    pthread_cond_broadcast(&t->room);
    while (t->n_inside > 0) pthread_cond_wait(&t->room, &t->hub->mutex);
    pthread_mutex_unlock(&t->hub->mutex);
    hdl__trace_queue(t->trace, length);
    for (int32_t i = 0; i < t->n_started; i++) pthread_join(t->lane_threads[i], NULL);
    pthread_mutex_lock(&t->hub->mutex);
    cancel_waiting_locked(t);       /* a sentence that went back to the queue of a device that then failed */
    t->stop_delivery = true;
    pthread_cond_broadcast(&t->delivery);
    pthread_mutex_unlock(&t->hub->mutex);
    if (t->delivery_started) pthread_join(t->delivery_thread, NULL);
    pthread_mutex_lock(&t->hub->mutex);
    t->hub->translator = NULL;
    pthread_mutex_unlock(&t->hub->mutex);
}

/* Where there are several devices, the line says which one has no memory for its lane. */
static hdl_status open_lane(hdl_translator *t, const hdl__lane_plan *plan, hdl__network *network, hdl__lane *lane)
{
    char name[HDL_DEVICE_NAME_BYTES];
    const hdl_status status = hdl__lane_open(t, network, plan, lane);
    if (status == HDL_OK || t->n_devices == 1) return status;
    hdl__device_name_of(network->device, name);
    return hdl__fail_prefix(status, name);
}

static hdl_status open_lanes(hdl_translator *t, const hdl__lane_plan *plan)
{
    hdl_status status = HDL_OK;
    const int32_t each = count_lanes(t->network, &t->options), n = t->n_devices * each;
    t->lanes = hdl__calloc((size_t)n, sizeof *t->lanes);
    t->lane_threads = hdl__calloc((size_t)n, sizeof *t->lane_threads);
    HDL_CHECK(t->lanes != NULL && t->lane_threads != NULL, HDL_ENOMEM, "no memory for %d lanes", n);
    for (int32_t i = 0; i < n; i++) {
        HDL_TRY(open_lane(t, plan, t->devices[i / each].network, &t->lanes[i]));
        hdl__lane_publish_load(&t->lanes[i], false);
        t->n_lanes++;
    }
    HDL_TRY(hdl__queue_open(t->options.max_queue, n * plan->n_slots, &t->queue));
done:
    return status;
}

static hdl_status open_trace(hdl_translator *t)
{
    hdl_status status = HDL_OK;
    char about[HDL__TRACE_WORDS];
    HDL_TRY(hdl__trace_open(t->options.trace, &t->trace));
    snprintf(about, sizeof about, "%s, compute %s", t->network->device->info.description, hdl__compute_name(t->network->compute));
    hdl__trace_about(t->trace, about);
done:
    return status;
}

hdl_status hdl_translator_open(hdl_model *model, const hdl_translator_options *options, hdl_translator **translator)
{
    hdl_status status = HDL_OK;
    static const hdl_translator_options defaults = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_translator_options whole;
    hdl__lane_plan plan;
    hdl_translator *t = NULL;
    if (model == NULL || translator == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_translator_open: %s is NULL", model == NULL ? "model" : "translator");
    if (options != NULL) {
        options = hdl__struct_read("hdl_translator_options", options, &defaults, &whole, sizeof whole);
        if (options == NULL) return HDL_EINVAL;
    }
    t = hdl__calloc(1, sizeof *t);
    HDL_CHECK(t != NULL, HDL_ENOMEM, "no memory for a translator");
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->room, NULL);
    pthread_cond_init(&t->delivery, NULL);
    t->model = model;
    t->pid = getpid();
    HDL_TRY(resolve_options(options, &t->options));
    HDL_TRY(open_hub(t));
    HDL_TRY(acquire(model, options, &t->options, &t->devices, &t->n_devices, &plan));
    t->network = t->devices[0].network;
    if (t->options.trace != NULL) HDL_TRY(open_trace(t));
    HDL_TRY(open_lanes(t, &plan));
    t->options.device = t->network->device_name;       /* the caller's string may die */
    t->options.device_options = NULL;
    t->options.trace = NULL;
    for (int32_t i = 0; i < t->n_devices; i++)
        t->devices[i].counted_at_open = hdl__counters_read(t->devices[i].network->device->counters);
    HDL_TRY(start_threads(t));
    *translator = t;
    t = NULL;
done:
    if (t != NULL) {
        char why[HDL__DETAIL_BYTES];
        snprintf(why, sizeof why, "%s", hdl_error_detail());
        if (t->delivery_started) stop_threads(t, false);
        free_translator(t);
        (void)hdl__fail(status, "%s", why);
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
    hdl__trace *trace = translator->trace;
    translator->trace = NULL;
    free_translator(translator);
    return hdl__trace_close(trace);
}
