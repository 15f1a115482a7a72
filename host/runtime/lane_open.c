/* lane_open.c - sizes of a lane, its memory; closing it. */
#include "runtime/translator_state.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_POSITIONS_PER_ROW 128   /* pages for rows of this length: four times a long sentence of news */
/* Sentences that are encoded before rows are free, per row: wide passes of the encoder and full steps, for a slot and source pages each. */
#define AHEAD_SHARE 4
#define HISTORY_BYTES_PER_STEP 32       /* tok, logprob, parent, ancestor of a row, with room for alignment of short sources */
#define ARRAY_ALIGN 64u
#define STAGED_SHARE 8          /* as much of the usual history may be on its way to the host at once */
/* Changes to slots that travel with one pass: a sentence's seat takes some hundred words, and an eighth of the rows comes at a time with those
 * that will wait. */
#define WORDS_PER_ROW 64
#define LEAST_WORDS (1 << 14)
#define MOST_WORDS (1 << 18)

static int32_t divide_up(int64_t a, int64_t b) { return (int32_t)((a + b - 1) / b); }

static int32_t longest_source(const hdl__network *n)
{
    return n->encoder.n_positions;
}

/* Pages that one sentence of full length needs: every beam at every position, and the longest source. */
static int64_t pages_of_longest(const hdl__lane_plan *p)
{
    return (int64_t)p->self_stride + p->source_stride;
}

static hdl_kv_pool_desc describe_pool(const hdl__network *n, int32_t n_pages)
{
    hdl_kv_pool_desc d = HDL_KV_POOL_DESC_INIT;
    d.n_pages = n_pages;
    d.n_layers = n->decoder.config.n_layers;
    d.Hkv = n->decoder.config.H;
    d.D = n->decoder.config.E / n->decoder.config.H;
    d.dtype = hdl__device_pool_dtype(n->device, n->compute);
    return d;
}

static hdl_status plan_pages(const hdl__network *n, const hdl_translator_options *o, hdl__lane_plan *p)
{
    hdl_status status = HDL_OK;
    size_t one = 0, total = 0;
    hdl_kv_pool_desc page = describe_pool(n, 1);
    const int64_t needed = pages_of_longest(p) + 1;     /* and the scratch page */
    const int64_t usual = (int64_t)p->max_rows * (DEFAULT_POSITIONS_PER_ROW / HDL_PAGE_ROWS) * 2;
    HDL_TRY(hdl_kv_pool_bytes(n->device, &page, &one));
    int64_t pages = o->pool_bytes > 0 ? (int64_t)(o->pool_bytes / one) : usual > needed ? usual : needed;
    HDL_CHECK(pages >= needed, HDL_EINVAL,
              "pool_bytes = %llu holds %lld pages; one sentence of full length (%d positions, beam %d) needs %lld pages, %llu bytes",
              (unsigned long long)o->pool_bytes, (long long)pages, p->max_positions, p->max_beam, (long long)needed,
              (unsigned long long)((uint64_t)needed * one));
    HDL_CHECK(pages <= INT32_MAX, HDL_EINVAL, "pool_bytes = %llu is above the %d pages that can be numbered",
              (unsigned long long)o->pool_bytes, INT32_MAX);
    p->n_pages = (int32_t)pages;
    hdl_kv_pool_desc all = describe_pool(n, p->n_pages);
    HDL_TRY(hdl_kv_pool_bytes(n->device, &all, &total));
    p->pool_bytes = total;
done:
    return status;
}

static uint64_t history_of_longest(const hdl__lane_plan *p)
{
    /* the widest pool that patience allows is round(K * patience) + K */
    hdl_slot_options o = {.K = p->max_beam, .n_pool = (HDL_MAX_BEAM + 1) * p->max_beam, .T = p->max_positions, .S = p->max_source,
                          .flags = HDL_SLOT_ALIGN};
    return hdl_history_layout_of(&o).bytes;
}

/* Lays arrays out in one block: first pass with base NULL measures, second assigns. */
typedef struct layout { uint8_t *base; size_t used; } layout;

