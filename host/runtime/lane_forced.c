/* lane_forced.c - given tokens, many rows at a time: targets to score, and long prefixes. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <math.h>
#include <string.h>

static bool is_end(const hdl__sentence *s, int32_t pos) { return s->phase == HDL__PHASE_SCORE && pos == s->n_prefix; }

/* What the model is asked for at a position: the given token, or the end token after the last one to score. */
static int32_t target_of(const hdl__sentence *s, int32_t child, int32_t pos)
{
    return is_end(s, pos) ? s->search->ends[0] : hdl__given_token(s, child, pos);
}

static void list_part(const hdl__lane *lane, const hdl__part *part, const hdl__pass_inputs *in)
{
    const hdl__seat *seat = &lane->seats[part->slot];
    const hdl__sentence *s = seat->resident->sentence;
    for (int32_t i = 0; i < part->n; i++) {
        const int32_t pos = part->first_pos + i, row = part->first_row + i;
        in->rows.slot[row] = part->slot;
        in->rows.beam[row] = 0;
        in->rows.pos[row] = pos;
        in->ids[row] = pos > 0 ? hdl__given_token(s, seat->child, pos - 1) : s->start_id;
        in->targets[row] = target_of(s, seat->child, pos);
    }
}

/* As many due positions as fit one pass, with their pages; rows in all. */
static int32_t choose_parts(hdl__lane *lane, hdl__part *parts, int32_t *n_parts)
{
    int32_t count = 0, n = 0;
    for (int32_t slot = 0; slot < lane->plan.n_slots && count < lane->plan.max_rows; slot++) {
        const hdl__seat *seat = &lane->seats[slot];
        if (seat->resident == NULL || seat->parting != HDL__STAYS || seat->waits || seat->pos >= seat->forced) continue;
        const int32_t room = lane->plan.max_rows - count, left = seat->forced - seat->pos;
        const int32_t rows = left < room ? left : room;
        if (!hdl__lane_cover(lane, slot, seat->pos + rows)) continue;
        parts[n++] = (hdl__part){slot, count, seat->pos, rows};
        count += rows;
    }
    *n_parts = n;
    return count;
}

/* Covering a later slot may have taken an earlier one out, or queued something in the pass's place: such a pass is chosen again. */
static bool still_good(const hdl__lane *lane, const hdl__pass *pass)
{
    if (pass != hdl__ring_place(&lane->ring)) return false;
    for (int32_t i = 0; i < pass->n_parts; i++)
        if (lane->seats[pass->parts[i].slot].resident == NULL) return false;
    return true;
}

/* Rows, tokens and parts of the pass into its inputs; whether one of its slots keeps alignment. */
static bool list_pass(hdl__lane *lane, const hdl__pass *pass, int32_t count, const hdl__pass_inputs *in)
{
    bool align = false;
    for (int32_t i = 0; i < pass->n_parts; i++) {
        list_part(lane, &pass->parts[i], in);
        in->rows.group[i] = pass->parts[i].first_row;
        align = align || (lane->options[pass->parts[i].slot].flags & HDL_SLOT_ALIGN) != 0;
    }
    in->rows.group[pass->n_parts] = count;
    *in->rows.n_groups = pass->n_parts;
    *in->rows.count = count;
    return align;
}

static hdl_status queue_ops(hdl__lane *lane, const hdl__pass *pass, int32_t count, bool align, const hdl__pass_inputs *in)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = lane->network;
    const hdl__decode_place place = {&lane->slots, &in->rows.view, lane->pool, count};
    hdl_token_logprobs_args a = HDL_TOKEN_LOGPROBS_ARGS_INIT;
    HDL_TRY(hdl__decode(lane->stream, n, &place, in->ids, align, &lane->hidden, lane->decoder_probe));
    a.x = lane->hidden.x;
    a.w = n->output.w;
    a.bias = n->output.bias;
    a.ids = in->targets;
    a.logprob = pass->device_logprobs;
    a.M = count;
    a.V = n->output.N;
    a.E = n->output.K;
    a.pad_id = n->model->checkpoint.config.pad_id;
    a.act_dtype = n->act;
    HDL_TRY(hdl_token_logprobs(lane->stream, &a));
    if (!lane->unified)
        HDL_TRY(hdl_stream_download(lane->stream, pass->logprobs, pass->device_logprobs, (size_t)count * sizeof *pass->logprobs));
