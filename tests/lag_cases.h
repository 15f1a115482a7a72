/*
 * lag_cases.h - one load for devices that run behind the host: requests of every kind, every search option at least once, and an engine on a
 * given device with a given lag.
 */
#ifndef HEDDLE_TESTS_LAG_CASES_H
#define HEDDLE_TESTS_LAG_CASES_H

#include "engine_fixture.h"

#define LAG_KINDS 20
#define LAG_CASES 80            /* the most that run at once */

typedef struct lag_device {
    const char *name;           /* "cpu", "simt", "cuda" */
    int32_t     lag;            /* -1: the device's own */
    uint64_t    pool_bytes;     /* 0: the default */
    int32_t     max_rows;
    hdl_compute compute;
    const char *library_dir;    /* of the backend; NULL: the usual places */
} lag_device;

/* Model and translator; one lane. `path` is relative to the repository. The device's network is held until lag_close. */
typedef struct lag_engine { engine e; struct hdl__network *network; } lag_engine;
lag_engine lag_open(const char *path, const lag_device *device);
void       lag_close(lag_engine *l);
/* Engines that are opened from now on write a trace there; NULL: none. */
void       lag_trace_to(const char *path);
/* They take these products, of a library that is looked for there first. */
void       lag_take_products(hdl_products products, const char *library_dir);

/* Request number i: kind i % LAG_KINDS, source and sizes from i; tokens of tiny-a. */
void lag_request(int i, hdl_request *r, hdl_search_options *o);

/* Submits requests, waits for all in order, hands each result to `take`; every one must have succeeded. */
typedef void (*lag_take)(int i, const hdl_result *result, void *user);
void lag_run_requests(const lag_engine *l, const hdl_request *requests, int n, lag_take take, void *user);

/* The same for requests [0, n) of lag_request: the hash of each result. */
void lag_run(const lag_engine *l, int n, uint64_t *hashes);

#endif
