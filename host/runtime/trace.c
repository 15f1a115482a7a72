/* trace.c - a translator's trace: the file, requests, the queue, callbacks. */
#include "runtime/trace.h"

#include "base/memory.h"
#include "runtime/translator_state.h"

#define DELIVERY_TRACK 1        /* the thread that gives results to callers; lanes follow */

static void name_track(const hdl__trace *trace, int32_t track, const char *name)
{
    hdl__trace_add(trace->file, "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}}", track, name);
}

hdl_status hdl__trace_open(const char *path, hdl__trace **out)
{
    hdl_status status = HDL_OK;
    hdl__trace *trace = hdl__calloc(1, sizeof *trace);
    HDL_CHECK(trace != NULL, HDL_ENOMEM, "no memory for a trace");
    HDL_TRY(hdl__trace_file_open(path, &trace->file));
    trace->begun_ns = hdl__now_ns();
    name_track(trace, DELIVERY_TRACK, "delivery");
    *out = trace;
    trace = NULL;
done:
    hdl__free(trace);
    return status;
}

void hdl__trace_about(hdl__trace *trace, const char *about)
{
    char words[HDL__TRACE_WORDS];
    hdl__trace_add(trace->file, "{\"ph\":\"M\",\"name\":\"process_labels\",\"pid\":1,\"args\":{\"labels\":\"%s\"}}",
                   hdl__trace_words(about, words));
}

hdl_status hdl__trace_close(hdl__trace *trace)
{
    if (trace == NULL) return HDL_OK;
    const hdl_status status = hdl__trace_file_close(trace->file);
    hdl__free(trace);
    return status;
}

/* A stretch of the request's own row: begin and end carry its number. */
static void add_phase(const hdl__trace *trace, uint64_t number, const char *name, int64_t begin, int64_t end)
{
    const char *half = "{\"ph\":\"%c\",\"cat\":\"request\",\"name\":\"%s\",\"id\":\"%llu\",\"pid\":1,\"tid\":%d,\"ts\":%s}";
    hdl__trace_add(trace->file, half, 'b', name, (unsigned long long)number, DELIVERY_TRACK, hdl__trace_time(trace, begin).text);
    hdl__trace_add(trace->file, half, 'e', name, (unsigned long long)number, DELIVERY_TRACK, hdl__trace_time(trace, end).text);
}

void hdl__trace_request(hdl__trace *trace, const hdl_ticket *ticket)
{
    if (trace == NULL) return;
    const hdl__request_times *at = &ticket->times;
    const hdl_result *result = &ticket->result;
    const int64_t now = hdl__now_ns();
    const int64_t admitted = at->admitted != 0 ? at->admitted : at->finished;      /* it never left the queue */
    const unsigned long long number = at->number;
    hdl__trace_add(trace->file,
                   "{\"ph\":\"b\",\"cat\":\"request\",\"name\":\"request\",\"id\":\"%llu\",\"pid\":1,\"tid\":%d,\"ts\":%s"
                   ",\"args\":{\"line\":%llu,\"kind\":\"%s\",\"pieces\":%d,\"source_tokens\":%zu,\"target_tokens\":%zu,"
                   "\"priority\":%d,\"status\":\"%s\"}}",
                   number, DELIVERY_TRACK, hdl__trace_time(trace, at->submitted).text, (unsigned long long)at->line,
                   ticket->kind == HDL_REQUEST_SCORE ? "score" : "translate", ticket->n_pieces, result->n_source_tokens,
                   result->n_hypotheses > 0 ? result->hypotheses[0].n_tokens : 0, at->priority,
                   hdl_status_name(result->status));
    add_phase(trace, at->number, "submit", at->submitted, at->queued);
    add_phase(trace, at->number, "wait", at->queued, admitted);
    add_phase(trace, at->number, "decode", admitted, at->finished);
    add_phase(trace, at->number, "deliver", at->finished, now);
    hdl__trace_add(trace->file,
                   "{\"ph\":\"e\",\"cat\":\"request\",\"name\":\"request\",\"id\":\"%llu\",\"pid\":1,\"tid\":%d,\"ts\":%s}",
                   number, DELIVERY_TRACK, hdl__trace_time(trace, now).text);
}

void hdl__trace_callback(hdl__trace *trace, int64_t begun)
{
    if (trace == NULL) return;
    const int64_t now = hdl__now_ns();
    hdl__trace_add(trace->file,
                   "{\"ph\":\"X\",\"cat\":\"host\",\"name\":\"callback\",\"pid\":1,\"tid\":%d,\"ts\":%s,\"dur\":%s}",
                   DELIVERY_TRACK, hdl__trace_time(trace, begun).text, hdl__us_of(now - begun).text);
}

void hdl__trace_queue(hdl__trace *trace, hdl__queue_length length)
{
    if (trace == NULL) return;
    hdl__trace_add(trace->file, "{\"ph\":\"C\",\"name\":\"queue\",\"pid\":1,\"ts\":%s,\"args\":{\"sentences\":%d}}",
                   hdl__trace_time(trace, length.ns).text, length.n);
}
