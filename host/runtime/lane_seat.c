/* lane_seat.c - giving a child of an encoded sentence its slot: options, side data, history, page list; and taking it back. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <string.h>

#define RANGE_UNIT 64u
/* Prefixes at least this long run as one pass of many rows; shorter ones are forced step by step inside search. */
#define LONG_PREFIX_TOKENS 8

hdl_status hdl__lane_put(hdl__lane *lane, void *to, const void *from, size_t bytes)
{
    hdl_status status = HDL_OK;
    if (bytes == 0) return HDL_OK;      /* an empty list may have no address */
    if (hdl__device_unified(lane->network->device)) {
        memcpy(to, from, bytes);
        return HDL_OK;
    }
    HDL_TRY(hdl_stream_upload(lane->stream, to, from, bytes));
    HDL_TRY(hdl_stream_wait(lane->stream));
done:
    return status;
}

/* Forced tokens of a child: the sentence's prefix, and the chosen token when it continues an alternative. */
static int32_t count_forced(const hdl__sentence *s)
{
    return s->n_prefix + (s->phase == HDL__PHASE_CONTINUE ? 1 : 0);
}

static hdl_slot_options options_of(const hdl__sentence *s, int32_t child, int32_t max_beam)
{
    hdl_slot_options o = s->search->slot;
    o.S = s->S;
    o.T = s->max_length;
    o.max_length = s->max_length;
    o.n_prefix = count_forced(s);
    o.draw = s->piece * HDL_MAX_BEAM + child;
    o.n_allow = s->n_allow;
    if (s->phase == HDL__PHASE_ALTERNATIVES) {
        o.K = hdl__alternatives_beam(s->search, max_beam);
        o.n_pool = 2 * o.K;
        o.n_enough = o.K;
        o.flags |= HDL_SLOT_ALTERNATIVES;
    }
    /* a language token is not what the user wrote: an end token may follow it at any rank */
    if (s->phase == HDL__PHASE_CONTINUE || s->n_prefix == s->n_hidden) o.flags |= HDL_SLOT_FREE_END;
    if (s->phase == HDL__PHASE_SCORE) {
        o.K = 1;
        o.n_pool = 1;
        o.n_prefix = 0;
    }
    return o;
}

/* Places the slot's lists behind its history, in one range; offsets are in i32 elements of the side pool. */
static uint64_t place_lists(const hdl__sentence *s, hdl_slot_options *o, uint64_t first)
{
    uint64_t at = first;
    o->end_off = (int32_t)at;
    at += (uint64_t)o->n_end;
    o->prefix_off = (int32_t)at;
    at += (uint64_t)o->n_prefix;
    o->suppress_off = (int32_t)at;
    at += (uint64_t)s->search->n_suppress_ids;
    o->allow_off = (int32_t)at;
    return at + (uint64_t)s->n_allow;
}

static hdl_status write_lists(hdl__lane *lane, const hdl__sentence *s, int32_t child, const hdl_slot_options *o)
{
    hdl_status status = HDL_OK;
    int32_t *side = (int32_t *)(void *)lane->slots.history;
    const size_t int_bytes = sizeof(int32_t);
    HDL_TRY(hdl__lane_put(lane, side + o->end_off, s->search->ends, (size_t)o->n_end * int_bytes));
    if (o->n_prefix > 0) {
        HDL_TRY(hdl__lane_put(lane, side + o->prefix_off, s->prefix, (size_t)s->n_prefix * int_bytes));
        if (s->phase == HDL__PHASE_CONTINUE)
            HDL_TRY(hdl__lane_put(lane, side + o->prefix_off + s->n_prefix, &s->alternative[child], int_bytes));
    }
    HDL_TRY(hdl__lane_put(lane, side + o->suppress_off, s->search->suppress,
                          (size_t)s->search->n_suppress_ids * int_bytes));
    HDL_TRY(hdl__lane_put(lane, side + o->allow_off, s->allow, (size_t)s->n_allow * int_bytes));
done:
    return status;
}

/* How many positions lane_forced.c runs before the first step. */
static int32_t count_bulk(const hdl__sentence *s, const hdl_slot_options *o)
{
    if (s->phase == HDL__PHASE_SCORE) return s->n_prefix + 1;
    if (o->prefix_bias != 0.0f || o->n_prefix < LONG_PREFIX_TOKENS) return 0;
    return o->n_prefix < o->max_length ? o->n_prefix : o->max_length - 1;
}

