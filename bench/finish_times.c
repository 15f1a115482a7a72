/* finish_times.c - percentiles of latency, and the rate between the first and the last tenth of the tokens. */
#include "finish_times.h"

#include <stdlib.h>

/* Filling and draining the rows is left out of the steady rate: a tenth of the tokens at both ends. */
#define EDGE_PERCENT 10

static int by_finish(const void *a, const void *b)
{
    const double x = ((const finish_time *)a)->finished, y = ((const finish_time *)b)->finished;
    return (x > y) - (x < y);
}

static int by_latency(const void *a, const void *b)
{
    const finish_time *x = a, *y = b;
    const double p = x->finished - x->submitted, q = y->finished - y->submitted;
    return (p > q) - (p < q);
}

static double latency_at(const finish_time *sorted, size_t n, size_t percent)
{
    const finish_time *t = &sorted[(n * percent + 99) / 100 - 1];
    return t->finished - t->submitted;
}

static double steady_rate(const finish_time *sorted, size_t n)
{
    size_t total = 0, done = 0, i = 0;
    for (size_t j = 0; j < n; j++) total += sorted[j].tokens;
    while (i < n - 1 && (done + sorted[i].tokens) * 100 < total * EDGE_PERCENT) done += sorted[i++].tokens;
    const size_t done_first = done + sorted[i].tokens;
    const double first = sorted[i].finished;
    while (i < n - 1 && (done + sorted[i].tokens) * 100 < total * (100 - EDGE_PERCENT)) done += sorted[i++].tokens;
    const size_t done_last = done + sorted[i].tokens;
    const double took = sorted[i].finished - first;
    return took > 0 ? (double)(done_last - done_first) / took : 0;
}

finish_summary summarise_finish_times(finish_time *times, size_t n)
{
    finish_summary s;
    qsort(times, n, sizeof *times, by_finish);
    s.steady_rate = steady_rate(times, n);
    qsort(times, n, sizeof *times, by_latency);
    s.p50 = latency_at(times, n, 50);
    s.p95 = latency_at(times, n, 95);
    s.p99 = latency_at(times, n, 99);
    return s;
}
