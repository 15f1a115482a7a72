/* test_beam_step.c - one step of search for one slot: who lives, who has finished, when it stops, what the history says. */
#include "result_hash.h"

#include <heddle/detail/beam_step.h>

#include <criterion/criterion.h>
#include <string.h>

enum { MOST_T = 64, END = 0, HISTORY_BYTES = 1 << 20 };

/* One slot and what a step of it reads. */
static struct {
    hdl_slot_options options;
    hdl_slot_state   state;
    int32_t          token[HDL_MAX_BEAM], side[64], id[HDL_MAX_BEAM * HDL_MAX_CANDIDATES], n[HDL_MAX_BEAM];
    float            sum[HDL_MAX_BEAM], logprob[HDL_MAX_BEAM * HDL_MAX_CANDIDATES];
    uint64_t         history_off;
    _Alignas(64) uint8_t history[HISTORY_BYTES];
    hdl_slots        slots;
} rig;

static void open_rig(int32_t K, int32_t n_best)
{
    memset(&rig, 0, sizeof rig);
    rig.options = (hdl_slot_options){.K = K, .n_best = n_best, .n_enough = K, .n_pool = 2 * K, .length_penalty = 1.0f,
                                     .max_length = MOST_T, .T = MOST_T, .n_end = 1, .unknown_id = -1, .pad_id = -1};
    rig.state = (hdl_slot_state){.n_live = 1, .following = 1};
    rig.side[0] = END;
    rig.slots = (hdl_slots){.n_slots = 1, .options = &rig.options, .state = &rig.state, .token = rig.token, .sum = rig.sum,
                            .history = rig.history, .history_off = &rig.history_off, .side = rig.side};
}

typedef struct choice { int32_t token; float logprob; } choice;

static void offer(int32_t beam, const choice *choices, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        rig.id[beam * HDL_MAX_CANDIDATES + i] = choices[i].token;
        rig.logprob[beam * HDL_MAX_CANDIDATES + i] = choices[i].logprob;
    }
    rig.n[beam] = n;
}

static void step(void) { hdl_beam_step_slot(&rig.slots, 0, rig.id, rig.logprob, rig.n, rig.state.n_live); }

static const hdl_finished *pool(void)
{
    return (const hdl_finished *)(const void *)(rig.history + hdl_history_layout_of(&rig.options).finished);
}

Test(beam_step, an_ended_place_goes_to_the_next_that_does_not_end)
{
    open_rig(3, 1);
    rig.side[1] = 9;
    rig.options.n_end = 2;
    offer(0, (choice[]){{5, -0.1f}, {END, -0.2f}, {6, -0.3f}, {9, -0.4f}, {7, -0.5f}, {8, -0.6f}}, 6);
    step();
    cr_expect_eq(rig.state.n_finished, 1);
    cr_expect_eq(rig.state.n_live, 3);
    cr_expect_eq(rig.token[0], 5);
    cr_expect_eq(rig.token[1], 7);      /* 9 of rank 4 is an end token: ignored */
    cr_expect_eq(rig.token[2], 6);
    cr_expect_not(rig.state.top_ended);
    cr_expect_not(rig.state.done);
    cr_expect_eq(pool()[0].order, 1);
}

Test(beam_step, equal_sums_go_to_the_lower_beam_then_token)
{
    open_rig(2, 1);
    rig.state.n_live = 2;
    rig.state.t = 1;
    offer(0, (choice[]){{4, -1.0f}, {8, -1.0f}, {1, -3.0f}}, 3);
    offer(1, (choice[]){{2, -1.0f}, {3, -1.0f}, {1, -2.0f}}, 3);
    step();
    cr_expect_eq(rig.token[0], 4);
    cr_expect_eq(rig.token[1], 8);
    rig.state.t = 1;
    rig.sum[0] = -1.0f;
    rig.sum[1] = 0.0f;
    offer(0, (choice[]){{4, 0.0f}, {8, -0.5f}}, 2);
    offer(1, (choice[]){{7, -1.0f}, {9, -1.0f}}, 2);
    step();
    cr_expect_eq(rig.token[0], 4);
    cr_expect_eq(rig.token[1], 7);
}

Test(beam_step, greedy_ends_at_rank_one_only)
{
    open_rig(1, 1);
    offer(0, (choice[]){{5, -0.1f}, {END, -0.2f}}, 2);
    step();
    cr_expect_eq(rig.state.n_finished, 0);
    offer(0, (choice[]){{END, -0.1f}, {5, -0.2f}}, 2);
    step();
    cr_expect_eq(rig.state.n_finished, 1);
    cr_expect(rig.state.done);
    cr_expect_eq(pool()[0].step, 1);
    cr_expect_eq(pool()[0].by_length, 0);
}

