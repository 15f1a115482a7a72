/*
 * test_logit_edits.c - which logits are penalised or removed, on every backend, against the rules
 * of search written out: repetition, n-grams, suppressed sequences, minimum length, unknown, pad;
 * prefixes, done slots, rows past the count.
 */
#include "op_search.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(logit_edits, .timeout = OP_TEST_SECONDS);

enum { V = 200, STRIDE = 2 * OP_MAX_T + 32, MAX_ROWS = 160, SCHEDULES = 8, UNTOUCHED = 0x55555555 };

typedef struct edit_case {
    op_slots slots;
    op_paths paths[OP_MAX_SLOTS];
    op_rows rows;
    int32_t tokens;
} edit_case;

static void set_options(op_slots *s)
{
    static const int32_t K[OP_MAX_SLOTS] = {1, 4, 2, 64, 5, 3, 4, 1};
    static const int32_t end[3] = {0, V - 1, 7}, prefix[4] = {1, V - 1, 1, 2};
    static const int32_t suppressed[11] = {1, V / 3, 2, 1, 2, 2, 0, 1, 2, 3, 3};
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
        s->options[i] = op_options(K[i], OP_MAX_T, 4);
        s->options[i].end_off = op_side(s, end, 3);
        s->options[i].n_end = 1 + i % 3;
    }
    s->options[0].pad_id = 3;
    s->options[1].repetition_penalty = 1.5f;
    s->options[1].min_length = 64;
    s->options[2].ngram = 2;
    s->options[2].pad_id = V - 1;
    s->options[3].repetition_penalty = 0.5f;
    s->options[3].flags = HDL_SLOT_NO_UNKNOWN;
    s->options[3].unknown_id = 1;
    s->options[3].ngram = 3;
    s->options[4].suppress_off = op_side(s, suppressed, 11);
    s->options[4].n_suppress = 4;
    s->options[4].ngram = 1;
    s->options[5].repetition_penalty = 2.0f;
    s->options[5].ngram = 2;
    s->options[5].pad_id = 1;
    s->options[6].prefix_off = op_side(s, prefix, 4);
    s->options[6].n_prefix = 4;
    s->options[6].prefix_bias = 0.25f;
    s->options[6].repetition_penalty = 1.2f;
    s->options[7].prefix_off = op_side(s, prefix, 4);
    s->options[7].n_prefix = 4;
    s->options[7].pad_id = 3;
}

/* n[i] of `tokens` different tokens stand in slot i; the first `slots` slots take part. */
static void make_case(op_world *w, edit_case *c, const int32_t n[OP_MAX_SLOTS], int32_t tokens)
{
    memset(c, 0, sizeof *c);
    c->slots.n = OP_MAX_SLOTS;
    set_options(&c->slots);
    op_slots_make(w, &c->slots, V);
    c->rows = op_rows_make(w, MAX_ROWS);
    for (int32_t i = 0; i < OP_MAX_SLOTS; i++) {
        op_history_fill(w, &c->slots, i, n[i], tokens, &c->paths[i]);
        for (int32_t b = 0; b < c->slots.options[i].K; b++)
            op_row_add(&c->rows, i, b, n[i]);
    }
    op_rows_send(w, &c->rows);
    op_slots_send(w, &c->slots);
}

static void check_row(const edit_case *c, int32_t row, const int32_t *entries, int32_t n)
{
    static uint8_t kind[OP_MAX_V];
    const int32_t slot = c->rows.slot[row], beam = c->rows.beam[row];
    int32_t expected = 0;
    op_edits_expected(&c->slots, slot, c->paths[slot].token[beam], c->rows.pos[row], kind);
    for (int32_t v = 0; v < V; v++) {
        if (kind[v] == 0) continue;
        cr_assert_lt(expected, n, "slot %d beam %d: token %d has no entry", slot, beam, v);
        cr_assert_eq(entries[expected], v * 4 + kind[v], "slot %d beam %d entry %d: %d, not %d",
                     slot, beam, expected, entries[expected], v * 4 + kind[v]);
        expected++;
    }
    cr_assert_eq(n, expected, "slot %d beam %d: %d entries, not %d", slot, beam, n, expected);
}

static void run_case(op_world *w, const edit_case *c)
{
    static int32_t entries[MAX_ROWS * STRIDE], n[MAX_ROWS];
    memset(entries, 0x55, sizeof entries);
    memset(n, 0x55, sizeof n);
    const hdl_edits edits = {op_device(w, entries, sizeof entries), op_device(w, n, sizeof n),
                             STRIDE};
    const hdl_logit_edits_args a = {sizeof a, &c->slots.at, &c->rows.at, edits, MAX_ROWS, 0};
    cr_assert_eq(w->backend->logit_edits(w->stream, &a), HDL_OK);
    op_fetch(w, entries, edits.entries, sizeof entries);
    op_fetch(w, n, edits.n, sizeof n);
    for (int32_t row = 0; row < MAX_ROWS; row++) {
        if (row >= c->rows.n || c->slots.state[c->rows.slot[row]].done != 0)
            cr_assert_eq(n[row], UNTOUCHED, "row %d was written", row);
        else
            check_row(c, row, entries + row * STRIDE, n[row]);
    }
}

static void check_place(op_place place)
{
    static edit_case c;
    static const int32_t lengths[4][OP_MAX_SLOTS] = {{0, 0, 0, 0, 0, 0, 0, 0},
                                                     {5, 40, 30, 7, 9, 2, 3, 2},
                                                     {60, 63, 12, 20, 33, 7, 5, 4},
                                                     {1, 2, 64, 35, 1, 64, 8, 3}};
    for (size_t i = 0; i < 8; i++) {
        op_world w;
        if (!op_open_at(&w, place, 700 + i)) return;
        make_case(&w, &c, lengths[i / 2], i % 2 == 0 ? 4 : 100); /* few tokens: n-grams repeat */
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) && i == 3 ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            run_case(&w, &c);
        }
        c.slots.state[3].done = c.slots.state[7].done = 1;
        op_slots_send(&w, &c.slots);
        run_case(&w, &c);
        op_close(&w);
    }
}

Test(logit_edits, plain) { check_place(OP_PLAIN); }
Test(logit_edits, simt) { check_place(OP_SIMT_F32); }
Test(logit_edits, cuda) { check_place(OP_CUDA_F32); }
