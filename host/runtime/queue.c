/* queue.c - a binary heap of sentences. */
#include "runtime/queue.h"

#include <time.h>

int64_t hdl__now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

hdl_status hdl__queue_open(int32_t capacity, int32_t spare, hdl__queue *out)
{
    *out = (hdl__queue){.spare = spare};
    return hdl__queue_reserve(out, capacity);
}

hdl_status hdl__queue_reserve(hdl__queue *queue, int32_t more)
{
    const int64_t needed = (int64_t)queue->n + more + queue->spare;
    if (needed <= queue->capacity) return HDL_OK;
    hdl__sentence **grown = needed > INT32_MAX ? NULL
                                               : hdl__regrow(queue->heap, (size_t)queue->n * sizeof *grown,
                                                             (size_t)needed * sizeof *grown);
    if (grown == NULL) return hdl__fail(HDL_ENOMEM, "no memory for a queue of %lld sentences", (long long)needed);
    queue->heap = grown;
    queue->capacity = (int32_t)needed;
    return HDL_OK;
}

void hdl__queue_close(hdl__queue *queue)
{
    hdl__free(queue->heap);
    *queue = (hdl__queue){0};
}

bool hdl__goes_before(const hdl__sentence *a, const hdl__sentence *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->arrival < b->arrival;
}

static void swap_items(hdl__queue *q, int32_t i, int32_t j)
{
    hdl__sentence *t = q->heap[i];
    q->heap[i] = q->heap[j];
    q->heap[j] = t;
}

static void sift_up(hdl__queue *q, int32_t i)
{
    while (i > 0 && hdl__goes_before(q->heap[i], q->heap[(i - 1) / 2])) {
        swap_items(q, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void sift_down(hdl__queue *q, int32_t i)
{
    for (;;) {
        int32_t first = i;
        for (int32_t child = 2 * i + 1; child <= 2 * i + 2 && child < q->n; child++)
            if (hdl__goes_before(q->heap[child], q->heap[first])) first = child;
        if (first == i) return;
        swap_items(q, i, first);
        i = first;
    }
}

void hdl__queue_push(hdl__queue *queue, hdl__sentence *sentence)
{
    queue->heap[queue->n] = sentence;
    sift_up(queue, queue->n++);
}

hdl__sentence *hdl__queue_peek(const hdl__queue *queue) { return queue->n > 0 ? queue->heap[0] : NULL; }

hdl__sentence *hdl__queue_remove(hdl__queue *queue, int32_t i)
{
    hdl__sentence *removed = queue->heap[i];
    queue->heap[i] = queue->heap[--queue->n];
    if (i < queue->n) {
        sift_up(queue, i);
        sift_down(queue, i);
    }
    return removed;
}

hdl__sentence *hdl__queue_pop(hdl__queue *queue) { return queue->n > 0 ? hdl__queue_remove(queue, 0) : NULL; }
