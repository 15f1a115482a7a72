/* lane_seat.c - giving a child of an encoded sentence its slot: options, side data, history, page list; and taking it back. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <string.h>

/* Sentences wait for rows in pages that those with rows do not need: while this part of the pool is free, half of it. */
#define AHEAD_PAGES 2

/* Prefixes at least this long run as one pass of many rows; shorter ones are forced step by step inside search. */
#define LONG_PREFIX_TOKENS 8

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
    const int32_t *side = lane->slots.side;
    const size_t int_bytes = sizeof(int32_t);
    HDL_TRY(hdl__lane_write(lane, side + o->end_off, s->search->ends, (size_t)o->n_end * int_bytes));
    if (o->n_prefix > 0) {
        HDL_TRY(hdl__lane_write(lane, side + o->prefix_off, s->prefix, (size_t)s->n_prefix * int_bytes));
        if (s->phase == HDL__PHASE_CONTINUE)
            HDL_TRY(hdl__lane_write(lane, side + o->prefix_off + s->n_prefix, &s->alternative[child], int_bytes));
    }
    HDL_TRY(hdl__lane_write(lane, side + o->suppress_off, s->search->suppress,
                          (size_t)s->search->n_suppress_ids * int_bytes));
    HDL_TRY(hdl__lane_write(lane, side + o->allow_off, s->allow, (size_t)s->n_allow * int_bytes));
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

/*
 * What ops may read of a history before search has written it: ancestors, by rows of beams that do not live (the host lists all beams when it
 * is behind); such rows' tokens, where a rule looks at them; the parents of a prefix that runs as one pass.
 */
static hdl_status clear_history(hdl__lane *lane, const uint8_t *history, const hdl_history_layout *at,
                                const hdl_slot_options *o, int32_t bulk)
{
    hdl_status status = HDL_OK;
    const bool reads_tokens = (o->repetition_penalty != 1.0f && o->repetition_penalty > 0.0f) || o->ngram > 0;
    const uint64_t word = sizeof(int32_t);
    const uint64_t from = bulk > 0 ? at->parent : at->ancestor / word * word, given = word * (uint64_t)bulk * (uint64_t)o->K;
    HDL_TRY(hdl__lane_zero(lane, history + from, (size_t)(at->bytes - from)));
    if (lane->lag > 0 && o->K > 1 && reads_tokens)
        HDL_TRY(hdl__lane_zero(lane, history + at->tok + given, (size_t)(word * (uint64_t)o->T * (uint64_t)o->K - given)));
done:
    return status;
}

/* Tokens that lane_forced.c will run stand as if search had forced them one by one; *last is the input of the first step. */
static hdl_status write_prefix(hdl__lane *lane, const uint8_t *history, const hdl_history_layout *at,
                               const hdl_slot_options *o, const hdl__sentence *s, int32_t child, int32_t bulk, int32_t *last)
{
    hdl_status status = HDL_OK;
    const float certain = 0.0f;
    for (int32_t t = 0; t < bulk; t++) {
        const size_t place = (size_t)t * (size_t)o->K * sizeof(int32_t);
        *last = hdl__given_token(s, child, t);
        HDL_TRY(hdl__lane_write(lane, history + at->tok + place, last, sizeof *last));
        HDL_TRY(hdl__lane_write(lane, history + at->logprob + place, &certain, sizeof certain));
    }
done:
    return status;
}

static hdl_status write_slot(hdl__lane *lane, int32_t slot, const hdl_slot_options *o, uint64_t history_at,
                             const hdl__sentence *s, int32_t child, int32_t bulk)
{
    hdl_status status = HDL_OK;
    const hdl_slots *at = &lane->slots;
    const hdl_history_layout layout = hdl_history_layout_of(o);
    const uint8_t *history = at->history + history_at;
    const float sum = s->phase == HDL__PHASE_CONTINUE ? s->alternative_logprob[child] : 0.0f;
    const int32_t prefix = s->phase == HDL__PHASE_SCORE ? 0 : bulk;
    int32_t first = s->start_id;
    lane->options[slot] = *o;
    lane->state[slot] = (hdl_slot_state){.t = prefix, .n_live = 1, .following = 1};
    HDL_TRY(clear_history(lane, history, &layout, o, bulk));
    HDL_TRY(write_prefix(lane, history, &layout, o, s, child, prefix, &first));
    HDL_TRY(hdl__lane_write(lane, &at->options[slot], &lane->options[slot], sizeof *o));
    HDL_TRY(hdl__lane_write(lane, &at->state[slot], &lane->state[slot], sizeof *lane->state));
    HDL_TRY(hdl__lane_write(lane, &at->history_off[slot], &history_at, sizeof history_at));
    HDL_TRY(hdl__lane_write(lane, &at->token[slot * HDL_MAX_BEAM], &first, sizeof first));
    HDL_TRY(hdl__lane_write(lane, &at->sum[slot * HDL_MAX_BEAM], &sum, sizeof sum));
done:
    return status;
}

