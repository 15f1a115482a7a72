/* trace_check.c - the rules of a trace: tracks, requests, counters. */
#include "trace_check.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 0.0005      /* microseconds: half a nanosecond, for times are whole ones written as decimals */
#define MOST_TRACKS 64
#define MOST_NESTED 16

/* A stream: its pass and how far its ops have come. Or a thread: its ranges. */
typedef struct track { int tid; double pass_end, cursor; bool in_pass; } track;
typedef struct span { int tid; double begin, end; const char *name; } span;
typedef struct sample { double ts; int value; } sample;

static double number(const json_t *event, const char *name)
{
    const json_t *value = json_object_get(event, name);
    cr_assert(json_is_number(value), "an event without %s: %s", name, json_dumps(event, 0));
    return json_number_value(value);
}

static const char *text(const json_t *event, const char *name)
{
    const char *value = json_string_value(json_object_get(event, name));
    return value != NULL ? value : "";
}

static int argument(const json_t *event, const char *name) { return (int)number(json_object_get(event, "args"), name); }

static track *find_track(track *tracks, int *n, int tid)
{
    for (int i = 0; i < *n; i++)
        if (tracks[i].tid == tid) return &tracks[i];
    cr_assert_lt(*n, MOST_TRACKS);
    tracks[*n] = (track){.tid = tid};
    return &tracks[(*n)++];
}

static void check_pass(track *t, const json_t *event, trace_summary *out)
{
    const char *name = text(event, "name");
    const double begin = number(event, "ts"), end = begin + number(event, "dur");
    if (t->in_pass) cr_expect_float_eq(t->cursor, t->pass_end, EPSILON, "the ops of a pass do not end with it");
    cr_expect_geq(begin, t->pass_end - EPSILON, "%s at %.3f overlaps what ended at %.3f", name, begin, t->pass_end);
    const double queued = number(json_object_get(event, "args"), "queued_us");
    cr_expect_geq(begin, queued - EPSILON, "%s at %.3f begins before it was queued", name, begin);
    out->at_bounds += begin < queued + EPSILON;
    if (end > out->last_pass) out->last_pass = end;
    cr_expect_leq(end, number(json_object_get(event, "args"), "seen_us") + EPSILON, "%s ends after it was seen", name);
    const int rows = argument(event, "rows");
    cr_expect_leq(rows, argument(event, "computed"));
    cr_expect(argument(event, "sentences") >= 1 && rows >= 1, "a pass of nothing: %s", name);
    *t = (track){t->tid, end, begin, true};
    if (strcmp(name, "step") == 0) out->n_steps++, out->step_rows += rows;
    else if (strcmp(name, "encode") == 0) out->n_encode++;
    else if (strcmp(name, "write source") == 0) out->n_write++;
    else if (strcmp(name, "forced") == 0) out->n_forced++;
    else cr_expect(false, "unknown pass: %s", name);
}

static void check_op(track *t, const json_t *event, trace_summary *out)
{
    const char *name = text(event, "name");
    const double begin = number(event, "ts"), end = begin + number(event, "dur");
    cr_expect(t->in_pass, "%s outside of any pass", name);
    cr_expect_float_eq(begin, t->cursor, EPSILON, "%s begins at %.3f, the op before it ended at %.3f", name, begin, t->cursor);
    cr_expect_leq(end, t->pass_end + EPSILON, "%s ends after its pass", name);
    cr_expect_geq(argument(event, "M"), 0);
    t->cursor = end;
    out->n_ops++;
    out->gemm |= strcmp(name, "gemm") == 0;
    out->self |= strcmp(name, "attention self") == 0;
    out->source |= strcmp(name, "attention source") == 0;
    out->packed |= strcmp(name, "attention packed") == 0;
    out->beam_step |= strcmp(name, "beam_step") == 0;
    out->others |= strcmp(name, "others") == 0;
}

static int by_track_and_time(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end > y->end ? -1 : x->end < y->end;
}

/* Two ranges of one thread are apart, or one lies in the other. */
static void check_nesting(span *spans, size_t n)
{
    const span *open[MOST_NESTED];
    int depth = 0;
    qsort(spans, n, sizeof *spans, by_track_and_time);
    for (size_t i = 0; i < n; i++) {
        while (depth > 0 && (open[depth - 1]->tid != spans[i].tid || open[depth - 1]->end <= spans[i].begin + EPSILON)) depth--;
        if (depth > 0)
            cr_expect_leq(spans[i].end, open[depth - 1]->end + EPSILON, "%s at %.3f crosses the end of %s", spans[i].name,
                          spans[i].begin, open[depth - 1]->name);
        cr_assert_lt(depth, MOST_NESTED);
        open[depth++] = &spans[i];
    }
}

/* ---- requests ---- */

static const char *const phases[] = {"submit", "wait", "decode", "deliver"};
enum { N_PHASES = sizeof phases / sizeof phases[0] };

typedef struct request { int n[N_PHASES + 1][2]; double at[N_PHASES + 1][2]; } request;

static void note_request(request *requests, size_t most, const json_t *event, trace_summary *out)
{
    const char *name = text(event, "name");
    const bool end = strcmp(text(event, "ph"), "e") == 0;
    const size_t id = strtoul(text(event, "id"), NULL, 10);
    int phase = 0;
    cr_assert(id >= 1 && id <= most, "request %zu", id);
    while (phase < N_PHASES && strcmp(name, phases[phase]) != 0) phase++;
    cr_expect(phase < N_PHASES || strcmp(name, "request") == 0, "%s", name);
    requests[id - 1].n[phase][end]++;
    requests[id - 1].at[phase][end] = number(event, "ts");
    if (phase < N_PHASES || end) return;
    const int line = argument(event, "line");
    cr_expect_geq(argument(event, "pieces"), 0);
    out->n_requests++;
    out->failed += strcmp(text(json_object_get(event, "args"), "status"), "HDL_OK") != 0;
    if (line < TRACE_LINES) out->lines[line]++;
}

