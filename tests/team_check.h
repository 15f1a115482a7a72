/*
 * team_check.h - sharing a stream's items, as a function from nothing to the number of faults: for Criterion, and
 * for a plain main under TSan.
 */
#ifndef HEDDLE_TESTS_TEAM_CHECK_H
#define HEDDLE_TESTS_TEAM_CHECK_H

#include "cpu_fixture.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct helper { hdl_backend_stream *stream; volatile int stop; double cpu_seconds; } helper;

static inline void *help(void *user)
{
    helper *h = user;
    struct timespec t;
    hdl__cpu_stream_assist(h->stream, &h->stop);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    h->cpu_seconds = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return NULL;
}

static inline void stop_help(helper *h, pthread_t thread)
{
    __atomic_store_n(&h->stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}

enum { TEAM_ITEMS = 500 };
typedef struct tally { int32_t runs[TEAM_ITEMS]; } tally;

static inline void tally_item(void *user, int32_t item) { ((tally *)user)->runs[item]++; }

/* Each item once, many shares of many sizes, helpers coming and going. */
static inline int check_every_item_runs_once(void)
{
    hdl_backend_device *device = cpu_open(&cpu_variants[0]);
    helper h[2] = {{.stream = cpu_stream(device, 1, 1, 1)}, {0}};
    h[1].stream = h[0].stream;
    int faults = 0;
    for (int round = 0; round < 20; ++round) {
        pthread_t threads[2];
        const int n_helpers = round % 3;
        for (int i = 0; i < n_helpers; ++i) {
            h[i].stop = 0;
            pthread_create(&threads[i], NULL, help, &h[i]);
        }
        for (int32_t share = 0; share < 200; ++share) {
            tally t = {{0}};
            const int32_t n = (share * 37) % (TEAM_ITEMS + 1);
            hdl__cpu_share(h[0].stream, n, tally_item, &t);
            for (int32_t i = 0; i < TEAM_ITEMS; ++i) faults += t.runs[i] != (i < n);
        }
        for (int i = 0; i < n_helpers; ++i) stop_help(&h[i], threads[i]);
    }
    hdl__cpu_stream_close(h[0].stream);
    hdl__cpu_backend()->close(device);
    return faults;
}

/* Products have the same bits with help and without. */
static inline int check_bits_with_help(void)
{
    enum { M = 66, K = 300, N = 700 };
    static const hdl_compute computes[] = {HDL_COMPUTE_F32, HDL_COMPUTE_BF16, HDL_COMPUTE_INT8};
    float *x = cpu_random_floats((size_t)M * K, 1), *w = cpu_random_floats((size_t)N * K, 2);
    float *alone = malloc((size_t)M * N * sizeof *alone), *helped = malloc((size_t)M * N * sizeof *helped);
    int faults = 0;
    for (int v = 0; v < N_CPU_VARIANTS; ++v) {
        hdl_backend_device *device = cpu_variants[v].products == HDL_PRODUCTS_OWN ? cpu_open(&cpu_variants[v]) : NULL;
        for (int c = 0; device != NULL && c < 3; ++c) {
            hdl_weight *packed = cpu_pack_f32(device, w, N, K, computes[c]);
            helper h = {.stream = cpu_stream(device, M, K, N)};
            hdl_gemm_args args = cpu_gemm_args(x, packed, alone, M, K, N);
            faults += hdl__cpu_gemm(h.stream, &args) != HDL_OK;
            args.y = helped;
            pthread_t thread;
            pthread_create(&thread, NULL, help, &h);
            for (int run = 0; run < 20; ++run) {
                memset(helped, 0, (size_t)M * N * sizeof *helped);
                faults += hdl__cpu_gemm(h.stream, &args) != HDL_OK;
                faults += memcmp(alone, helped, (size_t)M * N * sizeof *helped) != 0;
            }
            stop_help(&h, thread);
            hdl__cpu_stream_close(h.stream);
            hdl__cpu_weight_close(packed);
        }
        hdl__cpu_backend()->close(device);
    }
    free(x), free(w), free(alone), free(helped);
    return faults;
}

/* A helper to whom nothing is offered sleeps, and still stops when told. */
static inline int check_idle_help_sleeps(void)
{
    hdl_backend_device *device = cpu_open(&cpu_variants[0]);
    helper h = {.stream = cpu_stream(device, 1, 1, 1)};
    pthread_t thread;
    pthread_create(&thread, NULL, help, &h);
    const struct timespec pause = {0, 500000000L};
    nanosleep(&pause, NULL);
    stop_help(&h, thread);
    hdl__cpu_stream_close(h.stream);
    hdl__cpu_backend()->close(device);
    return h.cpu_seconds > 0.1;     /* a fifth of the half second; a spinning thread would use all of it */
}

#endif