static hdl_status write_slot(hdl__lane *lane, int32_t slot, const hdl_slot_options *o, uint64_t history_at,
                             const hdl_history_layout *layout, int32_t first, float sum)
{
    static const uint8_t zeros[4096];
    hdl_status status = HDL_OK;
    hdl_slot_state state = {.n_live = 1, .following = 1};
    uint8_t *ancestors = lane->slots.history + history_at + layout->ancestor;
    HDL_TRY(hdl__lane_put(lane, &lane->options[slot], o, sizeof *o));
    HDL_TRY(hdl__lane_put(lane, &lane->state[slot], &state, sizeof state));
    HDL_TRY(hdl__lane_put(lane, &lane->history_off[slot], &history_at, sizeof history_at));
    HDL_TRY(hdl__lane_put(lane, &lane->slots.token[slot * HDL_MAX_BEAM], &first, sizeof first));
    HDL_TRY(hdl__lane_put(lane, &lane->slots.sum[slot * HDL_MAX_BEAM], &sum, sizeof sum));
    for (uint64_t at = 0, n = layout->bytes - layout->ancestor; at < n; at += sizeof zeros)
        HDL_TRY(hdl__lane_put(lane, ancestors + at, zeros, (size_t)(n - at < sizeof zeros ? n - at : sizeof zeros)));
done:
    return status;
}

static int32_t find_free_slot(const hdl__lane *lane)
{
    int32_t slot = 0;
    while (slot < lane->plan.n_slots && lane->seats[slot].resident != NULL) slot++;
    return slot;
}

/* Seats one child. false in *seated: no room now. */
static hdl_status seat_child(hdl__lane *lane, hdl__resident *r, bool *seated)
{
    hdl_status status = HDL_OK;
    hdl__sentence *s = r->sentence;
    const int32_t child = r->n_redo > 0 ? r->redo[r->n_redo - 1] : s->next_child;
    hdl_slot_options o = options_of(s, child, lane->plan.max_beam);
    const int32_t slot = find_free_slot(lane);
    const hdl_history_layout layout = hdl_history_layout_of(&o);
    const uint64_t lists = place_lists(s, &o, 0);
    const uint64_t units = (layout.bytes + lists * sizeof(int32_t) + RANGE_UNIT - 1) / RANGE_UNIT;
    uint64_t begin;
    *seated = false;
    if (slot == lane->plan.n_slots || lane->rows_reserved + o.K > lane->plan.max_rows) return HDL_OK;
    if (!hdl__range_take(&lane->history, units, &begin)) return HDL_OK;
    place_lists(s, &o, (begin * RANGE_UNIT + layout.bytes) / sizeof(int32_t));
    HDL_TRY(write_lists(lane, s, child, &o));
    const float sum = s->phase == HDL__PHASE_CONTINUE ? s->alternative_logprob[child] : 0.0f;
    HDL_TRY(write_slot(lane, slot, &o, begin * RANGE_UNIT, &layout, s->start_id, sum));
    HDL_TRY(hdl__lane_put(lane, lane->source_pages + (size_t)slot * (size_t)lane->plan.source_stride, r->source_pages,
                          (size_t)r->n_source_pages * sizeof(int32_t)));
    lane->seats[slot] = (hdl__seat){.resident = r,
                                    .child = child,
                                    .forced = count_bulk(s, &o),
                                    .history_begin = begin,
                                    .history_bytes = units};
    lane->rows_reserved += o.K;
    lane->n_seated++;
    if (r->n_live++ == 0) r->home = slot;
    if (r->n_redo > 0)
        r->n_redo--;
    else
        s->next_child++;
    *seated = true;
done:
    return status;
}

hdl_status hdl__lane_seat_first(hdl__lane *lane, hdl__resident *resident, bool *seated)
{
    return seat_child(lane, resident, seated);
}

hdl_status hdl__lane_seat_children(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    for (int32_t i = 0; i < lane->plan.n_slots && lane->n_residents > 0; i++) {
        hdl__resident *r = &lane->residents[i];
        bool seated = true;
        while (r->sentence != NULL && seated && !hdl__lane_is_short(lane)
               && (r->n_redo > 0 || r->sentence->next_child < r->sentence->n_children))
            HDL_TRY(seat_child(lane, r, &seated));
    }
done:
    return status;
}

/* Gives back what the slot holds. */
static void clear_seat(hdl__lane *lane, int32_t slot)
{
    hdl__seat *seat = &lane->seats[slot];
    const int32_t *pages = lane->self_pages + (size_t)slot * (size_t)lane->plan.self_stride;
    for (int32_t i = seat->n_self_pages - 1; i >= 0; i--) lane->free_pages[lane->n_free_pages++] = pages[i];
    hdl__range_give(&lane->history, seat->history_begin, seat->history_bytes);
    lane->rows_reserved -= lane->options[slot].K;
    lane->n_seated--;
    seat->resident->n_live--;
    *seat = (hdl__seat){0};
}

static void free_resident(hdl__lane *lane, hdl__resident *r)
{
    for (int32_t i = r->n_source_pages - 1; i >= 0; i--) lane->free_pages[lane->n_free_pages++] = r->source_pages[i];
    r->n_source_pages = 0;
    r->n_redo = 0;
    r->sentence = NULL;
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
