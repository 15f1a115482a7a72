/* lane_admit.c - taking sentences from the queue, encoding them together, writing their source pages. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <string.h>

#define FREE_SHARE 8    /* encoding waits until an eighth of the rows is free */

static int32_t source_pages_of(const hdl__sentence *s) { return (s->S + HDL_PAGE_ROWS - 1) / HDL_PAGE_ROWS; }

/* Rows of the first child; the others wait for room of their own. */
static int32_t rows_of_first(const hdl__lane *lane, const hdl__sentence *s)
{
    if (s->phase == HDL__PHASE_SCORE) return 1;
    return s->phase == HDL__PHASE_ALTERNATIVES ? hdl__alternatives_beam(s->search, lane->plan.max_beam) : s->search->slot.K;
}

/* Whether this is the moment to encode: with the mutex held. */
static bool should_encode(const hdl__lane *lane, const hdl__queue *queue)
{
    const int32_t free_rows = lane->plan.max_rows - lane->rows_reserved;
    const hdl__sentence *first = hdl__queue_peek(queue);
    const hdl__sentence *waiting = hdl__lane_first_waiting(lane);
    if (hdl__lane_is_short(lane) || (waiting != NULL && (first == NULL || first->priority <= waiting->priority))) return false;
    if (first == NULL || free_rows < rows_of_first(lane, first)) return false;
    if (lane->n_seated == 0 || free_rows * FREE_SHARE >= lane->plan.max_rows) return true;
    if (queue->n * rows_of_first(lane, first) <= free_rows) return true;     /* all of the queue fits: nothing to wait for */
    return hdl__now_us() - first->queued_us >= lane->plan.max_delay_us;
}

static hdl__resident *find_free_resident(hdl__lane *lane)
{
    int32_t i = 0;
    while (i < lane->plan.n_slots && (lane->residents[i].sentence != NULL || lane->residents[i].leaving)) i++;
    return i < lane->plan.n_slots ? &lane->residents[i] : NULL;
}

hdl_status hdl__lane_settle(hdl__lane *lane, hdl__sentence *s, hdl__resident **out)
{
    hdl_status status = HDL_OK;
    const int32_t pages = source_pages_of(s);
    hdl__resident *r = find_free_resident(lane);
    bool settled = false;
    *out = NULL;
    if (r == NULL || pages > lane->n_free_pages) return HDL_OK;
    r->sentence = s;
    r->n_live = 0;
    r->n_source_pages = pages;
    r->admitted = lane->admissions++;
    r->last_pass = 0;
    for (int32_t i = 0; i < pages; i++) r->source_pages[i] = lane->free_pages[--lane->n_free_pages];
    lane->n_residents++;
    status = hdl__lane_seat_first(lane, r, &settled);
    if (settled)
        *out = r;
    else
        hdl__lane_evict(lane, r);
    return status;
}

/* Takes sentences from the queue into residents; their order of settling is noted in `taken`. */
static hdl_status take_sentences(hdl__lane *lane, hdl__resident **taken, int32_t *n_taken)
{
    hdl_status status = HDL_OK;
    hdl_translator *t = lane->translator;
    int64_t tokens = 0;
    *n_taken = 0;
    pthread_mutex_lock(&t->hub->mutex);
    const int32_t waiting = t->queue.n;
    if (t->n_urgent > 0) hdl__queue_sweep_locked(t);
    hdl__lane_give_rows(lane, hdl__queue_peek(&t->queue));
    int32_t share = should_encode(lane, &t->queue) ? hdl__lane_share(lane, rows_of_first(lane, hdl__queue_peek(&t->queue))) : 0;
    bool full = false;
    if (lane->dry && share > 1) share = 1;      /* its pages are taken step by step: one, then see */
    while (share-- > 0 && status == HDL_OK) {
        hdl__sentence *s = hdl__queue_peek(&t->queue);
        hdl__resident *resident;
        if (s == NULL || (tokens > 0 && tokens + s->S > lane->plan.batch_tokens)) break;
        status = hdl__lane_settle(lane, s, &resident);
        full = resident == NULL;
        if (full) break;
        hdl__queue_pop(&t->queue);
        if (s->ticket->times.admitted == 0) s->ticket->times.admitted = hdl__trace_now(t->trace);
        taken[(*n_taken)++] = resident;
        tokens += s->S;
    }
    hdl__lane_publish_load(lane, full);
    if (t->n_devices > 1 && t->n_idle > 0 && t->queue.n > 0) pthread_cond_signal(&t->work);   /* it is left for one that sleeps */
    if (*n_taken > 0) {
        pthread_cond_broadcast(&t->room);
        lane->busy = true;
        if (t->n_idle > 0 && t->queue.n == 0) pthread_cond_broadcast(&t->work);    /* idle lanes may join in */
    }
    const hdl__queue_length length = hdl__queue_length_locked(t);
    pthread_mutex_unlock(&t->hub->mutex);
    if (length.n != waiting) hdl__trace_queue(t->trace, length);
    return status;
}

static int32_t count_tokens(hdl__resident *const *taken, int32_t n)
{
    int32_t M = 0;
    for (int32_t i = 0; i < n; i++) M += taken[i]->sentence->S;
    return M;
}

