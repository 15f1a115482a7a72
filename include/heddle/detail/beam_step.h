/*
 * beam_step.h - one step of search for one slot: forced prefix, greedy, beam, sampling, alternatives.
 *
 * Three phases, so that a GPU may share the first and the last among threads: gather the best 2K continuations, decide who lives and who
 * has finished, write the history. All backends compile this file; docs/numerics.md gives the rules and their sources.
 *
 * History convention: at step t (t tokens stand) new beam b takes token tok[t][b] after parent p = parent[t][b]; then
 * ancestor[(t+1) & 1][b] is a copy of ancestor[t & 1][p] in [0, t), and p at [t]: position q of b's path was computed by row ancestor[..][b][q].
 */
#ifndef HEDDLE_DETAIL_BEAM_STEP_H
#define HEDDLE_DETAIL_BEAM_STEP_H

#include <heddle/detail/candidate.h>
#include <heddle/detail/history.h>
#include <heddle/detail/portable.h>
#include <heddle/detail/score.h>

/* Who lives on after the step. */
typedef struct hdl_beam_plan {
    hdl_candidate live[HDL_MAX_BEAM];
    int32_t       n_live;
    int32_t       done;
} hdl_beam_plan;

HDL_FN int hdl_token_in(const int32_t *ids, int32_t n, int32_t token)
{
    for (int32_t i = 0; i < n; i++)
        if (ids[i] == token) return 1;
    return 0;
}

/* A step whose token is given: `t` tokens stand and the prefix, which is not biased, is longer. */
HDL_FN int hdl_in_hard_prefix(const hdl_slot_options *o, int32_t t)
{
    return o->prefix_bias == 0.0f && t < o->n_prefix;
}

/* log((1 - b) p + b [token is the prefix's next]): the distribution of a hypothesis that still follows a biased prefix. */
HDL_FN float hdl_biased_logprob(float logprob, float bias, int is_next)
{
    return logf((1.0f - bias) * expf(logprob) + (is_next ? bias : 0.0f));
}

/* Phase 1: the best 2K continuations of all live rows, in order. Returns how many; -1 when a live row's logits were not finite. */
HDL_FN int32_t hdl_beam_gather(const hdl_slot_options *o, const hdl_slot_state *s, const float *sum,
                               const int32_t *id, const float *logprob, const int32_t *n, int32_t n_rows,
                               hdl_candidate *best)
{
    const int32_t capacity = 2 * o->K, rows = s->n_live < n_rows ? s->n_live : n_rows;
    int32_t found = 0;
    for (int32_t b = 0; b < rows; b++) {
        if (n[b] < 0) return -1;
        for (int32_t i = 0; i < n[b]; i++) {
            hdl_candidate c;
            c.logprob = logprob[b * HDL_MAX_CANDIDATES + i];
            c.sum = sum[b] + c.logprob;
            c.beam = b;
            c.token = id[b * HDL_MAX_CANDIDATES + i];
            if (found == capacity && c.sum < best[found - 1].sum) break;    /* a row's list only falls */
            found = hdl_candidate_insert(best, found, capacity, &c);
        }
    }
    return found;
}

/*
 * Adds a finished hypothesis. When the pool is full the worst makes room: with HDL_STOP_BOUND it holds n_enough; with HDL_STOP_COUNT it can
 * only fill up without a length penalty, when the search goes on until a rank-1 candidate ends.
 */
HDL_FN void hdl_beam_finish(const hdl_slot_options *o, hdl_slot_state *s, hdl_finished *pool,
                            const hdl_candidate *c, int32_t by_length, int32_t order)
{
    hdl_finished f;
    f.step = s->t;
    f.parent = c->beam;
    f.token = c->token;
    f.logprob = c->logprob;
    f.sum = c->sum;
    f.by_length = by_length;
    f.order = order;
    f.score = c->sum / hdl_length_divisor(s->t + 1, o->length_penalty, (hdl_length_norm)o->length_norm);
    if (s->n_finished < (o->stop_rule == HDL_STOP_BOUND ? o->n_enough : o->n_pool)) {
        pool[s->n_finished++] = f;
        return;
    }
    int32_t worst = 0;
    for (int32_t i = 1; i < s->n_finished; i++)
        if (pool[i].score < pool[worst].score
            || (pool[i].score == pool[worst].score && pool[i].order > pool[worst].order))
            worst = i;
    if (f.score > pool[worst].score) pool[worst] = f;
}