static int32_t find_free_slot(const hdl__lane *lane)
{
    int32_t slot = 0;
    while (slot < lane->plan.n_slots && (lane->seats[slot].resident != NULL || lane->seats[slot].parting != HDL__STAYS))
        slot++;
    return slot;
}

/* The seat that waits and comes first, or -1. */
static int32_t find_first_waiting(const hdl__lane *lane)
{
    int32_t first = -1;
    for (int32_t slot = 0; slot < lane->plan.n_slots && lane->n_waiting > 0; slot++) {
        const hdl__seat *seat = &lane->seats[slot];
        if (seat->resident == NULL || !seat->waits) continue;
        if (first < 0 || hdl__goes_before(seat->resident->sentence, lane->seats[first].resident->sentence)) first = slot;
    }
    return first;
}

const hdl__sentence *hdl__lane_first_waiting(const hdl__lane *lane)
{
    const int32_t first = find_first_waiting(lane);
    return first < 0 ? NULL : lane->seats[first].resident->sentence;
}

/*
 * Whether a sentence gets its K rows now or, behind others that do, may wait for them: only so many may, for at most as many rows as there
 * are, none while pages are scarce.
 */
static bool has_place(const hdl__lane *lane, const hdl__sentence *s, int32_t K, bool may_wait, bool *waits)
{
    const bool fits = lane->rows_reserved + K <= lane->plan.max_rows;
    const hdl__sentence *first = may_wait ? hdl__lane_first_waiting(lane) : NULL;
    *waits = may_wait && (!fits || (first != NULL && hdl__goes_before(first, s)));
    if (!*waits) return fits;
    return lane->n_waiting < lane->plan.n_ahead && lane->rows_waited + K <= lane->plan.max_rows && !lane->dry
           && lane->n_free_pages >= lane->plan.n_pages / AHEAD_PAGES;
}

/* Seats one child. false in *seated: no room now. */
static hdl_status seat_child(hdl__lane *lane, hdl__resident *r, bool may_wait, bool *seated)
{
    hdl_status status = HDL_OK;
    hdl__sentence *s = r->sentence;
    const int32_t child = r->n_redo > 0 ? r->redo[r->n_redo - 1] : s->next_child;
    hdl_slot_options o = options_of(s, child, lane->plan.max_beam);
    const int32_t slot = find_free_slot(lane);
    const hdl_history_layout layout = hdl_history_layout_of(&o);
    const uint64_t lists = place_lists(s, &o, 0);
    const uint64_t units = (layout.bytes + lists * sizeof(int32_t) + HDL__RANGE_UNIT - 1) / HDL__RANGE_UNIT;
    uint64_t begin;
    bool waits;
    *seated = false;
    if (slot == lane->plan.n_slots || !has_place(lane, s, o.K, may_wait, &waits)) return HDL_OK;
    if (!hdl__range_take(&lane->history, units, &begin)) return HDL_OK;
    place_lists(s, &o, (begin * HDL__RANGE_UNIT + layout.bytes) / sizeof(int32_t));
    HDL_TRY(write_lists(lane, s, child, &o));
    const int32_t bulk = count_bulk(s, &o);
    HDL_TRY(write_slot(lane, slot, &o, begin * HDL__RANGE_UNIT, s, child, bulk));
    HDL_TRY(hdl__lane_write(lane, lane->slots.source_pages + (size_t)slot * (size_t)lane->plan.source_stride, r->source_pages,
                          (size_t)r->n_source_pages * sizeof(int32_t)));
    lane->seats[slot] = (hdl__seat){.resident = r,
                                    .child = child,
                                    .waits = waits,
                                    .forced = bulk,
                                    .history_begin = begin,
                                    .history_bytes = units};
    lane->n_waiting += waits;
    *(waits ? &lane->rows_waited : &lane->rows_reserved) += o.K;
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
    return seat_child(lane, resident, true, seated);
}

/* While pages are short, only so that somebody has rows. */
void hdl__lane_give_rows(hdl__lane *lane, const hdl__sentence *next)
{
    for (int32_t slot = find_first_waiting(lane); slot >= 0; slot = find_first_waiting(lane)) {
        const int32_t K = lane->options[slot].K;
        if (lane->rows_reserved + K > lane->plan.max_rows || (hdl__lane_is_short(lane) && lane->rows_reserved > 0)) return;
        if (next != NULL && next->priority > lane->seats[slot].resident->sentence->priority) return;
        lane->seats[slot].waits = false;
        lane->n_waiting--;
        lane->rows_waited -= K;
        lane->rows_reserved += K;
    }
}

hdl_status hdl__lane_seat_children(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    for (int32_t i = 0; i < lane->plan.n_slots && lane->n_residents > 0; i++) {
        hdl__resident *r = &lane->residents[i];
        bool seated = true;
        if (r->sentence != NULL && r->n_live > 0 && lane->seats[r->home].waits) continue;   /* its siblings come behind it */
        while (r->sentence != NULL && seated && !hdl__lane_is_short(lane)
               && (r->n_redo > 0 || r->sentence->next_child < r->sentence->n_children))
            HDL_TRY(seat_child(lane, r, false, &seated));
    }
done:
    return status;
}
