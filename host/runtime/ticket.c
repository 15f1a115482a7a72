/* ticket.c - tickets: made at submit, waited for, cancelled, released. */
#include "base/struct_args.h"
#include "runtime/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_LANGUAGE_TOKENS 64     /* one is usual */
#define MOST_LINE (1 << 30)         /* bytes or tokens; positions and their sums stay within an int32_t */

static hdl_status check_request(const hdl_request *r)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(r->kind == HDL_REQUEST_TRANSLATE || r->kind == HDL_REQUEST_SCORE, HDL_EINVAL, "kind = %d, allowed 0 or 1",
              (int)r->kind);
    HDL_CHECK(r->text != NULL || r->tokens != NULL || r->n_tokens == 0, HDL_EINVAL, "tokens is NULL, n_tokens = %zu",
              r->n_tokens);
    HDL_CHECK(r->target != NULL || r->target_tokens != NULL || r->n_target_tokens == 0, HDL_EINVAL,
              "target_tokens is NULL, n_target_tokens = %zu", r->n_target_tokens);
    HDL_CHECK(r->source_prefix != NULL || r->n_source_prefix == 0, HDL_EINVAL, "source_prefix is NULL, n_source_prefix = %zu",
              r->n_source_prefix);
    HDL_CHECK(r->source_suffix != NULL || r->n_source_suffix == 0, HDL_EINVAL, "source_suffix is NULL, n_source_suffix = %zu",
              r->n_source_suffix);
    HDL_CHECK(r->n_source_prefix <= MOST_LANGUAGE_TOKENS && r->n_source_suffix <= MOST_LANGUAGE_TOKENS, HDL_EINVAL,
              "n_source_prefix = %zu, n_source_suffix = %zu, allowed 0 to %d", r->n_source_prefix, r->n_source_suffix,
              MOST_LANGUAGE_TOKENS);
    HDL_CHECK(r->n_tokens < MOST_LINE && r->n_target_tokens < MOST_LINE && r->n_bytes < MOST_LINE
                  && r->n_target_bytes < MOST_LINE,
              HDL_EINVAL, "a line of more than %d bytes or tokens", MOST_LINE);
    HDL_CHECK(r->split >= HDL_SPLIT_LONG && r->split <= HDL_SPLIT_NEVER, HDL_EINVAL, "split = %d, allowed 0 to 2",
              (int)r->split);
    HDL_CHECK(r->overflow == HDL_OVERFLOW_ERROR || r->overflow == HDL_OVERFLOW_CUT, HDL_EINVAL,
              "overflow = %d, allowed 0 or 1", (int)r->overflow);
    HDL_CHECK(r->max_source_length >= 0, HDL_EINVAL, "max_source_length = %d, allowed 1 or more", r->max_source_length);
    HDL_CHECK(r->deadline_us >= 0, HDL_EINVAL, "deadline_us = %lld, allowed 0 or more", (long long)r->deadline_us);
done:
    return status;
}

void hdl__hub_unref(hdl__ticket_hub *hub)
{
    if (atomic_fetch_sub(&hub->refs, 1) != 1) return;
    pthread_cond_destroy(&hub->finished);
    pthread_mutex_destroy(&hub->mutex);
    hdl__free(hub);
}

static void free_ticket(hdl_ticket *ticket)
{
    hdl__hub_unref(ticket->hub);
    hdl__bump_free(&ticket->memory);
    hdl__free(ticket);
}

/* Problems of the line itself belong to the result; those of options, memory and state to submit. */
static bool belongs_to_result(hdl_status status) { return status == HDL_EINVAL; }