/* Whether the slot may stop, after this step's finished hypotheses are in the pool. */
HDL_FN int hdl_beam_may_stop(const hdl_slot_options *o, const hdl_slot_state *s, const hdl_finished *pool,
                             const hdl_beam_plan *plan)
{
    if (plan->n_live == 0) return 1;
    if (o->K == 1) return s->n_finished > 0;    /* greedy: rank 1 only */
    if (o->stop_rule == HDL_STOP_ALL) return 0;
    if (o->stop_rule == HDL_STOP_BOUND) {
        if (s->n_finished < o->n_enough) return 0;
        float worst = pool[0].score;
        for (int32_t i = 1; i < s->n_finished; i++)
            if (pool[i].score < worst) worst = pool[i].score;
        float best = plan->live[0].sum;
        for (int32_t b = 1; b < plan->n_live; b++)
            if (plan->live[b].sum > best) best = plan->live[b].sum;
        return worst >= best / hdl_length_divisor(s->t + 1, o->length_penalty, (hdl_length_norm)o->length_norm);
    }
    if (o->length_penalty == 0.0f && o->coverage_penalty == 0.0f)
        return s->top_ended != 0 && s->n_finished >= o->n_best;
    return s->n_finished >= o->n_enough;
}

/* Phase 2: ranks 1..K live on or finish; an ended one's place goes to the next candidate of ranks K+1..2K that does not end. */
HDL_FN void hdl_beam_decide(const hdl_slot_options *o, hdl_slot_state *s, const int32_t *side,
                            const hdl_candidate *best, int32_t found, hdl_finished *pool, hdl_beam_plan *plan)
{
    const int32_t *ends = side + o->end_off;
    const int last = s->t + 1 >= o->max_length;
    const int top_only = o->prefix_bias == 0.0f && o->n_prefix > 0 && s->t == o->n_prefix
                         && (o->flags & HDL_SLOT_FREE_END) == 0;
    const int shrink = o->stop_rule == HDL_STOP_ALL;
    const int32_t places = shrink ? o->K - s->n_finished : o->K;
    int32_t next = places, order = s->t * HDL_MAX_BEAM;     /* a step has at most 64 ranks */
    plan->n_live = 0;
    for (int32_t rank = 0; rank < places && rank < found; rank++, order++) {
        const hdl_candidate *c = &best[rank];
        const int end = hdl_token_in(ends, o->n_end, c->token);
        const int counts = end && !(top_only && rank > 0);
        if (counts && rank == 0) s->top_ended = 1;
        if (counts || (last && !end)) hdl_beam_finish(o, s, pool, c, !end, order);
        if (last) continue;
        if (!end) {
            plan->live[plan->n_live++] = *c;
            continue;
        }
        if (shrink) continue;
        while (next < found && hdl_token_in(ends, o->n_end, best[next].token)) next++;
        if (next < found) plan->live[plan->n_live++] = best[next++];
    }
    plan->done = last || hdl_beam_may_stop(o, s, pool, plan);
}

/* The first free step of HDL_SLOT_ALTERNATIVES: the n_best best tokens that are not end tokens, and the slot is done. */
HDL_FN void hdl_beam_alternatives(const hdl_slot_options *o, hdl_slot_state *s, const int32_t *side,
                                  const hdl_candidate *best, int32_t found, hdl_finished *pool)
{
    for (int32_t i = 0; i < found && s->n_finished < o->n_best; i++)
        if (!hdl_token_in(side + o->end_off, o->n_end, best[i].token))
            hdl_beam_finish(o, s, pool, &best[i], 1, i);
}