done:
    return status;
}

/* Log-probabilities of a scored target into its outcome; false: one is not finite. */
static bool keep_scores(hdl__lane *lane, const hdl__pass *pass, const hdl__part *part)
{
    const hdl__seat *seat = &lane->seats[part->slot];
    const hdl__sentence *s = seat->resident->sentence;
    hdl__outcome *out = &s->outcomes[0];
    for (int32_t i = 0; i < part->n; i++) {
        const int32_t pos = part->first_pos + i;
        const float value = pass->logprobs[part->first_row + i];
        if (!isfinite(value)) return false;
        out->ids[pos] = target_of(s, seat->child, pos);
        out->logprobs[pos] = pos < s->n_hidden ? 0.0f : value;      /* hidden ones are forced, so certain */
    }
    return true;
}

void hdl__lane_note_scores(hdl__lane *lane, const hdl__pass *pass)
{
    for (int32_t i = 0; i < pass->n_parts; i++) {
        const hdl__part *part = &pass->parts[i];
        const hdl__seat *seat = &lane->seats[part->slot];
        if (seat->resident == NULL || seat->resident->sentence->phase != HDL__PHASE_SCORE) continue;
        if (!keep_scores(lane, pass, part))
            hdl__lane_fail(lane, seat->resident, HDL_ENUMERIC, "a logit is not finite");
        else if (part->first_pos + part->n == seat->forced)
            hdl__lane_set_done(lane, part->slot);
    }
}

void hdl__lane_finish_scores(hdl__lane *lane, int32_t slot)
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
        memcpy(out->align, hdl__lane_history(lane, slot) + at.align, (size_t)out->n * (size_t)s->S * sizeof(float));
    hdl__outcome_score(o, s->S, out);
    s->n_outcomes = 1;
    hdl__lane_leave(lane, slot);
}

/* The rows are queued: after a prefix's last one its slot takes part in steps. */
static void advance(hdl__lane *lane, const hdl__pass *pass)
{
    for (int32_t i = 0; i < pass->n_parts; i++) {
        hdl__seat *seat = &lane->seats[pass->parts[i].slot];
        seat->pos += pass->parts[i].n;
        seat->last_pass = seat->resident->last_pass = lane->ring.queued;
        if (seat->pos == seat->forced && seat->resident->sentence->phase != HDL__PHASE_SCORE) seat->forced = 0;
    }
}

static hdl_status run_forced(hdl__lane *lane, bool *queued)
{
    hdl_status status = HDL_OK;
    hdl__pass *pass = NULL;
    hdl__pass_inputs in, device;
    int32_t count;
    do {
        HDL_TRY(hdl__lane_begin_pass(lane, HDL__PASS_FORCED, &pass));
        count = choose_parts(lane, pass->parts, &pass->n_parts);
    } while (count > 0 && !still_good(lane, pass));
    if (count == 0) return HDL_OK;
    hdl__place_inputs(pass->input, count, pass->n_parts, &in);
    hdl__place_inputs(lane->input, count, pass->n_parts, &device);
    const bool align = list_pass(lane, pass, count, &in);
    HDL_TRY(hdl__lane_send(lane, pass, in.bytes));
    hdl__trace_sizes(lane, pass, count, count, pass->n_parts);
    HDL_TRY(hdl__section_begin(lane, pass, HDL__SECTION_LANE));
    HDL_TRY(queue_ops(lane, pass, count, align, &device));
    HDL_TRY(hdl__section_end(lane, pass, HDL__SECTION_LANE));
    HDL_TRY(hdl__lane_end_pass(lane, pass));
    advance(lane, pass);
    *queued = true;
    HDL_TRY(hdl__lane_catch_up(lane));
done:
    return status;
}

hdl_status hdl__lane_run_forced(hdl__lane *lane)
{
    bool queued = false;
    hdl__range_begin(lane, "forced");
    const hdl_status status = run_forced(lane, &queued);
    hdl__range_end(lane, queued);
    return status;
}
