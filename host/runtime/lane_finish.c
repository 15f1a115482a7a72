/* lane_finish.c - history to outcomes: walking the parents, coverage, scores, order. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

#include <math.h>
#include <string.h>

/* beta * sum of log(min(c, 1)) over source positions that got any attention; Wu et al. 2016, eq. 14. */
static float coverage_of(const hdl_slot_options *o, int32_t S, const hdl__outcome *out)
{
    float total = 0.0f;
    if (o->coverage_penalty == 0.0f || out->align == NULL) return 0.0f;
    for (int32_t j = 0; j < S; j++) {
        float c = 0.0f;
        for (int32_t t = 0; t < out->n; t++) c += out->align[(size_t)t * (size_t)S + (size_t)j];
        if (c > 0.0f && c < 1.0f) total += logf(c);
    }
    return o->coverage_penalty * total;
}

void hdl__outcome_score(const hdl_slot_options *o, int32_t S, hdl__outcome *out)
{
    out->score = out->sum / hdl_length_divisor(out->n, o->length_penalty, (hdl_length_norm)o->length_norm)
                 + coverage_of(o, S, out);
}

/* Follows the parents of one finished hypothesis back to the start. */
static void walk(const hdl__lane *lane, int32_t slot, const hdl_finished *f, int32_t S, hdl__outcome *out)
{
    const hdl_slot_options *o = &lane->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    const uint8_t *history = hdl__lane_history(lane, slot);
    const int32_t *tok = (const int32_t *)(const void *)(history + at.tok);
    const float *logprob = (const float *)(const void *)(history + at.logprob);
    const float *align = (const float *)(const void *)(history + at.align);
    const uint8_t *parent = history + at.parent;
    const size_t K = (size_t)o->K, row_bytes = (size_t)S * sizeof(float);
    int32_t beam = f->parent;
    for (int32_t t = f->step; t >= 0; t--) {
        const size_t row = (size_t)t * K;       /* `beam` is here the row that predicted token t */
        if (out->align != NULL)
            memcpy(out->align + (size_t)t * (size_t)S, align + (row + (size_t)beam) * (size_t)S, row_bytes);
        if (t == f->step) {
            out->ids[t] = f->token;
            out->logprobs[t] = f->logprob;
        }
        if (t == 0) break;
        const size_t before = (size_t)(t - 1) * K + (size_t)beam;
        out->ids[t - 1] = tok[before];
        out->logprobs[t - 1] = logprob[before];
        beam = parent[before];
    }
    out->n = f->step + 1;
    out->sum = f->sum;
    out->by_length = f->by_length != 0;
    out->order = f->order;
}

static bool ranks_before(const hdl__outcome *a, const hdl__outcome *b)
{
    return a->score != b->score ? a->score > b->score : a->order < b->order;
}

/* Keeps the best `capacity` outcomes, sorted; the last place of the array is scratch. */
static void keep_best(hdl__sentence *s, int32_t capacity)
{
    int32_t at = s->n_outcomes;
    while (at > 0 && ranks_before(&s->outcomes[at], &s->outcomes[at - 1])) {
        const hdl__outcome t = s->outcomes[at];
        s->outcomes[at] = s->outcomes[at - 1];
        s->outcomes[--at] = t;
    }
    if (s->n_outcomes < capacity) s->n_outcomes++;
}

static void finish_search(hdl__lane *lane, int32_t slot, hdl__sentence *s)
{
    const hdl_slot_options *o = &lane->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    const uint8_t *history = hdl__lane_history(lane, slot);
    const hdl_finished *pool = (const hdl_finished *)(const void *)(history + at.finished);
    /* a prefix as long as max_length leaves nothing to search: it is returned n_best times */
    const bool only_prefix = !s->search->sample && o->prefix_bias == 0.0f && o->n_prefix >= o->max_length;
    const int32_t n = only_prefix ? s->search->n_best : lane->state[slot].n_finished;
    for (int32_t j = 0; j < n; j++) {
        const int32_t i = only_prefix ? 0 : j;
        hdl__outcome *out = &s->outcomes[s->n_outcomes];
        walk(lane, slot, &pool[i], s->S, out);
        if (s->search->sample) out->order = lane->seats[slot].child;
        hdl__outcome_score(o, s->S, out);
        if (only_prefix) out->score = 0.0f;
        keep_best(s, s->search->n_best);
    }
}

/* The list keeps the order of the first step: outcome i is alternative i's best hypothesis. */
static void finish_alternative(hdl__lane *lane, int32_t slot, hdl__sentence *s)
{
    const hdl_slot_options *o = &lane->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    const hdl_finished *pool = (const hdl_finished *)(const void *)(hdl__lane_history(lane, slot) + at.finished);
    const int32_t child = lane->seats[slot].child;
    hdl__outcome *best = &s->outcomes[child], *trial = &s->outcomes[s->search->n_best];
    for (int32_t i = 0; i < lane->state[slot].n_finished; i++) {
        walk(lane, slot, &pool[i], s->S, trial);
        trial->logprobs[s->n_prefix] = s->alternative_logprob[child];
        hdl__outcome_score(o, s->S, trial);
        if (i > 0 && !ranks_before(trial, best)) continue;
        const hdl__outcome t = *best;
        *best = *trial;
        *trial = t;
    }
    s->n_outcomes = s->n_children;
}

/* First step of alternatives: its tokens become children that share the source. */
static void branch(hdl__lane *lane, int32_t slot, hdl__sentence *s)
{
    const hdl_history_layout at = hdl_history_layout_of(&lane->options[slot]);
    const hdl_finished *pool = (const hdl_finished *)(const void *)(hdl__lane_history(lane, slot) + at.finished);
    int32_t n = 0;
    for (int32_t i = 0; i < lane->state[slot].n_finished; i++) {
        if (expf(pool[i].logprob) < s->search->min_alternative_prob) continue;
        s->alternative[n] = pool[i].token;
        s->alternative_logprob[n++] = pool[i].logprob;
    }
    s->phase = HDL__PHASE_CONTINUE;
    s->next_child = 0;
    s->n_children = n;
    s->n_done = -1;         /* the leaving child is the one that looked for alternatives */
    hdl__lane_leave(lane, slot);
}

void hdl__lane_finish(hdl__lane *lane, int32_t slot)
{
    hdl__resident *r = lane->seats[slot].resident;
    hdl__sentence *s = r->sentence;
    if (s->phase == HDL__PHASE_SCORE) {
        hdl__lane_finish_scores(lane, slot);
        return;
    }
    if (lane->state[slot].failed) {
        hdl__lane_fail(lane, r, HDL_ENUMERIC, "a logit is not finite");
        return;
    }
    if (s->phase == HDL__PHASE_ALTERNATIVES) {
        branch(lane, slot, s);
        return;
    }
    if (s->phase == HDL__PHASE_CONTINUE)
        finish_alternative(lane, slot, s);
    else
        finish_search(lane, slot, s);
    hdl__lane_leave(lane, slot);
}