hdl_status hdl__ticket_make(hdl_translator *translator, const hdl_request *request, hdl_ticket **out)
{
    hdl_status status = HDL_OK;
    hdl__request_work work = {.translator = translator, .request = request};
    hdl_ticket *ticket = NULL;
    HDL_TRY(check_request(request));
    ticket = hdl__calloc(1, sizeof *ticket);
    HDL_CHECK(ticket != NULL, HDL_ENOMEM, "no memory for a ticket");
    work.ticket = ticket;
    ticket->translator = translator;
    ticket->hub = translator->hub;
    atomic_fetch_add(&ticket->hub->refs, 1);
    atomic_init(&ticket->refs, 2);
    ticket->kind = request->kind;
    ticket->text = request->text != NULL;
    ticket->on_done = request->on_done;
    ticket->user = request->user;
    ticket->result.detail = ticket->result.source = "";
    if (ticket->text && strcmp(hdl_tokenizer_kind(translator->model->source), "words") == 0
        && !atomic_exchange(&translator->warned_of_words, true))
        hdl__log(HDL_LOG_WARNING, "the model has no tokenizer: words are tokens");
    HDL_TRY(hdl__search_resolve(translator, request->search, &ticket->memory, &ticket->search));
    ticket->search.slot.seed += request->line;
    const hdl_status taken = hdl__request_take(&work);
    if (belongs_to_result(taken)) {
        ticket->result.status = taken;
        ticket->result.detail = hdl__bump_copy(&ticket->memory, hdl_error_detail(), strlen(hdl_error_detail()));
        if (ticket->result.detail == NULL) ticket->result.detail = "";
        ticket->n_pieces = 0;
    } else {
        HDL_TRY(taken);
    }
    *out = ticket;
    ticket = NULL;
done:
    hdl__free(work.names);
    hdl__str_free(&work.clean_target);
    hdl__bump_free(&work.scratch);
    if (ticket != NULL) free_ticket(ticket);
    return status;
}

void hdl__ticket_unref(hdl_ticket *ticket)
{
    if (atomic_fetch_sub(&ticket->refs, 1) == 1) free_ticket(ticket);
}

/* With the mutex held: stamps the sentences and puts them into the queue. */
static void enqueue(hdl_translator *t, hdl_ticket *ticket, int64_t deadline_us)
{
    const int64_t now = hdl__now_us();
    ticket->n_open = ticket->n_pieces;
    ticket->times.queued = hdl__trace_now(t->trace);
    if (t->trace != NULL) ticket->times.number = ++t->trace->n_requests;
    t->n_open++;
    for (int32_t i = 0; i < ticket->n_pieces; i++) {
        hdl__sentence *s = &ticket->pieces[i].sentence;
        s->arrival = t->arrivals++;
        s->queued_us = now;
        if (deadline_us > 0) {
            s->deadline_us = deadline_us < INT64_MAX - now ? now + deadline_us : INT64_MAX;
            t->n_urgent++;
        }
        hdl__queue_push(&t->queue, s);
    }
    if (ticket->n_pieces > 0) hdl__recall_assistants_locked(t, NULL);
    if (ticket->n_pieces == 0)
        hdl__deliver_locked(t, ticket);
    else if (ticket->n_pieces == 1)
        pthread_cond_signal(&t->work);
    else
        pthread_cond_broadcast(&t->work);
}

/* Puts a ticket into the queue, when there is room or nobody to wait. */
static hdl_status queue_ticket(hdl_translator *translator, hdl_ticket *made, const hdl_request *request)
{
    hdl_status status = HDL_OK;
    pthread_mutex_lock(&translator->hub->mutex);
    const int32_t limit = translator->options.max_queue;
    /* a line of more pieces than the whole queue goes in when the queue is empty: the heap has room for it (translator.c) */
    while (!translator->closing && translator->queue.n > 0 && translator->queue.n + made->n_pieces > limit && request->wait)
        pthread_cond_wait(&translator->room, &translator->hub->mutex);
    if (translator->closing)
        status = hdl__fail(HDL_ESTATE, "hdl_translator_submit: the translator is closing");
    else if (translator->queue.n > 0 && translator->queue.n + made->n_pieces > limit)
        status = hdl__fail(HDL_EAGAIN, "queue holds %d sentences, allowed %d", translator->queue.n, limit);
    else
        status = hdl__queue_reserve(&translator->queue, made->n_pieces);
    if (status == HDL_OK) enqueue(translator, made, request->deadline_us);
    const hdl__queue_length length = hdl__queue_length_locked(translator);
    pthread_mutex_unlock(&translator->hub->mutex);
    if (status == HDL_OK) hdl__trace_queue(translator->trace, length);
    return status;
}

