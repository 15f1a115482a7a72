/*
 * thread_replicas.c - threads submit, wait and cancel on one translator over three devices, of which one fails on the way; a plain main, so
 * that a race detector sees all of it.
 */
#include "device/plugin.h"
#include "replica_backend.h"
#include "result_hash.h"

#include <heddle/heddle.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 8, REQUESTS = 25, WORDS = 6, DEVICES = 3 };

static const char *const words[WORDS] = {"w1", "w2", "w3", "w4", "w6", "w7"};

typedef struct shared {
    hdl_translator *translator;
    uint64_t        expected[WORDS];    /* hash of the translation of the first i + 1 words */
    bool            known;
    atomic_int      n_ok, n_cancelled, n_lost, n_wrong;
} shared;

typedef struct worker { shared *all; uint64_t random; } worker;

static void note(shared *all, const hdl_result *result, size_t n_words)
{
    if (result->status == HDL_OK && hash_result(result) == all->expected[n_words - 1]) atomic_fetch_add(&all->n_ok, 1);
    else if (result->status == HDL_ECANCELLED) atomic_fetch_add(&all->n_cancelled, 1);
    else if (result->status == HDL_EDEVICE) atomic_fetch_add(&all->n_lost, 1);
    else atomic_fetch_add(&all->n_wrong, 1);
}

static void *work(void *argument)
{
    worker *w = argument;
    for (int i = 0; i < REQUESTS; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_ticket *ticket = NULL;
        const hdl_result *result = NULL;
        const uint64_t dice = next_random(&w->random);
        r.tokens = words;
        r.n_tokens = 1 + dice % WORDS;
        r.priority = (int32_t)(dice >> 8) % 3;
        r.wait = 1;
        if (hdl_translator_submit(w->all->translator, &r, &ticket) != HDL_OK) {
            atomic_fetch_add(&w->all->n_wrong, 1);
            continue;
        }
        if ((dice >> 28) % 8 == 0) hdl_ticket_cancel(ticket);
        if (hdl_ticket_wait(ticket, -1, &result) == HDL_OK) note(w->all, result, r.n_tokens);
        else atomic_fetch_add(&w->all->n_wrong, 1);
        hdl_ticket_release(ticket);
        hdl_device_stats stats = HDL_DEVICE_STATS_INIT;
        if (i % 8 == 7) hdl_translator_get_device_stats(w->all->translator, (int32_t)(dice % DEVICES), &stats);
    }
    return NULL;
}

/* The first translator is asked for what the others have to find. */
static int open_translator(hdl_model *model, shared *all)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = all->known ? "simt:all" : "simt:0";
    o.max_rows = 16;
    o.max_beam = 4;
    o.max_queue = 8;
    if (hdl_translator_open(model, &o, &all->translator) != HDL_OK) return 0;
    for (size_t i = 0; i < WORDS && !all->known; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_ticket *ticket;
        const hdl_result *result;
        r.tokens = words;
        r.n_tokens = i + 1;
        if (hdl_translator_submit(all->translator, &r, &ticket) != HDL_OK || hdl_ticket_wait(ticket, -1, &result) != HDL_OK)
            return 0;
        all->expected[i] = hash_result(result);
        hdl_ticket_release(ticket);
    }
    return 1;
}

/* In odd rounds one of the devices fails in the middle: the others do the rest. */
static int run_round(hdl_model *model, shared *all, int round)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    const int lost_before = atomic_load(&all->n_lost);
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    if (!open_translator(model, all)) return 0;
    if (round % 2 == 1) replica_fail(round / 2 % DEVICES, 20);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){all, (uint64_t)(round * THREADS + i)};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    if (hdl_translator_get_stats(all->translator, &stats) != HDL_OK) return 0;
    replica_fail(round / 2 % DEVICES, 0);
    const bool fair = round % 2 == 1 ? stats.n_lost <= 1 : stats.n_lost == 0 && atomic_load(&all->n_lost) == lost_before;
    return hdl_translator_close(all->translator, round % 2) == HDL_OK && atomic_load(&all->n_wrong) == 0 && fair;
}

int main(void)
{
    static shared all;
    hdl_model *model = NULL;
    int passed = 0, failed = 0;
    hdl__plugin_provide("simt", replica_backend(DEVICES));
    if (hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model) != HDL_OK || !open_translator(model, &all)) {
        printf("%s\n0 passed, 1 failed\n", hdl_error_detail());
        return 1;
    }
    hdl_translator_close(all.translator, 1);
    all.known = true;
    for (int round = 0; round < ROUNDS; round++) run_round(model, &all, round) ? passed++ : failed++;
    hdl_model_close(model);
    replica_open_things() == 0 ? passed++ : failed++;
    printf("seeds 0 to %d: %d translated, %d cancelled, %d ended with a device, %d wrong\n", ROUNDS * THREADS - 1,
           atomic_load(&all.n_ok), atomic_load(&all.n_cancelled), atomic_load(&all.n_lost), atomic_load(&all.n_wrong));
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