/* Without a length penalty only a rank-1 end stops the search. However many have ended before, the best ones are kept. */
Test(beam_step, a_full_pool_keeps_the_best)
{
    open_rig(3, 1);
    rig.options.length_penalty = 0.0f;
    rig.state.n_live = 3;
    for (int t = 0; t < 12; t++) {
        /* beam 0 goes on at no cost; ranks 2 and 3 end, worse every time */
        offer(0, (choice[]){{5, 0.0f}, {END, -2.0f - (float)t}, {6, -90.0f}, {7, -91.0f}}, 4);
        offer(1, (choice[]){{END, -3.0f - (float)t}, {6, -80.0f}}, 2);
        offer(2, (choice[]){{6, -95.0f}}, 1);
        rig.sum[1] = rig.sum[2] = 0.0f;
        step();
        cr_assert_not(rig.state.done);
    }
    cr_expect_eq(rig.state.n_finished, rig.options.n_pool);
    offer(0, (choice[]){{END, -0.5f}, {5, -9.0f}}, 2);
    offer(1, (choice[]){{6, -80.0f}}, 1);
    offer(2, (choice[]){{6, -95.0f}}, 1);
    step();
    cr_expect(rig.state.done);
    float best = -1e9f;
    for (int32_t i = 0; i < rig.state.n_finished; i++)
        if (pool()[i].sum > best) best = pool()[i].sum;
    cr_expect_eq(best, -0.5f, "the hypothesis that ended the search was dropped: the best kept one has %g", (double)best);
}

Test(beam_step, count_stops_when_enough_have_finished)
{
    open_rig(2, 1);
    rig.state.n_live = 2;
    offer(0, (choice[]){{5, -0.1f}, {6, -1.0f}, {END, -9.0f}}, 3);
    offer(1, (choice[]){{END, -0.2f}, {6, -1.5f}}, 2);
    step();
    cr_expect_eq(rig.state.n_finished, 1);
    cr_expect_not(rig.state.done);
    rig.sum[0] = rig.sum[1] = 0.0f;
    step();
    cr_expect(rig.state.done);
}

Test(beam_step, a_hard_prefix_is_forced)
{
    open_rig(2, 1);
    memcpy(rig.side + 8, (int32_t[]){11, 12}, 8);
    rig.options.prefix_off = 8;
    rig.options.n_prefix = 2;
    rig.sum[0] = -1.25f;
    step();
    cr_expect_eq(rig.token[0], 11);
    step();
    cr_expect_eq(rig.token[0], 12);
    cr_expect_eq(rig.state.n_live, 1);
    cr_expect_eq(rig.sum[0], -1.25f);
    /* right after it an end token counts at rank 1 only */
    offer(0, (choice[]){{5, -0.1f}, {END, -0.2f}, {6, -0.3f}, {7, -0.4f}}, 4);
    const hdl_slot_state before = rig.state;
    step();
    cr_expect_eq(rig.state.n_finished, 0);
    cr_expect_eq(rig.token[1], 6);
    rig.state = before;
    rig.options.flags = HDL_SLOT_FREE_END;
    step();
    cr_expect_eq(rig.state.n_finished, 1);
}

Test(beam_step, a_prefix_as_long_as_max_length_is_the_result)
{
    open_rig(2, 1);
    memcpy(rig.side + 8, (int32_t[]){11, 12, 13}, 12);
    rig.options.prefix_off = 8;
    rig.options.n_prefix = 3;
    rig.options.max_length = rig.options.T = 2;
    step();
    step();
    cr_expect(rig.state.done);
    cr_expect_eq(rig.state.n_finished, 1);
    cr_expect_eq(pool()[0].token, 12);
    cr_expect_eq(pool()[0].sum, 0.0f);
    cr_expect_eq(pool()[0].by_length, 1);
}

Test(beam_step, at_max_length_all_ranks_finish)
{
    open_rig(3, 1);
    rig.options.max_length = rig.options.T = 1;
    offer(0, (choice[]){{5, -0.1f}, {END, -0.2f}, {6, -0.3f}, {7, -0.4f}}, 4);
    step();
    cr_expect(rig.state.done);
    cr_expect_eq(rig.state.n_finished, 3);
    cr_expect_eq(pool()[0].by_length, 1);
    cr_expect_eq(pool()[1].by_length, 0);
    cr_expect_eq(pool()[2].token, 6);
}

/* A beam ends with its hypothesis; the search stops when none lives. */
Test(beam_step, stop_all_shrinks)
{
    open_rig(2, 1);
    rig.options.stop_rule = HDL_STOP_ALL;
    offer(0, (choice[]){{END, -0.1f}, {5, -0.2f}, {6, -0.3f}, {7, -0.4f}}, 4);
    step();
    cr_expect_eq(rig.state.n_live, 1);
    cr_expect_not(rig.state.done);
    offer(0, (choice[]){{END, -0.1f}, {5, -0.2f}}, 2);
    step();
    cr_expect_eq(rig.state.n_finished, 2);
    cr_expect(rig.state.done);
}

