/*
 * lane_part.c - slots and sentences on their way out.
 *
 * The host is behind: a slot that has ended may stand in passes that are queued already, as a ghost that ops leave alone. Its pages, its
 * history and its place return only when the last pass that knows it, and the copy of its history, have ended.
 */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

static void give_source_pages(hdl__lane *lane, hdl__resident *r)
{
    for (int32_t i = r->n_source_pages - 1; i >= 0; i--) lane->free_pages[lane->n_free_pages++] = r->source_pages[i];
    r->n_source_pages = 0;
}

static void give_seat(hdl__lane *lane, int32_t slot)
{
    hdl__seat *seat = &lane->seats[slot];
    const int32_t *pages = lane->self_pages + (size_t)slot * (size_t)lane->plan.self_stride;
    for (int32_t i = seat->n_self_pages - 1; i >= 0; i--) lane->free_pages[lane->n_free_pages++] = pages[i];
    hdl__range_give(&lane->history, seat->history_begin, seat->history_bytes);
    if (seat->staged_bytes > 0) hdl__range_give(&lane->staging_ranges, seat->staged_begin, seat->staged_bytes);
    if (lane->writes.n > 0) lane->writes.again = true;
    *seat = (hdl__seat){0};
}

/* Takes the slot from its resident; what it holds is given back now, or when its last pass has ended. */
static void clear_seat(hdl__lane *lane, int32_t slot)
{
    hdl__seat *seat = &lane->seats[slot];
    hdl__resident *r = seat->resident;
    if (seat->waits) {
        lane->n_waiting--;
        lane->rows_waited -= lane->options[slot].K;
    } else {
        lane->rows_reserved -= lane->options[slot].K;
    }
    lane->n_seated--;
    r->n_live--;
    if (seat->last_pass > r->last_pass) r->last_pass = seat->last_pass;
    seat->resident = NULL;
    const bool parting = seat->parting != HDL__STAYS;
    if (seat->last_pass <= lane->ring.seen) {
        lane->n_parting -= parting;
        give_seat(lane, slot);
        return;
    }
    lane->n_parting += !parting;
    seat->parting = HDL__LEAVING;
}

static void free_resident(hdl__lane *lane, hdl__resident *r)
{
    r->n_redo = 0;
    r->sentence = NULL;
    if (r->last_pass <= lane->ring.seen) {
        give_source_pages(lane, r);
    } else {
        r->leaving = true;
        lane->n_parting++;
    }
    if (--lane->n_residents == 0) lane->dry = false;
}

void hdl__lane_unseat(hdl__lane *lane, int32_t slot)
{
    hdl__resident *r = lane->seats[slot].resident;
    r->redo[r->n_redo++] = lane->seats[slot].child;
    clear_seat(lane, slot);
}

void hdl__lane_evict(hdl__lane *lane, hdl__resident *resident)
{
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++)
        if (lane->seats[slot].resident == resident) clear_seat(lane, slot);
    free_resident(lane, resident);
}

void hdl__lane_fail(hdl__lane *lane, hdl__resident *resident, hdl_status why, const char *line)
{
    hdl__sentence *sentence = resident->sentence;
    hdl__sentence_fail(sentence, why, line);
    hdl__lane_evict(lane, resident);
    hdl__sentence_complete(lane->translator, sentence, lane);
}

void hdl__lane_leave(hdl__lane *lane, int32_t slot)
{
    hdl__resident *r = lane->seats[slot].resident;
    hdl__sentence *s = r->sentence;
    clear_seat(lane, slot);
    s->n_done++;
    if (s->n_done < s->n_children) return;
    free_resident(lane, r);
    hdl__sentence_complete(lane->translator, s, lane);
}

void hdl__lane_set_done(hdl__lane *lane, int32_t slot)
{
    lane->seats[slot].parting = HDL__DONE;
    lane->n_parting++;
}

void hdl__lane_note_states(hdl__lane *lane, const hdl__pass *pass)
{
    for (int32_t i = 0; i < pass->n_parts; i++) {
        const int32_t slot = pass->parts[i].slot;
        const hdl__seat *seat = &lane->seats[slot];
        if (seat->resident == NULL || seat->parting != HDL__STAYS) continue;
        lane->state[slot] = pass->state[slot];
        if (lane->state[slot].done) hdl__lane_set_done(lane, slot);
    }
}

const uint8_t *hdl__lane_history(const hdl__lane *lane, int32_t slot)
{
    const hdl__seat *seat = &lane->seats[slot];
    if (lane->unified) return lane->slots.history + seat->history_begin * HDL__RANGE_UNIT;
    return lane->staging + seat->staged_begin * HDL__RANGE_UNIT;
}

/* Scores without alignment have all they need already. */
static bool needs_history(const hdl__lane *lane, int32_t slot)
{
    const bool scores = lane->seats[slot].resident->sentence->phase == HDL__PHASE_SCORE;
    if (lane->unified || (!scores && lane->state[slot].failed)) return false;
    return !scores || (lane->options[slot].flags & HDL_SLOT_ALIGN) != 0;
}

/* Queues the copy of a history to the host; not while others on their way take the room. The ancestors stay where they are. */
static hdl_status fetch(hdl__lane *lane, int32_t slot)
{
    hdl_status status = HDL_OK;
    hdl__seat *seat = &lane->seats[slot];
    const hdl_history_layout at = hdl_history_layout_of(&lane->options[slot]);
    const uint64_t units = (at.ancestor + HDL__RANGE_UNIT - 1) / HDL__RANGE_UNIT;
    if (needs_history(lane, slot)) {
        if (!hdl__range_take(&lane->staging_ranges, units, &seat->staged_begin)) return HDL_OK;
        seat->staged_bytes = units;
        seat->last_pass = hdl__ring_next(&lane->ring);
        HDL_TRY(hdl_stream_download(lane->stream, lane->staging + seat->staged_begin * HDL__RANGE_UNIT,
                                    lane->slots.history + seat->history_begin * HDL__RANGE_UNIT, (size_t)at.ancestor));
    }
    seat->fetched = true;
done:
    return status;
}

static hdl_status part_seat(hdl__lane *lane, int32_t slot)
{
    hdl_status status = HDL_OK;
    hdl__seat *seat = &lane->seats[slot];
    const uint64_t seen = lane->ring.seen;
    if (seat->parting == HDL__DONE && !seat->fetched) HDL_TRY(fetch(lane, slot));
    if (seat->parting == HDL__DONE && seat->fetched && seat->last_pass <= seen) {
        hdl__range_begin(lane, "finish");
        hdl__lane_finish(lane, slot);
        hdl__range_end(lane, true);
    } else if (seat->parting == HDL__LEAVING && seat->last_pass <= seen) {
        lane->n_parting--;
        give_seat(lane, slot);
    }
done:
    return status;
}

hdl_status hdl__lane_part(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    if (lane->n_parting == 0) return HDL_OK;
    for (int32_t slot = 0; slot < lane->plan.n_slots; slot++) HDL_TRY(part_seat(lane, slot));
    for (int32_t i = 0; i < lane->plan.n_slots && lane->n_parting > 0; i++) {
        hdl__resident *r = &lane->residents[i];
        if (!r->leaving || r->last_pass > lane->ring.seen) continue;
        give_source_pages(lane, r);
        r->leaving = false;
        lane->n_parting--;
    }
done:
    return status;
}
