/*
 * test_beam_op.c - the beam_step op of every backend against detail/beam_step.h run on the host,
 * bit for bit: whole searches of eight slots with every stop rule, prefixes, alternatives, ties,
 * and rows that failed.
 *
 * What the rules themselves say is test_beam_step.c's; divisors here are exact, so that powf's last
 * place plays no part.
 */
#include "op_fixture.h"

#include <heddle/detail/beam_step.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(beam_op, .timeout = OP_TEST_SECONDS);

enum { T = 24, V = 300, MAX_ROWS = 160, STEPS = T + 1, SCHEDULES = 8, MOST_HISTORY = 1 << 18 };

typedef struct beam_case {
    op_slots slots; /* as the op leaves them */
    op_rows rows;
    int32_t id[MAX_ROWS * HDL_MAX_CANDIDATES], n[MAX_ROWS];
    float logprob[MAX_ROWS * HDL_MAX_CANDIDATES];
    hdl_candidates device;
    /* the same slots, advanced by the pure functions */
    hdl_slots host;
    hdl_slot_state state[OP_MAX_SLOTS];
    int32_t token[OP_MAX_SLOTS * HDL_MAX_BEAM];
    float sum[OP_MAX_SLOTS * HDL_MAX_BEAM];
    _Alignas(64) uint8_t history[MOST_HISTORY];
} beam_case;

static void set_options(op_slots *s, const int32_t K[OP_MAX_SLOTS])
{
    const int32_t end[2] = {0, 5}, prefix[4] = {11, 12, 13, 14};
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
        s->options[i] = op_options(K[i], T, 4);
        s->options[i].end_off = op_side(s, end, 2);
        s->options[i].n_end = 1 + i % 2;
        s->options[i].prefix_off = op_side(s, prefix, 4);
        s->options[i].stop_rule = (uint8_t)(i % 3);
        s->options[i].max_length = T - i;
        s->state[i] = (hdl_slot_state){.n_live = 1, .following = 1};
    }
    s->options[2].length_penalty = 0.0f;
    s->options[3].length_norm = HDL_LENGTH_GNMT;
    s->options[4].n_prefix = 3; /* hard */
    s->options[5].n_prefix = 4; /* biased */
    s->options[5].prefix_bias = 0.5f;
    s->options[6].flags = HDL_SLOT_ALTERNATIVES;
    s->options[6].n_best = 3;
    s->options[7].n_prefix = 2;
    s->options[7].flags = HDL_SLOT_FREE_END;
}

static void make_case(op_world *w, beam_case *c, const int32_t K[OP_MAX_SLOTS])
{
    memset(c, 0, sizeof *c);
    c->slots.n = OP_MAX_SLOTS;
    set_options(&c->slots, K);
    op_slots_make(w, &c->slots, V);
    op_slots_send(w, &c->slots);
    cr_assert_leq(c->slots.history_bytes, sizeof c->history);
    c->rows = op_rows_make(w, MAX_ROWS);
    c->device =
        (hdl_candidates){op_device(w, NULL, sizeof c->id), op_device(w, NULL, sizeof c->logprob),
                         op_device(w, NULL, sizeof c->n)};
    memcpy(c->state, c->slots.state, sizeof c->state);
    c->host = (hdl_slots){.n_slots = c->slots.n,
                          .V = V,
                          .options = c->slots.options,
                          .state = c->state,
                          .token = c->token,
                          .sum = c->sum,
                          .history = c->history,
                          .history_off = c->slots.history_off,
                          .side = c->slots.side};
}