static void check_requests(const request *requests, int n)
{
    for (int i = 0; i < n; i++) {
        const request *r = &requests[i];
        for (int phase = 0; phase <= N_PHASES; phase++)
            cr_expect(r->n[phase][0] == 1 && r->n[phase][1] == 1, "request %d has phase %d %d times", i + 1, phase, r->n[phase][0]);
        double last = r->at[N_PHASES][0];
        for (int phase = 0; phase < N_PHASES; phase++) {
            cr_expect_float_eq(r->at[phase][0], last, EPSILON, "request %d, %s", i + 1, phases[phase]);
            cr_expect_geq(r->at[phase][1], r->at[phase][0], "request %d, %s", i + 1, phases[phase]);
            last = r->at[phase][1];
        }
        cr_expect_float_eq(r->at[N_PHASES][1], last, EPSILON, "request %d", i + 1);
    }
}

/* ---- counters ---- */

static int by_time(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    return x->ts < y->ts ? -1 : x->ts > y->ts;
}

/* All values of one counter, by time. */
static size_t read_counter(const json_t *events, const char *ending, const char *unit, sample *samples)
{
    size_t n = 0, i;
    const json_t *event;
    json_array_foreach(events, i, event) {
        const char *name = text(event, "name");
        const size_t length = strlen(name), tail = strlen(ending);
        if (strcmp(text(event, "ph"), "C") != 0 || length < tail || strcmp(name + length - tail, ending) != 0) continue;
        samples[n++] = (sample){number(event, "ts"), argument(event, unit)};
        cr_expect_geq(samples[n - 1].value, 0, "%s", name);
    }
    qsort(samples, n, sizeof *samples, by_time);
    return n;
}

static void check_counters(const json_t *events, trace_summary *out)
{
    sample *samples = calloc(json_array_size(events) + 1, sizeof *samples);
    cr_assert_not_null(samples);
    size_t n = read_counter(events, "queue", "sentences", samples);
    for (size_t i = 0; i < n; i++) {
        const int before = i > 0 ? samples[i - 1].value : 0, value = samples[i].value;
        if (value > before) out->queue_in += value - before;
        if (value > out->queue_most) out->queue_most = value;
        if (value == 0 && before > 0) out->queue_empty = samples[i].ts;
        out->queue_last = value;
    }
    n = read_counter(events, "steps ahead", "steps", samples);
    for (size_t i = 0; i < n; i++)
        if (samples[i].value > out->ahead_most) out->ahead_most = samples[i].value;
    out->ahead_last = n > 0 ? samples[n - 1].value : 0;
    n = read_counter(events, "rows", "rows", samples);
    out->rows_last = n > 0 ? samples[n - 1].value : 0;
    if (out->n_steps > 0) cr_expect_gt(read_counter(events, "free pages", "pages", samples), 0);
    free(samples);
}

static void check_range(const json_t *event, track *tracks, int *n_tracks, span *spans, size_t *n_spans, trace_summary *out)
{
    const char *category = text(event, "cat");
    const int tid = (int)number(event, "tid");
    cr_expect(number(event, "ts") >= 0 && number(event, "dur") >= 0, "%s", json_dumps(event, 0));
    if (strcmp(category, "pass") == 0) {
        check_pass(find_track(tracks, n_tracks, tid), event, out);
    } else if (strcmp(category, "op") == 0) {
        check_op(find_track(tracks, n_tracks, tid), event, out);
    } else {
        cr_expect_str_eq(category, "host");
        const double begin = number(event, "ts");
        spans[(*n_spans)++] = (span){tid, begin, begin + number(event, "dur"), text(event, "name")};
        out->n_callbacks += strcmp(text(event, "name"), "callback") == 0;
    }
}

void trace_check(const char *path, trace_summary *out)
{
    json_error_t error;
    track tracks[MOST_TRACKS];
    int n_tracks = 0;
    size_t i, n_spans = 0;
    const json_t *event;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(file, "%s, line %d: %s", path, error.line, error.text);
    const json_t *events = json_object_get(file, "traceEvents");
    const size_t n = json_array_size(events);
    span *spans = calloc(n + 1, sizeof *spans);
    request *requests = calloc(n + 1, sizeof *requests);
    cr_assert(n > 0 && spans != NULL && requests != NULL);
    *out = (trace_summary){.n_events = (int)n};
    json_array_foreach(events, i, event) {
        const char *ph = text(event, "ph");
        cr_assert(strlen(ph) == 1 && strchr("MXCbei", ph[0]) != NULL, "phase %s", ph);
        cr_expect_eq((int)number(event, "pid"), 1);
        cr_expect(text(event, "name")[0] != '\0');
        if (ph[0] == 'X') check_range(event, tracks, &n_tracks, spans, &n_spans, out);
        if (ph[0] == 'b' || ph[0] == 'e') note_request(requests, n, event, out);
        out->n_restarts += strcmp(text(event, "name"), "restart") == 0;
    }
    for (int k = 0; k < n_tracks; k++)
        cr_expect_float_eq(tracks[k].cursor, tracks[k].pass_end, EPSILON, "the ops of the last pass do not end with it");
    check_nesting(spans, n_spans);
    check_requests(requests, out->n_requests);
    check_counters(events, out);
    out->n_host = (int)n_spans;
    free(requests);
    free(spans);
    json_decref(file);
}