/* Only as many as are enough are kept, the better ones; stops when no live one can beat the worst. */
Test(beam_step, stop_bound_keeps_the_better)
{
    open_rig(2, 2);
    rig.options.stop_rule = HDL_STOP_BOUND;
    rig.state.n_live = 2;
    offer(0, (choice[]){{5, -0.1f}, {END, -4.0f}, {6, -9.0f}, {7, -9.5f}}, 4);
    offer(1, (choice[]){{END, -3.0f}, {6, -8.0f}}, 2);
    step();
    cr_expect_eq(rig.state.n_finished, 1);
    cr_expect_eq(pool()[0].sum, -3.0f);
    offer(0, (choice[]){{END, -0.4f}, {5, -0.5f}, {6, -1.0f}}, 3);
    offer(1, (choice[]){{6, -1.0f}}, 1);
    step();
    cr_expect_eq(rig.state.n_finished, 2);
    cr_expect_not(rig.state.done);
    rig.sum[0] = -0.7f;
    offer(0, (choice[]){{END, -0.1f}, {5, -50.0f}, {6, -51.0f}}, 3);
    offer(1, (choice[]){{6, -60.0f}}, 1);
    step();
    cr_expect(rig.state.done);
    cr_expect_eq(rig.state.n_finished, 2);
    for (int i = 0; i < 2; i++) cr_expect_neq(pool()[i].sum, -3.0f);
}

Test(beam_step, a_bad_row_fails_the_slot_and_a_done_one_rests)
{
    open_rig(2, 1);
    rig.n[0] = -1;
    step();
    cr_expect(rig.state.failed);
    cr_expect(rig.state.done);
    const hdl_slot_state before = rig.state;
    offer(0, (choice[]){{5, -0.1f}}, 1);
    step();
    cr_expect_eq(memcmp(&before, &rig.state, sizeof before), 0);
}

/* The n_best most probable next tokens, end tokens left out, however wide the slot is. */
Test(beam_step, alternatives)
{
    open_rig(4, 2);
    rig.options.flags = HDL_SLOT_ALTERNATIVES;
    offer(0, (choice[]){{END, -0.1f}, {5, -0.2f}, {6, -0.3f}, {7, -0.4f}}, 4);
    step();
    cr_expect(rig.state.done);
    cr_expect_eq(rig.state.n_finished, 2);
    cr_expect_eq(pool()[0].token, 5);
    cr_expect_eq(pool()[1].token, 6);
}

Test(beam_step, a_beam_follows_the_biased_prefix_until_it_diverges)
{
    open_rig(2, 1);
    memcpy(rig.side + 8, (int32_t[]){11, 12, 13}, 12);
    rig.options.prefix_off = 8;
    rig.options.n_prefix = 3;
    rig.options.prefix_bias = 0.5f;
    offer(0, (choice[]){{5, -0.1f}, {11, -0.2f}, {6, -0.3f}}, 3);
    step();
    cr_expect_eq(rig.state.following, 2u);
    offer(0, (choice[]){{12, -0.1f}, {6, -9.0f}}, 2);
    offer(1, (choice[]){{12, -0.1f}, {6, -9.0f}}, 2);
    rig.sum[0] = rig.sum[1] = 0.0f;
    step();
    cr_expect_eq(rig.state.following, 2u, "beam 0 took the right token after a wrong one");
}

/* Twenty steps with random candidates: the ancestor rows say what the parents say. */
Test(beam_step, ancestors_are_the_parents_followed)
{
    enum { K = 5, STEPS = 20 };
    uint64_t random = 3;
    open_rig(K, 1);
    const hdl_history_layout at = hdl_history_layout_of(&rig.options);
    const uint8_t *parent = rig.history + at.parent;
    for (int32_t t = 0; t < STEPS; t++) {
        for (int32_t b = 0; b < rig.state.n_live; b++) {
            choice list[2 * K];
            for (int32_t i = 0; i < 2 * K; i++)
                list[i] = (choice){1 + i + 10 * b, -0.3f * (float)i - (float)(next_random(&random) % 100) * 0.002f};
            offer(b, list, 2 * K);
        }
        step();
        for (int32_t b = 0; b < rig.state.n_live; b++) {
            const uint8_t *row = hdl_ancestor_row(rig.history, &at, &rig.options, t + 1, b);
            int32_t beam = b;
            for (int32_t q = t; q >= 0; q--) {
                beam = parent[q * K + beam];
                cr_assert_eq(row[q], beam, "step %d, beam %d, position %d", t, b, q);
            }
        }
    }
}