static void *place(layout *l, size_t n, size_t size)
{
    void *at = l->base == NULL ? NULL : l->base + l->used;
    l->used += (n * size + ARRAY_ALIGN - 1) / ARRAY_ALIGN * ARRAY_ALIGN;
    return at;
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* Of rows: where passes stand in line, sentences beyond HDL__PASS_TOKENS go in several. */
static int32_t longest_pass(const hdl__lane_plan *p, bool unified)
{
    const int32_t together = unified && p->batch_tokens > HDL__PASS_TOKENS ? HDL__PASS_TOKENS : p->batch_tokens;
    return larger(larger(together, p->max_source), p->max_rows);
}

static void place_arrays(layout *l, hdl__lane *lane)
{
    const hdl__lane_plan *p = &lane->plan;
    const size_t slots = (size_t)p->n_slots, rows = (size_t)p->max_rows;
    hdl_slots *s = &lane->slots;
    s->options = lane->options = place(l, slots, sizeof(hdl_slot_options));
    s->state = lane->state = place(l, slots, sizeof(hdl_slot_state));
    s->token = place(l, slots * HDL_MAX_BEAM, sizeof(int32_t));
    s->sum = place(l, slots * HDL_MAX_BEAM, sizeof(float));
    s->history_off = place(l, slots, sizeof(uint64_t));
    s->self_pages = lane->self_pages = place(l, slots * (size_t)p->self_stride, sizeof(int32_t));
    s->source_pages = place(l, slots * (size_t)p->source_stride, sizeof(int32_t));
    lane->input = place(l, lane->input_bytes + (size_t)lane->writes.capacity * 2 * sizeof(int32_t), 1);
    lane->encoder_input = place(l, lane->unified ? 0 : lane->input_bytes, 1);
    lane->logprobs = place(l, (size_t)lane->ring.n * rows, sizeof(float));
    lane->edits.entries = place(l, rows * (size_t)p->edit_stride, sizeof(int32_t));
    lane->edits.n = place(l, rows, sizeof(int32_t));
    lane->candidates.id = place(l, rows * HDL_MAX_CANDIDATES, sizeof(int32_t));
    lane->candidates.logprob = place(l, rows * HDL_MAX_CANDIDATES, sizeof(float));
    lane->candidates.n = place(l, rows, sizeof(int32_t));
    s->history = place(l, p->history_bytes, 1);
    s->side = (const int32_t *)(const void *)s->history;
}

/* What the sizes of arrays depend on: the device's memory and lag. */
static void size_passes(const hdl__network *network, hdl__lane *lane)
{
    hdl__pass_inputs widest;
    const int32_t words = lane->plan.max_rows * WORDS_PER_ROW;
    lane->unified = hdl__device_unified(network->device);
    const int32_t pass = longest_pass(&lane->plan, lane->unified);
    lane->lag = hdl__device_lag(network->device);
    lane->ring.n = HDL__PASSES_PER_STEP * (lane->lag + 1);
    hdl__place_inputs(NULL, pass, pass, &widest);
    lane->input_bytes = widest.bytes;
    if (!lane->unified) lane->writes.capacity = words < LEAST_WORDS ? LEAST_WORDS : words < MOST_WORDS ? words : MOST_WORDS;
}

static size_t measure_arrays(const hdl__lane *lane)
{
    hdl__lane copy = *lane;
    layout l = {NULL, 0};
    place_arrays(&l, &copy);
    return l.used;
}

hdl_status hdl__lane_plan_make(const hdl__network *network, const hdl_translator_options *options, bool alone, hdl__lane_plan *out)
{
    hdl_status status = HDL_OK;
    const int32_t n_ahead = alone ? options->max_rows / AHEAD_SHARE : 0;
    hdl__lane_plan p = {
        .max_rows = options->max_rows,
        .n_ahead = n_ahead,
        .n_slots = options->max_rows + n_ahead,
        .batch_tokens = options->batch_tokens,
        .max_beam = options->max_beam,
        .max_positions = network->decoder.n_positions,
        .max_source = longest_source(network),
        .max_delay_us = options->max_delay_us,
        .traced = options->trace != NULL,
    };
    p.self_stride = divide_up((int64_t)p.max_positions * p.max_beam, HDL_PAGE_ROWS);
    p.source_stride = divide_up(p.max_source, HDL_PAGE_ROWS);
    HDL_TRY(plan_pages(network, options, &p));
    const uint64_t usual = (uint64_t)p.max_rows * DEFAULT_POSITIONS_PER_ROW * HISTORY_BYTES_PER_STEP;
    /* side data (prefix, suppressed sequences, allowed words) lies in the history range too: at most a few vocabularies */
    p.history_bytes = 2 * history_of_longest(&p) + usual + 16u * (uint64_t)network->output.N;
    p.edit_stride = 2 * p.max_positions + network->output.N;
    p.staging_bytes = (history_of_longest(&p) + usual / STAGED_SHARE) / HDL__RANGE_UNIT * HDL__RANGE_UNIT;
    hdl__lane lane = {.plan = p};
    size_passes(network, &lane);
    p.bytes = p.pool_bytes + measure_arrays(&lane) + hdl__hidden_bytes(network, longest_pass(&p, lane.unified))
              + (lane.unified ? 0 : hdl__hidden_bytes(network, p.max_rows));
    *out = p;
done:
    return status;
}

/* The largest shapes of one of the lane's streams; V 0: it makes no logits. */
static hdl_status reserve_stream(const hdl__lane *lane, hdl_stream *stream, int32_t rows, int32_t V)
{
    const hdl__network *n = lane->network;
    const hdl__stack_config *e = &n->encoder.config, *d = &n->decoder.config;
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    const int32_t E = e->E > d->E ? e->E : d->E, F = e->F > d->F ? e->F : d->F;
    limits.M = rows;
    limits.K = F > E ? F : E;
    limits.N = 2 * F > 3 * E ? 2 * F : 3 * E;
    limits.V = V;
    limits.Tk = lane->plan.max_positions > lane->plan.max_source ? lane->plan.max_positions : lane->plan.max_source;
    limits.H = e->H > d->H ? e->H : d->H;
    const int32_t De = e->E / e->H, Dd = d->E / d->H;
    limits.D = De > Dd ? De : Dd;
    return hdl_stream_reserve(stream, &limits);
}

/* A device that runs behind the host can encode beside its steps; elsewhere one stream does both. */
static hdl_status open_streams(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl_device *device = lane->network->device;
    const int32_t rows = longest_pass(&lane->plan, lane->unified);
    HDL_TRY(hdl_stream_create(device, &lane->stream));
    HDL_TRY(reserve_stream(lane, lane->stream, rows, lane->network->output.N));
    lane->encoder_stream = lane->stream;
    HDL_TRY(hdl_event_create(device, &lane->encoded));
    HDL_TRY(hdl_event_create(device, &lane->written));
    if (lane->unified) return HDL_OK;
    lane->encoder_stream = NULL;
    HDL_TRY(hdl_stream_create(device, &lane->encoder_stream));
    HDL_TRY(reserve_stream(lane, lane->encoder_stream, rows, 0));
done:
    return status;
}

/* Host tables: seats, residents, pages; where the host cannot touch the device's memory, what it must know of it. */
static hdl_status open_tables(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    const hdl__lane_plan *p = &lane->plan;
    const size_t slots = (size_t)p->n_slots;
    lane->seats = hdl__calloc(slots, sizeof *lane->seats);
    lane->residents = hdl__calloc(slots, sizeof *lane->residents);
    lane->taken = hdl__calloc(slots, sizeof *lane->taken);
    lane->free_pages = hdl__calloc((size_t)p->n_pages, sizeof *lane->free_pages);
    HDL_CHECK(lane->seats != NULL && lane->residents != NULL && lane->taken != NULL && lane->free_pages != NULL, HDL_ENOMEM,
              "no memory for the tables of a lane with %d rows", p->max_rows);
    for (int32_t i = 0; i < p->n_slots; i++) {
        lane->residents[i].source_pages = hdl__calloc((size_t)p->source_stride, sizeof(int32_t));
        HDL_CHECK(lane->residents[i].source_pages != NULL, HDL_ENOMEM, "no memory for page lists");
    }
    /* page 0 is the scratch page of padding rows and ghosts; low numbers are handed out first, so that few are touched */
    for (int32_t page = p->n_pages - 1; page >= 1; page--) lane->free_pages[lane->n_free_pages++] = page;
    HDL_TRY(hdl__range_pool_open(p->history_bytes / HDL__RANGE_UNIT, p->n_slots, &lane->history));
    if (lane->unified) return HDL_OK;
    lane->options = hdl__calloc(slots, sizeof *lane->options);
    lane->state = hdl__calloc(slots, sizeof *lane->state);
    lane->self_pages = hdl__calloc(slots * (size_t)p->self_stride, sizeof *lane->self_pages);
    HDL_CHECK(lane->options != NULL && lane->state != NULL && lane->self_pages != NULL, HDL_ENOMEM,
              "no memory for what the host knows of %d slots", p->n_slots);
done:
    return status;
}

hdl_status hdl__lane_open(hdl_translator *translator, const hdl__network *network, const hdl__lane_plan *plan,
                          hdl__lane *out)
{
    hdl_status status = HDL_OK;
    char why[HDL__DETAIL_BYTES];
    layout l = {NULL, 0};
    hdl__lane *lane = out;
    *lane = (hdl__lane){.translator = translator, .network = network, .plan = *plan};
    lane->slots.n_slots = plan->n_slots;
    lane->slots.V = network->output.N;
    lane->slots.self_stride = plan->self_stride;
    lane->slots.source_stride = plan->source_stride;
    lane->edits.stride = plan->edit_stride;
    size_passes(network, lane);
    HDL_TRY(open_streams(lane));
    HDL_TRY(hdl__hidden_open(network, longest_pass(plan, lane->unified), &lane->source_hidden));
    if (lane->unified) lane->hidden = lane->source_hidden;      /* passes follow each other, and none reads what another has left */
    else HDL_TRY(hdl__hidden_open(network, plan->max_rows, &lane->hidden));
    hdl_kv_pool_desc pages = describe_pool(network, plan->n_pages);
    HDL_TRY(hdl_kv_pool_open(network->device, &pages, &lane->pool));
    lane->block_bytes = measure_arrays(lane);
    HDL_TRY(hdl_device_alloc(network->device, lane->block_bytes, &lane->block));
    l.base = lane->block;
    place_arrays(&l, lane);
    if (!lane->unified) lane->options = NULL, lane->state = NULL, lane->self_pages = NULL;     /* mirrors take their place */
    for (int32_t b = 0; b < HDL_N_BUCKETS; b++) hdl__place_rows(lane->input, hdl__bucket_rows(plan, b), &lane->rows[b]);
    HDL_TRY(open_tables(lane));
    HDL_TRY(hdl__writes_open(lane));
    HDL_TRY(hdl__ring_open(lane));
    if (plan->traced) HDL_TRY(hdl__lane_trace_open(lane, translator->trace));
    HDL_TRY(hdl__lane_record(lane));
done:
    if (status != HDL_OK) {
        snprintf(why, sizeof why, "%s", hdl_error_detail());
        hdl__lane_close(lane);
        (void)hdl__fail(status, "%s", why);
    }
    return status;
}

/* What the host knows of the slots, where that is not their own memory. */
static void free_mirrors(hdl__lane *lane)
{
    if (lane->unified) return;
    hdl__free(lane->options);
    hdl__free(lane->state);
    hdl__free(lane->self_pages);
}

void hdl__lane_close(hdl__lane *lane)
{
    /* Nothing queued may outlive its memory. A lost stream refuses to wait, but what was queued before may still run: closing waits. */
    if (lane->encoder_stream != NULL) (void)hdl_stream_wait(lane->encoder_stream);
    if (lane->stream != NULL) (void)hdl_stream_wait(lane->stream);
    for (int32_t b = 0; b < HDL_N_BUCKETS; b++)
        for (int with = 0; with < 2; with++) hdl_record_close(lane->recordings[b][with]);
    if (lane->encoder_stream != lane->stream) hdl_stream_close(lane->encoder_stream);
    hdl_stream_close(lane->stream);
    hdl__range_pool_close(&lane->history);
    for (int32_t i = 0; lane->residents != NULL && i < lane->plan.n_slots; i++)
        hdl__free(lane->residents[i].source_pages);
    hdl__free(lane->free_pages);
    hdl__free(lane->taken);
    hdl__free(lane->residents);
    hdl__free(lane->seats);
    if (lane->network == NULL) return;
    hdl__lane_trace_close(lane);
    hdl__ring_close(lane);
    hdl__writes_close(lane);
    free_mirrors(lane);
    hdl_device_free(lane->network->device, lane->block, lane->block_bytes);
    hdl_kv_pool_close(lane->network->device, lane->pool);
    hdl__hidden_close(lane->network, &lane->source_hidden);
    if (!lane->unified) hdl__hidden_close(lane->network, &lane->hidden);
    hdl_event_close(lane->written);
    hdl_event_close(lane->encoded);
    *lane = (hdl__lane){0};
}
