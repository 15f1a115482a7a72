/* thread_translator.c - eight threads submit, wait, cancel and close; a plain main, so that a race detector sees all of it. */
#include "result_hash.h"
#include "runtime/translator_state.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 12, REQUESTS = 25, WORDS = 6 };

static const char *const words[WORDS] = {"w1", "w2", "w3", "w4", "w6", "w7"};

typedef struct shared {
    hdl_translator *translator;
    uint64_t        expected[WORDS];    /* hash of the translation of the first i + 1 words */
    atomic_int      n_ok, n_cancelled, n_refused, n_late, n_wrong, n_callbacks, n_left;
    int             round;
} shared;

typedef struct worker { shared *all; uint64_t random; hdl_ticket *ticket; } worker;

static void count_callback(hdl_ticket *ticket, void *user)
{
    (void)ticket;
    atomic_fetch_add(&((shared *)user)->n_callbacks, 1);
}

static void note(shared *all, hdl_ticket *ticket, size_t n_words)
{
    const hdl_result *result = NULL;
    if (hdl_ticket_wait(ticket, -1, &result) != HDL_OK) {
        atomic_fetch_add(&all->n_wrong, 1);
        return;
    }
    if (result->status == HDL_OK)
        atomic_fetch_add(hash_result(result) == all->expected[n_words - 1] ? &all->n_ok : &all->n_wrong, 1);
    else if (result->status == HDL_ECANCELLED)
        atomic_fetch_add(&all->n_cancelled, 1);
    else if (result->status == HDL_ETIMEOUT)
        atomic_fetch_add(&all->n_late, 1);
    else
        atomic_fetch_add(&all->n_wrong, 1);
}

static void *work(void *argument)
{
    worker *w = argument;
    shared *all = w->all;
    for (int i = 0; i < REQUESTS; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_ticket *ticket = NULL;
        const uint64_t dice = next_random(&w->random);
        r.tokens = words;
        r.n_tokens = 1 + dice % WORDS;
        r.priority = (int32_t)(dice >> 8) % 3;
        r.wait = dice >> 16 & 1;
        r.deadline_us = (dice >> 20) % 8 == 0 ? 200 : 0;
        if ((dice >> 24) % 3 == 0) {
            r.on_done = count_callback;
            r.user = all;
        }
        const hdl_status status = hdl_translator_submit(all->translator, &r, &ticket);
        if (status != HDL_OK) {
            atomic_fetch_add(status == HDL_EAGAIN || status == HDL_ESTATE ? &all->n_refused : &all->n_wrong, 1);
            if (status == HDL_ESTATE) return NULL;      /* the translator closes */
            continue;
        }
        if ((dice >> 28) % 4 == 0) hdl_ticket_cancel(ticket);
        if ((dice >> 32) % 4 == 0) {
            hdl_ticket_release(ticket);                 /* nobody waits for it */
            continue;
        }
        note(all, ticket, r.n_tokens);
        hdl_ticket_release(ticket);
        hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
        if (i % 8 == 7) hdl_translator_get_stats(all->translator, &stats);
    }
    return NULL;
}

/* Waits until `n` threads are inside a call of the translator or have left it: only such may be overtaken by close. */
static void wait_inside(hdl_translator *translator, int n, const atomic_int *left)
{
    for (int seen = 0; seen < n; usleep(100)) {
        pthread_mutex_lock(&translator->hub->mutex);
        seen = translator->n_inside + atomic_load(left);
        pthread_mutex_unlock(&translator->hub->mutex);
    }
}

/* Long work, so that lanes and queue stay full for a while. */
static hdl_request long_request(const hdl_search_options *search)
{
    hdl_request r = HDL_REQUEST_INIT;
    r.tokens = words;
    r.n_tokens = WORDS;
    r.search = search;
    return r;
}

static void count_end(shared *all, hdl_ticket *ticket)
{
    const hdl_result *result = NULL;
    const hdl_status waited = hdl_ticket_wait(ticket, -1, &result);
    if (waited != HDL_OK || (result->status != HDL_OK && result->status != HDL_ECANCELLED)) atomic_fetch_add(&all->n_wrong, 1);
    else atomic_fetch_add(result->status == HDL_OK ? &all->n_ok : &all->n_cancelled, 1);
}

