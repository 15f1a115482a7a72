/* lane_step.c - one decode step: pages, row list, inputs, replay; and its recording. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <stdio.h>
#include <string.h>

/* The decode step of a bucket, queued or recorded: embed, layers, logits, search. */
static hdl_status queue_step(hdl__lane *lane, int32_t bucket, bool with_alignment)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = lane->network;
    const int32_t R = hdl__bucket_rows(&lane->plan, bucket);
    const hdl_rows *rows = &lane->rows[bucket].view;
    const hdl__decode_place place = {&lane->slots, rows, lane->pool, R};
    hdl_logit_edits_args edits = HDL_LOGIT_EDITS_ARGS_INIT;
    hdl_logit_reduce_args reduce = HDL_LOGIT_REDUCE_ARGS_INIT;
    hdl_beam_step_args step = HDL_BEAM_STEP_ARGS_INIT;
    HDL_TRY(hdl__decode(lane->stream, n, &place, NULL, with_alignment, &lane->hidden, NULL));
    edits.slots = reduce.slots = step.slots = &lane->slots;
    edits.rows = reduce.rows = step.rows = rows;
    edits.R = reduce.R = step.R = R;
    edits.edits = reduce.edits = lane->edits;
    reduce.x = lane->hidden.x;
    reduce.w = n->output.w;
    reduce.bias = n->output.bias;
    reduce.out = step.in = lane->candidates;
    reduce.V = n->output.N;
    reduce.E = n->output.K;
    reduce.act_dtype = n->act;
    HDL_TRY(hdl_logit_edits(lane->stream, &edits));
    HDL_TRY(hdl_logit_reduce(lane->stream, &reduce));
    HDL_TRY(hdl_beam_step(lane->stream, &step));
done:
    return status;
}

static hdl_status record_bucket(hdl__lane *lane, int32_t bucket, bool with_alignment)
{
    hdl_status status = HDL_OK;
    HDL_TRY(queue_step(lane, bucket, with_alignment));      /* once for real, on no rows: everything lazy happens now */
    HDL_TRY(hdl_stream_wait(lane->stream));
    HDL_TRY(hdl_record_begin(lane->stream));
    status = hdl__trace_record_begin(lane);
    if (status == HDL_OK) status = queue_step(lane, bucket, with_alignment);
    hdl_recording *recording = NULL;
    char why[HDL__DETAIL_BYTES];
    snprintf(why, sizeof why, "%s", hdl_error_detail());
    const hdl_status ended = hdl_record_end(lane->stream, &recording);
    hdl__trace_record_end(lane);
    lane->recordings[bucket][with_alignment] = recording;
    status = status == HDL_OK ? ended : hdl__fail(status, "%s", why);
done:
    return status;
}

hdl_status hdl__lane_record(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    const int32_t last = hdl_bucket_index(lane->plan.max_rows);
    for (int32_t bucket = 0; bucket <= last && bucket < HDL_N_BUCKETS; bucket++) {
        HDL_TRY(record_bucket(lane, bucket, false));
        HDL_TRY(record_bucket(lane, bucket, true));
    }
done:
    return status;
}

/* The resident that was admitted last. */
static hdl__resident *find_youngest(hdl__lane *lane)
{
    hdl__resident *youngest = NULL;
    for (int32_t i = 0; i < lane->plan.n_slots; i++) {
        hdl__resident *r = &lane->residents[i];
        if (r->sentence != NULL && (youngest == NULL || r->admitted > youngest->admitted)) youngest = r;
    }
    return youngest;
}

