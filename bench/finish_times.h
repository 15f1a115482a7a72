/* finish_times.h - what the times at which sentences were submitted and finished say: latencies and the steady rate. */
#ifndef HEDDLE_BENCH_FINISH_TIMES_H
#define HEDDLE_BENCH_FINISH_TIMES_H

#include <stddef.h>

typedef struct finish_time { double submitted, finished; size_t tokens; } finish_time;    /* seconds of one clock */

typedef struct finish_summary {
    double p50, p95, p99;       /* of finished - submitted, by nearest rank */
    double steady_rate;         /* tokens a second from 10 % to 90 % of all tokens by completion; 0: no time passed */
} finish_summary;

/* Sorts `times`, which are n > 0. */
finish_summary summarise_finish_times(finish_time *times, size_t n);

#endif
