/* op_search.c - histories that were written out token by token, and the rules of search by the book. */
#include "op_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void op_history_fill(op_world *w, op_slots *s, int32_t slot, int32_t n, int32_t V, op_paths *paths)
{
    const hdl_slot_options *o = &s->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    uint8_t *history = s->history + s->history_off[slot];
    int32_t *tok = (int32_t *)(void *)(history + at.tok);
    const size_t K = (size_t)o->K, T = (size_t)o->T;
    memset(paths, 0, sizeof *paths);
    for (int32_t t = 0; t < n; t++) {
        const op_paths before = *paths;
        for (size_t b = 0; b < K; b++) {
            const int32_t parent = t == 0 ? 0 : op_below(w, o->K), token = op_below(w, V);
            memcpy(paths->token[b], before.token[parent], sizeof paths->token[b]);
            paths->token[b][t] = token;
            tok[(size_t)t * K + b] = token;
            (history + at.parent)[(size_t)t * K + b] = (uint8_t)parent;
            const uint8_t *from = history + at.ancestor + ((size_t)(t & 1) * K + (size_t)parent) * T;
            uint8_t *to = history + at.ancestor + ((size_t)((t + 1) & 1) * K + b) * T;
            memcpy(to, from, (size_t)t);
            to[t] = (uint8_t)parent;
            s->token[(size_t)slot * HDL_MAX_BEAM + b] = token;
        }
        paths->n = t + 1;
    }
    s->state[slot].t = n;
    s->state[slot].n_live = o->K;
}

static void remove_token(uint8_t *kind, int32_t token) { kind[token] = HDL_EDIT_REMOVE; }

void op_edits_expected(const op_slots *s, int32_t slot, const int32_t *token, int32_t n, uint8_t kind[OP_MAX_V])
{
    const hdl_slot_options *o = &s->options[slot];
    memset(kind, 0, OP_MAX_V);
    if (o->prefix_bias == 0.0f && n < o->n_prefix) return;
    for (int32_t i = 0; o->repetition_penalty != 1.0f && i < n; i++) kind[token[i]] = HDL_EDIT_PENALISE;
    for (int32_t i = 0; n < o->min_length && i < o->n_end; i++) remove_token(kind, s->side[o->end_off + i]);
    const int32_t g = o->ngram;     /* the next token would end an n-gram that stands already */
    for (int32_t i = 0; g > 0 && i + g <= n; i++)
        if (memcmp(token + i, token + n - (g - 1), (size_t)(g - 1) * sizeof *token) == 0) remove_token(kind, token[i + g - 1]);
    const int32_t *sequence = s->side + o->suppress_off;
    for (int32_t i = 0; i < o->n_suppress; i++, sequence += 1 + sequence[0]) {
        const int32_t head = sequence[0] - 1;
        if (head <= n && memcmp(token + n - head, sequence + 1, (size_t)head * sizeof *token) == 0)
            remove_token(kind, sequence[1 + head]);
    }
    if ((o->flags & HDL_SLOT_NO_UNKNOWN) != 0 && o->unknown_id >= 0) remove_token(kind, o->unknown_id);
    if (o->pad_id >= 0) remove_token(kind, o->pad_id);
}

static const double *sort_by;
static int compare_tokens(const void *a, const void *b)
{
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (sort_by[i] != sort_by[j]) return sort_by[i] > sort_by[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

void op_reduce_expected(const op_slots *s, int32_t slot, const double *z, int32_t V, const uint8_t *kind, int32_t t,
                        bool following, op_expected *out)
{
    const hdl_slot_options *o = &s->options[slot];
    double max = -INFINITY, sum = 0.0;
    bool allowed[OP_MAX_V];
    for (int32_t v = 0; v < V; v++) allowed[v] = o->n_allow == 0;
    for (int32_t i = 0; i < o->n_allow; i++) allowed[s->side[o->allow_off + i]] = true;
    for (int32_t v = 0; v < V; v++) {
        double value = z[v];
        if (kind[v] == HDL_EDIT_PENALISE) value = value < 0.0 ? value * (double)o->repetition_penalty : value / (double)o->repetition_penalty;
        if (kind[v] == HDL_EDIT_REMOVE || !allowed[v]) value = -INFINITY;
        out->logprob[v] = value;
        if (value > max) max = value;
    }
    for (int32_t v = 0; v < V && max > -INFINITY; v++) sum += exp(out->logprob[v] - max);
    out->n = 0;
    const double bias = (double)o->prefix_bias;
    for (int32_t v = 0; v < V && max > -INFINITY; v++) {
        out->logprob[v] -= max + log(sum);
        if (following)
            out->logprob[v] = log((1.0 - bias) * exp(out->logprob[v]) + (v == s->side[o->prefix_off + t] ? bias : 0.0));
        if (out->logprob[v] > -INFINITY) out->order[out->n++] = v;
    }
    sort_by = out->logprob;
    qsort(out->order, (size_t)out->n, sizeof *out->order, compare_tokens);
}