/* Phase 3 for one new beam: its row of the history, its path, its input token for the next step. */
HDL_FN void hdl_beam_write(const hdl_slots *slots, int32_t slot, const hdl_history_layout *at, int32_t t,
                           const hdl_beam_plan *plan, int32_t b)
{
    const hdl_slot_options *o = &slots->options[slot];
    uint8_t *history = slots->history + slots->history_off[slot];
    const hdl_candidate *c = &plan->live[b];
    const int64_t K = o->K, place = (int64_t)t * K + b;
    ((int32_t *)(void *)(history + at->tok))[place] = c->token;
    ((float *)(void *)(history + at->logprob))[place] = c->logprob;
    (history + at->parent)[place] = (uint8_t)c->beam;
    const uint8_t *from = hdl_ancestor_row(history, at, o, t, c->beam);
    uint8_t *to = history + at->ancestor + ((int64_t)((t + 1) & 1) * K + b) * o->T;
    for (int32_t q = 0; q < t; q++) to[q] = from[q];
    to[t] = (uint8_t)c->beam;
    slots->token[(int64_t)slot * HDL_MAX_BEAM + b] = c->token;
    slots->sum[(int64_t)slot * HDL_MAX_BEAM + b] = c->sum;
}

/* After the plan is written: bits of the beams that still follow a biased prefix. */
HDL_FN uint64_t hdl_beam_following(const hdl_slot_options *o, const hdl_slot_state *s, const int32_t *side,
                                   const hdl_beam_plan *plan)
{
    uint64_t following = 0;
    if (o->prefix_bias == 0.0f || s->t >= o->n_prefix) return 0;
    for (int32_t b = 0; b < plan->n_live; b++)
        if (((s->following >> plan->live[b].beam) & 1u) != 0 && plan->live[b].token == side[o->prefix_off + s->t])
            following |= (uint64_t)1 << b;
    return following;
}

/* A forced step: the prefix's token follows with log-probability 0; a prefix as long as max_length ends the slot. */
HDL_FN void hdl_beam_force(const hdl_slot_options *o, hdl_slot_state *s, const int32_t *side, float sum,
                           hdl_finished *pool, hdl_beam_plan *plan)
{
    hdl_candidate *c = &plan->live[0];
    c->beam = 0;
    c->token = side[o->prefix_off + s->t];
    c->logprob = 0.0f;
    c->sum = sum;
    plan->n_live = 1;
    plan->done = s->t + 1 >= o->max_length;
    if (plan->done) hdl_beam_finish(o, s, pool, c, 1, 0);
}

/*
 * The whole step of a slot. `id`, `logprob` and `n` begin at the slot's first row ([n_rows, 128] and [n_rows]).
 * Advances state->t; sets done, failed. A slot that is done is left alone.
 */
HDL_FN void hdl_beam_step_slot(const hdl_slots *slots, int32_t slot, const int32_t *id, const float *logprob,
                               const int32_t *n, int32_t n_rows)
{
    const hdl_slot_options *o = &slots->options[slot];
    hdl_slot_state *s = &slots->state[slot];
    if (s->done) return;
    const float *sum = slots->sum + (int64_t)slot * HDL_MAX_BEAM;
    const hdl_history_layout at = hdl_history_layout_of(o);
    hdl_finished *pool = (hdl_finished *)(void *)(slots->history + slots->history_off[slot] + at.finished);
    hdl_beam_plan plan;
    if (hdl_in_hard_prefix(o, s->t)) {
        hdl_beam_force(o, s, slots->side, sum[0], pool, &plan);
    } else {
        hdl_candidate best[HDL_MAX_CANDIDATES];
        const int32_t found = hdl_beam_gather(o, s, sum, id, logprob, n, n_rows, best);
        if (found < 0) {
            s->failed = 1;
            s->done = 1;
            return;
        }
        if ((o->flags & HDL_SLOT_ALTERNATIVES) != 0) {
            hdl_beam_alternatives(o, s, slots->side, best, found, pool);
            s->done = 1;
            return;
        }
        hdl_beam_decide(o, s, slots->side, best, found, pool, &plan);
    }
    const uint64_t following = hdl_beam_following(o, s, slots->side, &plan);
    if (!plan.done)
        for (int32_t b = 0; b < plan.n_live; b++) hdl_beam_write(slots, slot, &at, s->t, &plan, b);
    s->following = following;
    s->n_live = plan.n_live;
    s->t++;
    s->done = plan.done;
}

#endif /* HEDDLE_DETAIL_BEAM_STEP_H */
