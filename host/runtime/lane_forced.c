/* lane_forced.c - given tokens, many rows at a time: targets to score, and long prefixes. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <math.h>
#include <string.h>

/* A stretch of positions of one slot within a pass. */
typedef struct stretch { int32_t slot, first_row, first_pos, n; } stretch;

/* The token given at a position: of the sentence's prefix, then (alternatives) the chosen one. */
static int32_t given_token(const hdl__sentence *s, int32_t child, int32_t i)
{
    return i < s->n_prefix ? s->prefix[i] : s->alternative[child];
}

static void list_stretch(hdl__lane *lane, const stretch *part)
{
    const hdl__seat *seat = &lane->seats[part->slot];
    const hdl__sentence *s = seat->resident->sentence;
    hdl__row_arrays *rows = &lane->rows;
    for (int32_t i = 0; i < part->n; i++) {
        const int32_t pos = part->first_pos + i, row = part->first_row + i;
        rows->slot[row] = part->slot;
        rows->beam[row] = 0;
        rows->pos[row] = pos;
        lane->ids[row] = pos > 0 ? given_token(s, seat->child, pos - 1) : s->start_id;
        const bool end = s->phase == HDL__PHASE_SCORE && pos == s->n_prefix;
        lane->targets[row] = end ? s->search->ends[0] : given_token(s, seat->child, pos);
    }
}

/* Positions done so far stand in seat->pos; `forced` says how many there are in all. */
static int32_t list_pass(hdl__lane *lane, stretch *parts, int32_t *n_parts)
{
    int32_t count = 0, n = 0;
    for (int32_t slot = 0; slot < lane->plan.n_slots && count < lane->plan.max_rows; slot++) {
        const hdl__seat *seat = &lane->seats[slot];
        if (seat->resident == NULL || seat->forced == 0) continue;
        const int32_t room = lane->plan.max_rows - count, left = seat->forced - seat->pos;
        const int32_t rows = left < room ? left : room;
        if (!hdl__lane_cover(lane, slot, seat->pos + rows)) continue;
        parts[n] = (stretch){slot, count, seat->pos, rows};
        lane->rows.group[n++] = count;
        count += rows;
    }
    lane->rows.group[n] = count;
    *lane->rows.n_groups = n;
    *lane->rows.count = count;
    *n_parts = n;
    return count;
}

/* Covering a later slot may have restarted an earlier one's sentence: such a pass is listed again. */
static bool all_seated(const hdl__lane *lane, const stretch *parts, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (lane->seats[parts[i].slot].resident == NULL) return false;
    return true;
}

static hdl_status run_pass(hdl__lane *lane, int32_t count, bool align)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = lane->network;
    const hdl__decode_place place = {&lane->slots, &lane->rows.view, lane->pool, count};
    hdl_token_logprobs_args a = HDL_TOKEN_LOGPROBS_ARGS_INIT;
    HDL_TRY(hdl__decode(lane->stream, n, &place, lane->ids, align, &lane->hidden, lane->decoder_probe));
    a.x = lane->hidden.x;
    a.w = n->output.w;
    a.bias = n->output.bias;
    a.ids = lane->targets;
    a.logprob = lane->logprobs;
    a.M = count;
    a.V = n->output.N;
    a.E = n->output.K;
    a.pad_id = n->model->checkpoint.config.pad_id;
    HDL_TRY(hdl_token_logprobs(lane->stream, &a));
    HDL_TRY(hdl_stream_wait(lane->stream));
done:
    return status;
}

/* Log-probabilities (and alignment rows) of a scored target into its outcome; all of them: the outcome is complete. */
static bool keep_scores(hdl__lane *lane, const stretch *part)
{
    const hdl__seat *seat = &lane->seats[part->slot];
    hdl__sentence *s = seat->resident->sentence;
    hdl__outcome *out = &s->outcomes[0];
    for (int32_t i = 0; i < part->n; i++) {
        const float value = lane->logprobs[part->first_row + i];
        if (!isfinite(value)) return false;
        out->ids[part->first_pos + i] = lane->targets[part->first_row + i];
        const bool hidden = part->first_pos + i < s->n_hidden;     /* forced, so certain */
        out->logprobs[part->first_pos + i] = hidden ? 0.0f : value;
    }
    return true;
}

