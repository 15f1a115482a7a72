/* line_stream.c - writes results in the order of their lines, each as soon as it can be. */
#include "line_stream.h"
#include "line_feed.h"
#include "signal_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define USUAL_LINES 1024
#define LINES_A_ROW 4               /* behind a long line others end: enough of them that rows are never short of work */
#define LOOK_MILLISECONDS 100       /* while waiting: how often signals and the progress bar get a look */

static int fail_line(const hdl__line_stream *stream, uint64_t line, const char *why)
{
    return hdl__cli_error("%s: line %llu: %s", stream->input->name, (unsigned long long)line + 1, why);
}

static void count(hdl__line_stream *stream, const hdl__line_job *job, const hdl_result *result)
{
    uint64_t n_replaced = job->n_replaced + result->n_replaced;
    if (n_replaced && stream->replaced_lines++ == 0) stream->first_replaced = job->line + 1;
    stream->n_replaced += n_replaced;
    if (result->n_cut && stream->cut_lines++ == 0) stream->first_cut = job->line + 1;
    stream->n_cut += result->n_cut;
    stream->n_lines = job->line + 1;
    stream->n_bytes = job->n_bytes;
}

static int write_line(hdl__line_stream *stream, const hdl__line_job *job, const hdl_result *result, hdl__cli_text *out)
{
    if (result->status != HDL_OK) {
        const char *detail = result->detail && result->detail[0] ? result->detail : hdl_status_text(result->status);
        int code = fail_line(stream, job->line, detail);
        return result->status == HDL_EBACKEND ? HDL__EXIT_MISSING : code;
    }
    if (stream->strict && job->n_replaced + result->n_replaced > 0)
        return fail_line(stream, job->line, "invalid UTF-8 or NUL");
    if (stream->strict && result->n_cut > 0) return fail_line(stream, job->line, "too long");
    hdl__cli_text_clear(out);
    int code = stream->emit(stream->user, job->line, result, out);
    if (code != HDL__EXIT_DONE) return code;
    if (out->failed) return hdl__cli_error("out of memory");
    if (out->n) hdl__output_add(stream->output, out->data, out->n);
    count(stream, job, result);
    return HDL__EXIT_DONE;
}

/* The first line's result. 1: *result; 0: not yet, even after waiting; -1: its ticket failed. */
static int wait_first(hdl__line_stream *stream, const hdl__line_job *job, int milliseconds, const hdl_result **result)
{
    hdl_status status = hdl_ticket_wait(job->ticket, 0, result);
    if (status == HDL_ETIMEOUT && milliseconds > 0) {
        /* Nothing to do but wait: whatever is written so far must be seen now. */
        hdl__output_flush(stream->output);
        status = hdl_ticket_wait(job->ticket, (int64_t)milliseconds * 1000, result);
    }
    return status == HDL_OK ? 1 : status == HDL_ETIMEOUT ? 0 : -1;
}

/* Writes lines until none comes, one fails, or a signal was caught and the first is not ready. */
static int write_lines(hdl__line_stream *stream, hdl__cli_text *out)
{
    hdl__line_job job;
    const hdl_result *result;
    for (;;) {
        int signal_number = hdl__signals_caught(), wait = signal_number ? 0 : LOOK_MILLISECONDS;
        int found = hdl__window_first(&stream->window, 0, &job);
        if (found == 0 && wait > 0) {
            hdl__output_flush(stream->output);
            found = hdl__window_first(&stream->window, wait, &job);
        }
        if (found < 0) return HDL__EXIT_DONE;
        int ready = found > 0 && job.ticket ? wait_first(stream, &job, wait, &result) : found;
        if (!hdl__output_ok(stream->output)) return HDL__EXIT_FAILED;
        if (ready == 0 && signal_number) return HDL__EXIT_SIGNAL + signal_number;
        hdl__progress_show(stream->progress, stream->n_lines, stream->n_bytes);
        if (ready == 0) continue;
        int code;
        if (!job.ticket) {
            hdl__output_flush(stream->output);
            hdl__cli_error("%s", job.error ? job.error : "out of memory");
            code = job.exit_code;
        } else if (ready < 0) {
            code = fail_line(stream, job.line, hdl_error_detail());
        } else {
            code = write_line(stream, &job, result, out);
        }
        if (code != HDL__EXIT_DONE) return code;
        hdl__window_pop(&stream->window);
        hdl__line_job_free(&job);
    }
}

/* Lines on their way: each holds room for its result. */
static size_t window_lines(const hdl__line_stream *stream)
{
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    if (hdl_translator_get_stats(stream->translator, &stats) != HDL_OK) return USUAL_LINES;
    return LINES_A_ROW * (size_t)stats.lanes * (size_t)stats.max_rows;
}

int hdl__line_stream_run(hdl__line_stream *stream)
{
    pthread_t feed;
    hdl__cli_text out = { 0 };
    int code = HDL__EXIT_DONE;
    if (pipe(stream->wake) != 0) return hdl__cli_error("cannot make a pipe: %s", strerror(errno));
    fcntl(stream->wake[0], F_SETFD, FD_CLOEXEC);
    fcntl(stream->wake[1], F_SETFD, FD_CLOEXEC);
    stream->input->wake = stream->wake[0];
    if (stream->prefix) stream->prefix->wake = stream->wake[0];
    bool opened = hdl__window_open(&stream->window, window_lines(stream));
    bool fed = opened && pthread_create(&feed, NULL, hdl__line_feed, stream) == 0;
    if (fed) code = write_lines(stream, &out);
    else code = hdl__cli_error("cannot start reading: %s", opened ? "no thread to be had" : "out of memory");
    hdl__output_flush(stream->output);
    if (opened) hdl__window_stop(&stream->window);      /* what waits is cancelled, so the reader is free to see it */
    close(stream->wake[1]);
    if (fed) pthread_join(feed, NULL);
    close(stream->wake[0]);
    if (opened) hdl__window_close(&stream->window);
    hdl__cli_text_free(&out);
    hdl__progress_close(stream->progress, stream->n_lines, stream->n_bytes);
    return code;
}

void hdl__line_stream_warn(const hdl__line_stream *stream)
{
    if (stream->n_replaced)
        hdl__cli_warn("%llu invalid or NUL bytes in %llu lines became U+FFFD; the first is line %llu",
                      (unsigned long long)stream->n_replaced, (unsigned long long)stream->replaced_lines,
                      (unsigned long long)stream->first_replaced);
    if (stream->n_cut)
        hdl__cli_warn("%llu lines were too long and lost %llu tokens; the first is line %llu",
                      (unsigned long long)stream->cut_lines, (unsigned long long)stream->n_cut,
                      (unsigned long long)stream->first_cut);
}