/* Packs the sources end to end and names the slot and position of each row. */
static void pack_sources(hdl__resident *const *taken, int32_t n, const hdl__pass_inputs *in)
{
    const hdl__row_arrays *rows = &in->rows;
    int32_t M = 0;
    for (int32_t i = 0; i < n; i++) {
        const hdl__sentence *s = taken[i]->sentence;
        in->cu[i] = rows->group[i] = M;
        for (int32_t j = 0; j < s->S; j++, M++) {
            in->ids[M] = s->source[j];
            in->ids_pos[M] = j;
            rows->slot[M] = taken[i]->home;
            rows->beam[M] = 0;
            rows->pos[M] = j;
        }
    }
    in->cu[n] = rows->group[n] = M;
    *rows->n_groups = n;
    *rows->count = M;
}

/* The encoder, beside steps that run: it knows no slots. Its hidden rows are free once the pass before it has been written to pages. */
static hdl_status queue_encoder(hdl__lane *lane, const hdl__pass *pass, size_t bytes, const hdl__source_batch *batch)
{
    hdl_status status = HDL_OK;
    hdl_stream *stream = lane->encoder_stream;
    HDL_TRY(hdl_event_wait(lane->written, stream));
    if (!lane->unified) HDL_TRY(hdl_stream_upload(stream, lane->encoder_input, pass->input, bytes));
    HDL_TRY(hdl__section_begin(lane, pass, HDL__SECTION_ENCODER));
    HDL_TRY(hdl__encode(stream, lane->network, batch, &lane->source_hidden, lane->encoder_probe));
    HDL_TRY(hdl__section_end(lane, pass, HDL__SECTION_ENCODER));
    HDL_TRY(hdl_event_record(lane->encoded, stream));
done:
    return status;
}

/* Keys and values of the encoded rows to the slots' source pages, between two steps. */
static hdl_status queue_source(hdl__lane *lane, const hdl__pass *pass, size_t bytes, const hdl__decode_place *place)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl_event_wait(lane->encoded, lane->stream));
    if (!lane->unified) HDL_TRY(hdl__writes_send(lane, pass->input + bytes, 0));
    HDL_TRY(hdl__section_begin(lane, pass, HDL__SECTION_LANE));
    HDL_TRY(hdl__write_source(lane->stream, lane->network, place, &lane->source_hidden));
    HDL_TRY(hdl__section_end(lane, pass, HDL__SECTION_LANE));
    HDL_TRY(hdl_event_record(lane->written, lane->stream));
done:
    return status;
}

/* One pass. */
static hdl_status encode_together(hdl__lane *lane, hdl__resident *const *taken, int32_t n)
{
    hdl_status status = HDL_OK;
    const int32_t M = count_tokens(taken, n);
    hdl__pass *pass = NULL;
    hdl__pass_inputs in, device;
    if (M == 0) return HDL_OK;
    HDL_TRY(hdl__lane_begin_pass(lane, HDL__PASS_ENCODE, &pass));
    hdl__place_inputs(pass->input, M, n, &in);
    hdl__place_inputs(lane->unified ? pass->input : lane->encoder_input, M, n, &device);
    pack_sources(taken, n, &in);
    hdl__trace_sizes(lane, pass, M, M, n);
    const hdl__source_batch batch = {device.ids, device.ids_pos, device.cu, M, n};
    const hdl__decode_place place = {&lane->slots, &device.rows.view, lane->pool, M};
    HDL_TRY(queue_encoder(lane, pass, in.bytes, &batch));
    HDL_TRY(queue_source(lane, pass, in.bytes, &place));
    HDL_TRY(hdl__lane_end_pass(lane, pass));
    for (int32_t i = 0; i < n; i++)
        lane->seats[taken[i]->home].last_pass = taken[i]->last_pass = lane->ring.queued;
    HDL_TRY(hdl__lane_catch_up(lane));
    lane->stats.encoder_passes++;
    lane->stats.source_tokens += (uint64_t)M;
done:
    return status;
}

hdl_status hdl__lane_encode(hdl__lane *lane, hdl__resident *const *taken, int32_t n)
{
    hdl_status status = HDL_OK;
    for (int32_t first = 0, end = 0; first < n; first = end) {
        int32_t M = 0;
        while (end < n && (end == first || !lane->unified || M + taken[end]->sentence->S <= HDL__PASS_TOKENS))
            M += taken[end++]->sentence->S;
        hdl__range_begin(lane, "encode");
        status = encode_together(lane, taken + first, end - first);
        hdl__range_end(lane, true);
        HDL_TRY(status);
    }
done:
    return status;
}

hdl_status hdl__lane_admit(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    int32_t n = 0;
    hdl__range_begin(lane, "admit");
    status = hdl__lane_seat_children(lane);
    if (status == HDL_OK) status = take_sentences(lane, lane->taken, &n);
    hdl__range_end(lane, n > 0);
    HDL_TRY(status);
    if (n > 0) HDL_TRY(hdl__lane_encode(lane, lane->taken, n));
done:
    return status;
}