static void finish_scores(hdl__lane *lane, int32_t slot)
{
    hdl__sentence *s = lane->seats[slot].resident->sentence;
    const hdl_slot_options *o = &lane->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    hdl__outcome *out = &s->outcomes[0];
    out->n = s->n_prefix + 1;
    out->by_length = false;
    out->sum = 0.0f;
    for (int32_t i = 0; i < out->n; i++) out->sum += out->logprobs[i];
    if (out->align != NULL)     /* K is 1: the history's rows lie as the outcome's do */
        memcpy(out->align, lane->slots.history + lane->history_off[slot] + at.align,
               (size_t)out->n * (size_t)s->S * sizeof(float));
    hdl__outcome_score(o, s->S, out);
    s->n_outcomes = 1;
    hdl__lane_leave(lane, slot);
}

/* After the last forced position of a prefix: history and state as if search had forced it token by token. */
static hdl_status settle_prefix(hdl__lane *lane, int32_t slot)
{
    hdl_status status = HDL_OK;
    hdl__seat *seat = &lane->seats[slot];
    const hdl__sentence *s = seat->resident->sentence;
    const hdl_slot_options *o = &lane->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    uint8_t *history = lane->slots.history + lane->history_off[slot];
    hdl_slot_state state = {.t = seat->forced, .n_live = 1};
    const float zero = 0.0f;
    const uint8_t first = 0;
    for (int32_t t = 0; t < seat->forced; t++) {
        const size_t place = (size_t)t * (size_t)o->K;
        const int32_t token = given_token(s, seat->child, t);
        HDL_TRY(hdl__lane_put(lane, history + at.tok + place * sizeof token, &token, sizeof token));
        HDL_TRY(hdl__lane_put(lane, history + at.logprob + place * sizeof zero, &zero, sizeof zero));
        HDL_TRY(hdl__lane_put(lane, history + at.parent + place, &first, 1));
        if (t == seat->forced - 1)
            HDL_TRY(hdl__lane_put(lane, &lane->slots.token[slot * HDL_MAX_BEAM], &token, sizeof token));
    }
    HDL_TRY(hdl__lane_put(lane, &lane->state[slot], &state, sizeof state));
    seat->forced = 0;
done:
    return status;
}

static hdl_status collect_part(hdl__lane *lane, const stretch *part)
{
    hdl__seat *seat = &lane->seats[part->slot];
    const bool score = seat->resident->sentence->phase == HDL__PHASE_SCORE;
    if (score && !keep_scores(lane, part)) {
        hdl__lane_fail(lane, seat->resident, HDL_ENUMERIC, "a logit is not finite");
        return HDL_OK;
    }
    seat->pos += part->n;
    if (seat->pos < seat->forced) return HDL_OK;
    if (!score) return settle_prefix(lane, part->slot);
    finish_scores(lane, part->slot);
    return HDL_OK;
}

hdl_status hdl__lane_run_forced(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    stretch parts[HDL__MAX_ROWS];
    int32_t n, count;
    do
        count = list_pass(lane, parts, &n);
    while (count > 0 && !all_seated(lane, parts, n));
    if (count == 0) return HDL_OK;
    bool align = false;
    for (int32_t i = 0; i < n; i++) {
        list_stretch(lane, &parts[i]);
        align = align || (lane->options[parts[i].slot].flags & HDL_SLOT_ALIGN) != 0;
    }
    HDL_TRY(run_pass(lane, count, align));
    for (int32_t i = 0; i < n; i++) HDL_TRY(collect_part(lane, &parts[i]));
done:
    return status;
}