/* Is inside a submit that waits for room when the translator closes. */
static void *submit_and_stay(void *argument)
{
    worker *w = argument;
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_request r = long_request(&o);
    hdl_ticket *ticket = NULL;
    r.wait = 1;
    const hdl_status status = hdl_translator_submit(w->all->translator, &r, &ticket);
    atomic_fetch_add(&w->all->n_left, 1);
    if (status == HDL_ESTATE) atomic_fetch_add(&w->all->n_refused, 1);
    else if (status == HDL_OK) count_end(w->all, ticket);
    else atomic_fetch_add(&w->all->n_wrong, 1);
    hdl_ticket_release(ticket);
    return NULL;
}

/* Waits for a ticket, or cancels it, while the translator closes. */
static void *hold_ticket(void *argument)
{
    worker *w = argument;
    if (w->random % 2 == 0) hdl_ticket_cancel(w->ticket);
    count_end(w->all, w->ticket);
    hdl_ticket_release(w->ticket);
    return NULL;
}

static int open_translator(hdl_model *model, shared *all)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 2;
    o.max_rows = 16;
    o.max_beam = 4;
    o.max_queue = 8;
    o.trace = "/dev/null";      /* all threads tell of their work */
    if (hdl_translator_open(model, &o, &all->translator) != HDL_OK) return 0;
    for (size_t i = 0; i < WORDS; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_ticket *ticket;
        const hdl_result *result;
        r.tokens = words;
        r.n_tokens = i + 1;
        if (hdl_translator_submit(all->translator, &r, &ticket) != HDL_OK || hdl_ticket_wait(ticket, -1, &result) != HDL_OK)
            return 0;
        const uint64_t hash = hash_result(result);
        if (result->status != HDL_OK || (all->round > 0 && hash != all->expected[i])) return 0;
        all->expected[i] = hash;
        hdl_ticket_release(ticket);
    }
    return 1;
}

/* One translator, eight threads; it closes after they have ended. */
static int run_round(hdl_model *model, shared *all)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    if (!open_translator(model, all)) return 0;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.all = all, .random = (uint64_t)(all->round * THREADS + i)};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return hdl_translator_close(all->translator, all->round % 2) == HDL_OK && atomic_load(&all->n_wrong) == 0;
}

/* It closes while four threads wait for room in the full queue, and four hold tickets. */
static int run_closing_round(hdl_model *model, shared *all)
{
    pthread_t threads[THREADS];
    worker workers[THREADS];
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *fill[64];
    int n_fill = 0;
    o.alternatives = 1;
    o.n_best = o.beam = 4;
    o.min_length = o.max_length = 64;
    int n_submitting = 0;
    atomic_store(&all->n_left, 0);
    if (!open_translator(model, all)) return 0;
    const hdl_request r = long_request(&o);
    while (n_fill < 64 && hdl_translator_submit(all->translator, &r, &fill[n_fill]) == HDL_OK) n_fill++;
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.all = all, .random = (uint64_t)i, .ticket = i % 2 && n_fill > 0 ? fill[--n_fill] : NULL};
        n_submitting += workers[i].ticket == NULL;
        pthread_create(&threads[i], NULL, workers[i].ticket != NULL ? hold_ticket : submit_and_stay, &workers[i]);
    }
    wait_inside(all->translator, n_submitting, &all->n_left);
    const hdl_status closed = hdl_translator_close(all->translator, all->round % 2);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    while (n_fill > 0) hdl_ticket_release(fill[--n_fill]);
    return closed == HDL_OK && atomic_load(&all->n_wrong) == 0;
}

int main(void)
{
    static shared all;
    hdl_model *model = NULL;
    int n_passed = 0, n_failed = 0;
    if (hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model) != HDL_OK) {
        printf("%s\n0 passed, 1 failed\n", hdl_error_detail());
        return 1;
    }
    for (all.round = 0; all.round < ROUNDS; all.round++) {
        if (all.round % 3 == 2 ? run_closing_round(model, &all) : run_round(model, &all)) n_passed++;
        else n_failed++;
    }
    printf("%d done, %d cancelled, %d refused, %d late, %d wrong, %d callbacks\n", all.n_ok, all.n_cancelled, all.n_refused,
           all.n_late, all.n_wrong, all.n_callbacks);
    hdl_model_close(model);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