static int compare_choices(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Candidates of one row: eighths, so that sums tie often; best first, equal ones by token, as
 * logit_reduce leaves them. */
static void offer(op_world *w, beam_case *c, int32_t row, int32_t K)
{
    int32_t choice[2 * HDL_MAX_BEAM]; /* eighths * V + token: ascending is the order asked for */
    const int32_t n = op_below(w, 8) == 0 ? 1 + op_below(w, 2 * K) : 2 * K;
    /* tokens of a row differ, as 7 and V share no factor; in a third of the rows the first ends */
    const int32_t first = op_below(w, 3) == 0 ? op_below(w, 2) * 5 : op_below(w, V);
    for (int32_t i = 0; i < n; i++)
        choice[i] = op_below(w, 4 + K) * V + (first + i * 7) % V;
    qsort(choice, (size_t)n, sizeof *choice, compare_choices);
    for (int32_t i = 0; i < n; i++) {
        c->id[row * HDL_MAX_CANDIDATES + i] = choice[i] % V;
        c->logprob[row * HDL_MAX_CANDIDATES + i] = -0.125f * (float)(choice[i] / V);
    }
    c->n[row] = n;
}

/* Rows of the slots that live, and what they offer; slot `failing` (-1: none) has a row whose
 * logits were not finite. */
static void fill_step(op_world *w, beam_case *c, int32_t failing)
{
    c->rows.n = c->rows.n_groups = 0;
    for (int32_t slot = 0; slot < c->slots.n; slot++) {
        if (c->state[slot].done != 0 && slot % 2 == 0)
            continue; /* of the odd ones ghosts stay in the list */
        for (int32_t b = 0; b < c->state[slot].n_live; b++) {
            offer(w, c, c->rows.n, c->slots.options[slot].K);
            if (slot == failing && b == c->state[slot].n_live - 1) c->n[c->rows.n] = -1;
            op_row_add(&c->rows, slot, b, c->state[slot].t);
        }
    }
    op_rows_send(w, &c->rows);
    op_send(w, c->device.id, c->id, sizeof c->id);
    op_send(w, c->device.logprob, c->logprob, sizeof c->logprob);
    op_send(w, c->device.n, c->n, sizeof c->n);
}

static void check_step(op_world *w, beam_case *c, int step)
{
    const hdl_beam_step_args a = {sizeof a, &c->slots.at, &c->rows.at, c->device, MAX_ROWS, 0};
    cr_assert_eq(w->backend->beam_step(w->stream, &a), HDL_OK);
    for (int32_t g = 0; g < c->rows.n_groups; g++) {
        const int32_t first = c->rows.group[g];
        hdl_beam_step_slot(&c->host, c->rows.slot[first], c->id + first * HDL_MAX_CANDIDATES,
                           c->logprob + first * HDL_MAX_CANDIDATES, c->n + first,
                           c->rows.group[g + 1] - first);
    }
    op_slots_fetch(w, &c->slots);
    for (int32_t slot = 0; slot < c->slots.n; slot++) {
        const size_t at = (size_t)slot * HDL_MAX_BEAM, K = (size_t)c->slots.options[slot].K;
        cr_assert_eq(
            memcmp(&c->slots.state[slot], &c->state[slot], sizeof c->state[slot]), 0,
            "%s, step %d, slot %d: state (t %d %d, live %d %d, finished %d %d, done %d %d)",
            op_place_name(w->place), step, slot, c->slots.state[slot].t, c->state[slot].t,
            c->slots.state[slot].n_live, c->state[slot].n_live, c->slots.state[slot].n_finished,
            c->state[slot].n_finished, c->slots.state[slot].done, c->state[slot].done);
        cr_assert_eq(memcmp(c->slots.token + at, c->token + at, K * sizeof(int32_t)), 0,
                     "step %d, slot %d: tokens", step, slot);
        cr_assert_eq(memcmp(c->slots.sum + at, c->sum + at, K * sizeof(float)), 0,
                     "step %d, slot %d: sums", step, slot);
    }
    cr_assert_eq(memcmp(c->slots.history, c->history, c->slots.history_bytes), 0,
                 "step %d: the history", step);
}

static void run_search(op_world *w, const int32_t K[OP_MAX_SLOTS], int32_t failing, int steps)
{
    static beam_case c;
    make_case(w, &c, K);
    for (int step = 0; step < steps; step++) {
        fill_step(w, &c, step == 7 ? failing : -1);
        check_step(w, &c, step);
    }
    for (int32_t slot = 0; slot < c.slots.n && steps == STEPS; slot++)
        cr_assert(c.state[slot].done, "slot %d goes on", slot);
}

static void check_place(op_place place)
{
    static const int32_t narrow[OP_MAX_SLOTS] = {1, 4, 2, 3, 4, 5, 4, 1},
                         wide[OP_MAX_SLOTS] = {1, 1, 6, 64, 12, 8, 16, 2};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        op_world w;
        if (!op_open_at(&w, place, 40 + seed)) return;
        run_search(&w, narrow, seed == 2 ? 1 : -1, STEPS);
        run_search(&w, wide, seed == 2 ? 3 : -1, op_on_simt(&w) ? 4 : STEPS);
        for (uint64_t order = 1; op_on_simt(&w) && seed == 1 && order <= SCHEDULES; order++) {
            op_schedule(&w, order);
            run_search(&w, narrow, -1, 5);
        }
        op_close(&w);
    }
}

Test(beam_op, plain) { check_place(OP_PLAIN); }
Test(beam_op, simt) { check_place(OP_SIMT_F32); }
Test(beam_op, cuda) { check_place(OP_CUDA_F32); }
