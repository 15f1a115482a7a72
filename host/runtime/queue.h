/*
 * queue.h - the one queue of waiting sentences: priority first, then arrival. Bounded; made at open. Not locked: the translator's mutex guards it.
 */
#ifndef HEDDLE_HOST_QUEUE_H
#define HEDDLE_HOST_QUEUE_H

#include "runtime/sentence_state.h"

typedef struct hdl__queue {
    hdl__sentence **heap;
    int32_t         n, capacity;
    int32_t         spare;      /* places kept for sentences that lanes may send back */
} hdl__queue;

/* Whether a is to be translated before b. */
bool       hdl__goes_before(const hdl__sentence *a, const hdl__sentence *b);
hdl_status hdl__queue_open(int32_t capacity, int32_t spare, hdl__queue *out);
void       hdl__queue_close(hdl__queue *queue);
/* Makes sure that `more` sentences fit besides the spare places. */
hdl_status     hdl__queue_reserve(hdl__queue *queue, int32_t more);
/* The caller has reserved the place. */
void           hdl__queue_push(hdl__queue *queue, hdl__sentence *sentence);
hdl__sentence *hdl__queue_peek(const hdl__queue *queue);       /* NULL: empty */
hdl__sentence *hdl__queue_pop(hdl__queue *queue);              /* NULL: empty */
hdl__sentence *hdl__queue_remove(hdl__queue *queue, int32_t i);   /* the i-th in no particular order */

#endif