/* Back to the head of the queue (it keeps its arrival number); results do not depend on it, since bits do not depend on company. */
static void restart(hdl__lane *lane, hdl__resident *r)
{
    hdl_translator *t = lane->translator;
    hdl__sentence *s = r->sentence;
    hdl__lane_evict(lane, r);
    if (s->phase == HDL__PHASE_CONTINUE) {
        s->phase = HDL__PHASE_ALTERNATIVES;
        s->n_children = 1;
    }
    s->next_child = 0;
    s->n_done = 0;
    s->n_outcomes = 0;
    lane->stats.restarts++;
    hdl__trace_moment(lane, "restart");
    pthread_mutex_lock(&t->hub->mutex);
    hdl__queue_push(&t->queue, s);
    pthread_cond_signal(&t->work);
    const hdl__queue_length length = hdl__queue_length_locked(t);
    pthread_mutex_unlock(&t->hub->mutex);
    hdl__trace_queue(t->trace, length);
}

/* Seat of the resident's child with the highest number: the one that starts again when its siblings need the pages. */
static int32_t find_last_child(const hdl__lane *lane, const hdl__resident *r)
{
    int32_t last = -1;
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++)
        if (lane->seats[slot].resident == r && (last < 0 || lane->seats[slot].child > lane->seats[last].child))
            last = slot;
    return last;
}

/* The pool is dry: the youngest sentence restarts; of one that stands alone with several children, only the last child. */
static void make_room(hdl__lane *lane)
{
    hdl__resident *youngest = find_youngest(lane);
    lane->dry = true;
    if (youngest->n_live > 1 && lane->n_residents == 1)
        hdl__lane_unseat(lane, find_last_child(lane, youngest));
    else
        restart(lane, youngest);
}

/* Pages that come back when what is queued has ended are taken before anybody restarts. */
static void find_pages(hdl__lane *lane)
{
    const hdl_status status = hdl__lane_drain(lane);
    if (status != HDL_OK) hdl__lane_note_trouble(lane, status);
    else if (lane->n_free_pages == 0) make_room(lane);
}

bool hdl__lane_cover(hdl__lane *lane, int32_t slot, int32_t positions)
{
    hdl__seat *seat = &lane->seats[slot];
    const int64_t key_rows = (int64_t)positions * lane->options[slot].K;
    const int32_t needed = (int32_t)((key_rows + HDL_PAGE_ROWS - 1) / HDL_PAGE_ROWS);
    int32_t *pages = lane->self_pages + (size_t)slot * (size_t)lane->plan.self_stride;
    while (seat->n_self_pages < needed) {
        if (lane->n_free_pages == 0) {
            find_pages(lane);
            if (seat->resident == NULL || seat->parting != HDL__STAYS || lane->trouble != HDL_OK) return false;
            continue;
        }
        int32_t *page = &pages[seat->n_self_pages];
        *page = lane->free_pages[--lane->n_free_pages];
        const hdl_status status = hdl__lane_write(lane, &lane->slots.self_pages[page - lane->self_pages], page, sizeof *page);
        if (status != HDL_OK) hdl__lane_note_trouble(lane, status);
        seat->n_self_pages++;
    }
    return lane->trouble == HDL_OK;
}

/* Whether a slot stands in the next step: not while it waits for rows or given tokens are due, nor when all its positions are queued. */
static bool steps(const hdl__lane *lane, int32_t slot)
{
    const hdl__seat *seat = &lane->seats[slot];
    return seat->resident != NULL && seat->parting == HDL__STAYS && seat->forced == 0 && !seat->waits
           && seat->pos < lane->options[slot].max_length;
}

void hdl__lane_take_pages(hdl__lane *lane)
{
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++)
        if (steps(lane, slot)) hdl__lane_cover(lane, slot, lane->seats[slot].pos + 1);
}

/*
 * Rows that a slot brings to the step: one while its prefix is forced and at the first free step, its live beams then; all beams when the
 * host is behind and cannot know how many live.
 */
static int32_t rows_of(const hdl__lane *lane, int32_t slot)
{
    if (lane->lag == 0) return lane->state[slot].n_live;
    const hdl_slot_options *o = &lane->options[slot];
    const int32_t first_free = o->prefix_bias == 0.0f ? o->n_prefix : 0;
    return lane->seats[slot].pos <= first_free ? 1 : o->K;
}

static int32_t count_rows(const hdl__lane *lane)
{
    int32_t count = 0;
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++)
        if (steps(lane, slot)) count += rows_of(lane, slot);
    return count;
}

