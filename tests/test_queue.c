/* test_queue.c - the queue of waiting sentences: priority, then arrival; removal from anywhere; room for those that come back. */
#include "result_hash.h"
#include "runtime/queue.h"

#include <criterion/criterion.h>

enum { N = 200 };
static hdl__sentence sentences[N];

static void fill(hdl__queue *q, uint64_t *state)
{
    cr_assert_eq(hdl__queue_open(N, 4, q), HDL_OK);
    for (int i = 0; i < N; i++) {
        sentences[i] = (hdl__sentence){.priority = (int32_t)(next_random(state) % 5) - 2, .arrival = (uint64_t)i};
        hdl__queue_push(q, &sentences[i]);
    }
}

static void expect_order(hdl__queue *q, int n)
{
    const hdl__sentence *before = NULL;
    for (int i = 0; i < n; i++) {
        cr_assert_eq(hdl__queue_peek(q), q->heap[0]);
        const hdl__sentence *s = hdl__queue_pop(q);
        cr_assert_not_null(s);
        if (before != NULL)
            cr_expect(before->priority > s->priority || (before->priority == s->priority && before->arrival < s->arrival));
        before = s;
    }
    cr_expect_null(hdl__queue_peek(q));
    cr_expect_null(hdl__queue_pop(q));
}

Test(queue, priority_then_arrival)
{
    hdl__queue q;
    uint64_t state = 1;
    fill(&q, &state);
    expect_order(&q, N);
    hdl__queue_close(&q);
}

Test(queue, removal_keeps_the_order)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        hdl__queue q;
        uint64_t state = seed;
        fill(&q, &state);
        for (int i = 0; i < N / 2; i++) hdl__queue_remove(&q, (int32_t)(next_random(&state) % (uint64_t)q.n));
        expect_order(&q, N / 2);
        hdl__queue_close(&q);
    }
}

/* A sentence that comes back keeps its arrival and goes to the head of its priority. */
Test(queue, a_restarted_sentence_goes_first)
{
    hdl__queue q;
    cr_assert_eq(hdl__queue_open(4, 1, &q), HDL_OK);
    for (int i = 0; i < 4; i++) {
        sentences[i] = (hdl__sentence){.arrival = (uint64_t)i};
        hdl__queue_push(&q, &sentences[i]);
    }
    hdl__sentence *first = hdl__queue_pop(&q);
    hdl__queue_push(&q, first);
    cr_expect_eq(hdl__queue_pop(&q), first);
    hdl__queue_close(&q);
}

/* Reserving leaves the spare places free, so that a push of a restarted sentence never needs memory. */
Test(queue, reserve_counts_the_spare_places)
{
    hdl__queue q;
    cr_assert_eq(hdl__queue_open(2, 3, &q), HDL_OK);
    cr_expect_geq(q.capacity, 5);
    hdl__queue_push(&q, &sentences[0]);
    cr_expect_eq(hdl__queue_reserve(&q, 10), HDL_OK);
    cr_expect_geq(q.capacity, 14);
    cr_expect_eq(q.heap[0], &sentences[0]);
    hdl__alloc_fail_at(1);
    cr_expect_eq(hdl__queue_reserve(&q, 100), HDL_ENOMEM);
    cr_expect_eq(q.heap[0], &sentences[0]);
    cr_expect_eq(hdl__queue_reserve(&q, INT32_MAX), HDL_ENOMEM);
    hdl__queue_close(&q);
}
