/* deliver.c - completion of sentences, and the one thread that builds results and calls back. */
#include "runtime/translator_state.h"

#include <stdio.h>

void hdl__sentence_fail(hdl__sentence *sentence, hdl_status status, const char *line)
{
    if (sentence->status != HDL_OK) return;
    sentence->status = status;
    snprintf(sentence->detail, sizeof sentence->detail, "%s", line);
}

void hdl__deliver_locked(hdl_translator *translator, hdl_ticket *ticket)
{
    ticket->next = NULL;
    ticket->times.finished = hdl__trace_now(translator->trace);
    if (translator->deliver_last != NULL)
        translator->deliver_last->next = ticket;
    else
        translator->deliver_first = ticket;
    translator->deliver_last = ticket;
    pthread_cond_signal(&translator->delivery);
}

static void complete_locked(hdl_translator *t, hdl__sentence *sentence)
{
    if (--sentence->ticket->n_open == 0) hdl__deliver_locked(t, sentence->ticket);
}

void hdl__sentence_complete(hdl_translator *translator, hdl__sentence *sentence, hdl__lane *lane)
{
    pthread_mutex_lock(&translator->hub->mutex);
    lane->stats.sentences += sentence->status == HDL_OK;
    if (sentence->status == HDL_OK && sentence->n_outcomes > 0)
        lane->stats.target_tokens += (uint64_t)sentence->outcomes[0].n;
    lane->published = lane->stats;
    complete_locked(translator, sentence);
    pthread_mutex_unlock(&translator->hub->mutex);
}

void hdl__queue_sweep_locked(hdl_translator *translator)
{
    const int64_t now = hdl__now_us();
    hdl__queue *q = &translator->queue;
    int32_t waiting = 0;
    for (int32_t i = 0; i < q->n;) {
        hdl__sentence *s = q->heap[i];
        const bool cancelled = atomic_load(&s->ticket->cancelled), late = s->deadline_us != 0 && now > s->deadline_us;
        if (!cancelled && !late) {
            waiting += s->deadline_us != 0;
            i++;
            continue;
        }
        hdl__sentence_fail(s, cancelled ? HDL_ECANCELLED : HDL_ETIMEOUT,
                           cancelled ? "the request was cancelled" : "the request's deadline passed while it waited");
        hdl__queue_remove(q, i);
        complete_locked(translator, s);
        i = 0;      /* removal moves others about */
    }
    translator->n_urgent = waiting;
    pthread_cond_broadcast(&translator->room);
}

bool hdl__on_delivery_thread(const hdl_translator *translator)
{
    return translator->delivery_started && pthread_equal(pthread_self(), translator->delivery_thread);
}

static hdl_ticket *next_ticket(hdl_translator *t)
{
    pthread_mutex_lock(&t->hub->mutex);
    while (t->deliver_first == NULL && !t->stop_delivery) pthread_cond_wait(&t->delivery, &t->hub->mutex);
    hdl_ticket *ticket = t->deliver_first;
    if (ticket != NULL) {
        t->deliver_first = ticket->next;
        if (t->deliver_first == NULL) t->deliver_last = NULL;
    }
    pthread_mutex_unlock(&t->hub->mutex);
    return ticket;
}

void *hdl__delivery_main(void *translator)
{
    hdl_translator *t = translator;
    for (hdl_ticket *ticket; (ticket = next_ticket(t)) != NULL;) {
        hdl__result_build(ticket);
        hdl__trace_request(t->trace, ticket);
        pthread_mutex_lock(&t->hub->mutex);
        ticket->done = true;
        pthread_cond_broadcast(&t->hub->finished);
        pthread_mutex_unlock(&t->hub->mutex);
        if (ticket->on_done != NULL) {
            const int64_t begun = hdl__trace_now(t->trace);
            ticket->on_done(ticket, ticket->user);
            hdl__trace_callback(t->trace, begun);
        }
        hdl__ticket_unref(ticket);
        pthread_mutex_lock(&t->hub->mutex);
        if (--t->n_open == 0) {     /* a draining close waits for this */
            hdl__recall_assistants_locked(t, NULL);
            pthread_cond_broadcast(&t->work);
        }
        pthread_mutex_unlock(&t->hub->mutex);
    }
    return NULL;
}