/* Row list of the step and its parts; `n_slots` ends after the highest slot. */
static void list_rows(hdl__lane *lane, hdl__pass *pass, const hdl__row_arrays *rows, int32_t *n_slots, bool *with_alignment)
{
    int32_t count = 0, groups = 0;
    *with_alignment = false;
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++) {
        if (!steps(lane, slot)) continue;
        hdl__seat *seat = &lane->seats[slot];
        const int32_t n = rows_of(lane, slot);
        pass->parts[groups] = (hdl__part){slot, count, seat->pos, n};
        rows->group[groups++] = count;
        if ((lane->options[slot].flags & HDL_SLOT_ALIGN) != 0) *with_alignment = true;
        for (int32_t beam = 0; beam < n; beam++, count++) {
            rows->slot[count] = slot;
            rows->beam[count] = beam;
            rows->pos[count] = seat->pos;
        }
        *n_slots = slot + 1;
    }
    rows->group[groups] = count;
    *rows->n_groups = groups;
    *rows->count = count;
    *rows->place = (int32_t)(pass - lane->ring.passes);
    pass->n_parts = groups;
}

/* The rows stand in a queued step: their slots are one position further, and belong to it until it has ended. */
static void advance(hdl__lane *lane, const hdl__pass *pass)
{
    for (int32_t i = 0; i < pass->n_parts; i++) {
        hdl__seat *seat = &lane->seats[pass->parts[i].slot];
        seat->pos++;
        seat->last_pass = seat->resident->last_pass = lane->ring.queued;
    }
}

static hdl_status queue_pass(hdl__lane *lane, bool *queued)
{
    hdl_status status = HDL_OK;
    hdl__pass *pass = NULL;
    hdl__row_arrays rows;
    bool with_alignment;
    int32_t n_slots = 0;
    *queued = false;
    HDL_TRY(hdl__lane_begin_pass(lane, HDL__PASS_STEP, &pass));
    const int32_t count = count_rows(lane), bucket = hdl_bucket_index(count);
    if (count == 0) return HDL_OK;
    const size_t bytes = hdl__place_rows(pass->input, hdl__bucket_rows(&lane->plan, bucket), &rows);
    list_rows(lane, pass, &rows, &n_slots, &with_alignment);
    hdl_recording *recording = lane->recordings[bucket][with_alignment];
    const uint64_t replayed = hdl__recording_launches(recording), scatters = replayed > 0 && lane->writes.n > 0;
    HDL_TRY(hdl__lane_send(lane, pass, bytes));
    hdl__trace_sizes(lane, pass, count, hdl__bucket_rows(&lane->plan, bucket), pass->n_parts);
    HDL_TRY(hdl_record_replay(lane->stream, recording));
    HDL_TRY(hdl__section_replay(lane, pass, recording));
    if (!lane->unified)
        HDL_TRY(hdl_stream_download(lane->stream, pass->state, lane->slots.state, (size_t)n_slots * sizeof *pass->state));
    HDL_TRY(hdl__lane_end_pass(lane, pass));
    advance(lane, pass);
    lane->stats.steps++;
    lane->stats.rows += (uint64_t)count;
    lane->stats.launches += replayed + scatters;
    *queued = true;
done:
    return status;
}

hdl_status hdl__lane_run_step(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    bool queued = false;
    hdl__range_begin(lane, "step");
    hdl__lane_take_pages(lane);
    status = queue_pass(lane, &queued);
    hdl__range_end(lane, queued);
    HDL_TRY(status);
    if (queued) {
        HDL_TRY(hdl__lane_catch_up(lane));
    } else if (lane->ring.queued > lane->ring.seen || lane->n_parting > 0) {    /* nothing to do but to wait for what is queued */
        if (lane->ring.queued == lane->ring.seen) HDL_TRY(hdl__lane_mark(lane));
        HDL_TRY(hdl__lane_see_oldest(lane));
    }
done:
    return status;
}
