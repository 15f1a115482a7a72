/* line_feed.c - the reading thread of a line stream: lines become tickets. */
#include "line_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_A_TOKEN 3         /* fewer than text has, so that the estimate is on the safe side */
#define BYTES_A_LINE 1024       /* ticket, result and their small blocks */

/* What a line and its result may take in memory. */
static size_t estimate_cost(const hdl__line_stream *stream, size_t n)
{
    size_t tokens = n / BYTES_A_TOKEN + 1, cost = BYTES_A_LINE + n;
    size_t one = 8 * n + (stream->alignment && tokens < UINT32_MAX ? tokens * tokens * sizeof(float) : 0);
    return cost + one * (stream->n_best ? stream->n_best : 1);
}

/* Ends the input with an error that is said when its turn comes, after the lines before it. */
static void put_error(hdl__line_stream *stream, int exit_code, const char *error)
{
    hdl__line_job job = { .error = strdup(error), .exit_code = exit_code, .line = stream->input->n_lines };
    if (!hdl__window_put(&stream->window, &job)) hdl__line_job_free(&job);
}

static void put_line_error(hdl__line_stream *stream, int exit_code, const char *why)
{
    char error[1024];
    snprintf(error, sizeof error, "%.200s: line %llu %.700s", stream->input->name,
             (unsigned long long)stream->input->n_lines, why);
    put_error(stream, exit_code, error);
}

/* False: the stream ends here. */
static bool feed_line(hdl__line_stream *stream, const char *line, size_t n, const char *prefix, size_t n_prefix)
{
    hdl_request request;
    hdl__line_job job = { .line = stream->input->n_lines - 1, .n_bytes = stream->input->n_bytes,
                          .cost = estimate_cost(stream, n + n_prefix) };
    const char *why = hdl__line_work_request(stream->work, line, n, prefix, n_prefix, &request, &job.n_replaced);
    if (why) {
        put_line_error(stream, HDL__EXIT_FAILED, why);
        return false;
    }
    request.line = job.line;
    hdl_status status = hdl_translator_submit(stream->translator, &request, &job.ticket);
    if (status != HDL_OK) {
        char detail[512];
        snprintf(detail, sizeof detail, "was refused: %.480s", hdl_error_detail());
        put_line_error(stream, HDL__EXIT_FAILED, detail);
        return false;
    }
    if (hdl__window_put(&stream->window, &job)) return true;
    hdl__line_job_free(&job);
    return false;
}

/* The prefix that belongs to the line just read. False: the stream ends here. */
static bool next_prefix(hdl__line_stream *stream, const char **prefix, size_t *n)
{
    hdl__line got = hdl__reader_next(stream->prefix, prefix, n);
    if (got == HDL__LINE_OK) return true;
    char error[512];
    snprintf(error, sizeof error, "%.200s has fewer lines (%llu) than %.200s", stream->prefix->name,
             (unsigned long long)stream->prefix->n_lines, stream->input->name);
    if (got == HDL__LINE_END) put_error(stream, HDL__EXIT_FAILED, error);
    if (got == HDL__LINE_ERROR) put_error(stream, HDL__EXIT_FAILED, stream->prefix->error);
    return false;
}

static void check_prefix_ended(hdl__line_stream *stream)
{
    const char *line;
    size_t n;
    hdl__line got = hdl__reader_next(stream->prefix, &line, &n);
    char error[512];
    snprintf(error, sizeof error, "%.200s has more lines than %.200s (%llu)", stream->prefix->name,
             stream->input->name, (unsigned long long)stream->input->n_lines);
    if (got == HDL__LINE_OK) put_error(stream, HDL__EXIT_FAILED, error);
    if (got == HDL__LINE_ERROR) put_error(stream, HDL__EXIT_FAILED, stream->prefix->error);
}

void *hdl__line_feed(void *argument)
{
    hdl__line_stream *stream = argument;
    const char *line, *prefix = NULL;
    size_t n, n_prefix = 0;
    hdl__line got;
    bool going = true;
    while (going && (got = hdl__reader_next(stream->input, &line, &n)) == HDL__LINE_OK) {
        if (stream->prefix) going = next_prefix(stream, &prefix, &n_prefix);
        if (going) going = feed_line(stream, line, n, prefix, n_prefix);
    }
    if (going && got == HDL__LINE_ERROR) put_error(stream, HDL__EXIT_FAILED, stream->input->error);
    if (going && got == HDL__LINE_END && stream->prefix) check_prefix_ended(stream);
    hdl__window_end(&stream->window);
    return NULL;
}
