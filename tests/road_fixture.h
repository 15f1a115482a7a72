/*
 * road_fixture.h - what the tests of the whole road share: a device that is there or not, its answers, the CPU backend's.
 */
#ifndef HEDDLE_TESTS_ROAD_FIXTURE_H
#define HEDDLE_TESTS_ROAD_FIXTURE_H

#include "lag_cases.h"

#define ROAD_SCORE_BOUND 1e-4f  /* relative to scores above 1 */
#define ROAD_MOST_BEST 8
#define ROAD_MOST_TEXT 1024

typedef struct road_answer { int n; char tokens[ROAD_MOST_BEST][ROAD_MOST_TEXT]; float score[ROAD_MOST_BEST]; } road_answer;

/* For lag_run_requests; user: road_answer [n]. */
void road_take(int i, const hdl_result *result, void *user);

/* What libheddle-simt.so exports for tests (tests/simt/simt_hooks.h); found by road_have("simt"). */
typedef struct road_hooks {
    uint64_t (*faults)(void);
    void (*set_schedule)(uint64_t seed, const char *policy);
    void (*set_streams)(uint64_t seed, const char *policy);
    void (*fail_next)(const char *function, int error, int after);
    void (*reset)(void);
} road_hooks;
extern road_hooks road_simt;

/* Races, early reads and late writes of the road itself are faults of the stand-in. */
void road_expect_no_faults(void);

/* Chooses "simt" or "cuda" for this test; false, after a line that says skipped, where it is not there. */
bool       road_have(const char *name);
lag_device road_device(int32_t lag, int32_t max_rows, hdl_compute compute);

/* The CPU backend in f32 and the road in `compute` on the same requests: the same tokens, scores within the bound. */
void road_compare(const char *path, const hdl_request *requests, int n, int32_t max_rows, hdl_compute compute, float score_bound);

#endif