hdl_status hdl_translator_submit(hdl_translator *translator, const hdl_request *request, hdl_ticket **ticket)
{
    hdl_status status = HDL_OK;
    hdl_ticket *made = NULL;
    static const hdl_request defaults = HDL_REQUEST_INIT;
    hdl_request whole;
    bool inside = false;
    HDL_CHECK(translator != NULL && request != NULL && ticket != NULL, HDL_EINVAL, "hdl_translator_submit: an argument is NULL");
    request = hdl__struct_read("hdl_request", request, &defaults, &whole, sizeof whole);
    if (request == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__translator_enter(translator, "hdl_translator_submit"));
    inside = true;
    const int64_t submitted = hdl__trace_now(translator->trace);
    HDL_TRY(hdl__ticket_make(translator, request, &made));
    made->times.submitted = submitted;
    made->times.line = request->line;
    made->times.priority = request->priority;
    HDL_TRY(queue_ticket(translator, made, request));
    *ticket = made;
    made = NULL;
done:
    if (made != NULL) free_ticket(made);        /* nobody else has seen it */
    if (inside) hdl__translator_leave(translator);
    return status;
}

static struct timespec deadline_after(int64_t timeout_us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(timeout_us / 1000000);
    at.tv_nsec += (long)(timeout_us % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_nsec -= 1000000000L;
        at.tv_sec++;
    }
    return at;
}

hdl_status hdl_ticket_wait(hdl_ticket *ticket, int64_t timeout_us, const hdl_result **result)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(ticket != NULL, HDL_EINVAL, "hdl_ticket_wait: ticket is NULL");
    hdl__ticket_hub *hub = ticket->hub;
    HDL_TRY(hdl__check_process(hub->pid, "hdl_ticket_wait"));
    const struct timespec at = deadline_after(timeout_us > 0 ? timeout_us : 0);
    pthread_mutex_lock(&hub->mutex);
    const bool calling_back = hub->translator != NULL && hdl__on_delivery_thread(hub->translator);
    while (!ticket->done && timeout_us != 0 && !calling_back) {
        if (timeout_us < 0)
            pthread_cond_wait(&hub->finished, &hub->mutex);
        else if (pthread_cond_timedwait(&hub->finished, &hub->mutex, &at) == ETIMEDOUT)
            break;
    }
    const bool done = ticket->done;
    pthread_mutex_unlock(&hub->mutex);
    HDL_CHECK(done || timeout_us == 0 || !calling_back, HDL_ESTATE,
              "hdl_ticket_wait: a callback may not wait: results come from its own thread");
    HDL_CHECK(done, HDL_ETIMEOUT, "the request has not ended yet");
    if (result != NULL) *result = &ticket->result;
done:
    return status;
}

void hdl_ticket_cancel(hdl_ticket *ticket)
{
    if (ticket == NULL || atomic_exchange(&ticket->cancelled, true)) return;
    hdl__ticket_hub *hub = ticket->hub;
    if (hub->pid != getpid()) return;       /* the lock may have been held by a thread that fork() left behind */
    pthread_mutex_lock(&hub->mutex);
    if (!ticket->done && hub->translator != NULL) {
        hub->translator->n_urgent++;
        hdl__recall_assistants_locked(hub->translator, NULL);
        pthread_cond_broadcast(&hub->translator->work);
    }
    pthread_mutex_unlock(&hub->mutex);
}

void hdl_ticket_release(hdl_ticket *ticket)
{
    if (ticket == NULL) return;
    hdl_ticket_cancel(ticket);
    hdl__ticket_unref(ticket);
}
