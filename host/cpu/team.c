/*
 * team.c - dealing items to the owner of a stream and to assisting threads.
 *
 * One atomic word holds (items, next item). Taking an item is a compare-and-swap on it, and only after it has
 * succeeded are the job's fields read: the owner changes them only when every taken item has been counted as
 * done, so a taken item is proof that they are current. Nothing else is needed: a late assistant finds no item
 * and goes back to waiting.
 */
#include "cpu/team.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define HDL__SPINS_BEFORE_SLEEP 20000       /* about 100 us of pauses: longer than the gap between two ops of a step */
#define HDL__SPINS_BEFORE_YIELD 1000
#define HDL__SLEEP_NS           2000000L    /* how late a sleeping assistant may notice *stop */
#define HDL__NS_PER_S           1000000000L

struct hdl__cpu_team {
    _Alignas(HDL__CACHE_LINE) atomic_uint_fast64_t word;    /* items << 32 | next */
    _Alignas(HDL__CACHE_LINE) atomic_int done;              /* items finished */
    _Alignas(HDL__CACHE_LINE) atomic_int present;           /* assistants */
    atomic_int         sleeping;
    void             (*_Atomic job)(void *, int32_t);
    void *_Atomic      user;
    pthread_mutex_t    lock;                                /* only for falling asleep and waking */
    pthread_cond_t     offered;
};

hdl_status hdl__team_open(hdl__cpu_team **out)
{
    hdl_status status = HDL_OK;
    pthread_condattr_t clock_choice;
    hdl__cpu_team *team = hdl__calloc(1, sizeof *team);
    HDL_CHECK(team != NULL, HDL_ENOMEM, "stream: no memory for its team");
    pthread_mutex_init(&team->lock, NULL);
    pthread_condattr_init(&clock_choice);
    pthread_condattr_setclock(&clock_choice, CLOCK_MONOTONIC);
    pthread_cond_init(&team->offered, &clock_choice);
    pthread_condattr_destroy(&clock_choice);
    *out = team;
done:
    return status;
}

void hdl__team_close(hdl__cpu_team *team)
{
    if (team == NULL) return;
    pthread_cond_destroy(&team->offered);
    pthread_mutex_destroy(&team->lock);
    hdl__free(team);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static uint32_t count_items(uint64_t word) { return (uint32_t)(word >> 32); }
static uint32_t next_item(uint64_t word) { return (uint32_t)word; }

/* Takes and runs items until none is left; returns how many. */
static int32_t run_items(hdl__cpu_team *team)
{
    int32_t n_run = 0;
    uint_fast64_t word = atomic_load_explicit(&team->word, memory_order_relaxed);
    while (next_item(word) < count_items(word)) {
        if (!atomic_compare_exchange_weak_explicit(&team->word, &word, word + 1, memory_order_acquire,
                                                   memory_order_relaxed))
            continue;
        void (*job)(void *, int32_t) = atomic_load_explicit(&team->job, memory_order_relaxed);
        job(atomic_load_explicit(&team->user, memory_order_relaxed), (int32_t)next_item(word));
        atomic_fetch_add_explicit(&team->done, 1, memory_order_release);
        ++n_run;
        word = atomic_load_explicit(&team->word, memory_order_relaxed);
    }
    return n_run;
}

static void wake_sleepers(hdl__cpu_team *team)
{
    if (atomic_load(&team->sleeping) == 0) return;
    pthread_mutex_lock(&team->lock);
    pthread_cond_broadcast(&team->offered);
    pthread_mutex_unlock(&team->lock);
}

void hdl__team_share(hdl__cpu_team *team, int32_t n, void (*job)(void *user, int32_t item), void *user)
{
    if (n <= 1 || atomic_load_explicit(&team->present, memory_order_relaxed) == 0) {
        for (int32_t i = 0; i < n; ++i) job(user, i);
        return;
    }
    atomic_store_explicit(&team->job, job, memory_order_relaxed);
    atomic_store_explicit(&team->user, user, memory_order_relaxed);
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    /* sequentially consistent, against the sleeper's check */
    atomic_store(&team->word, (uint64_t)(uint32_t)n << 32);
    wake_sleepers(team);
    run_items(team);
    for (int32_t spins = 0; atomic_load_explicit(&team->done, memory_order_acquire) < n; ++spins) {
        if (spins < HDL__SPINS_BEFORE_YIELD) pause_briefly();
        else sched_yield();
    }
}

static bool is_offered(hdl__cpu_team *team)
{
    const uint64_t word = atomic_load(&team->word);
    return next_item(word) < count_items(word);
}

/* Until something is offered, or a little while: *stop is looked at in between. */
static void sleep_a_little(hdl__cpu_team *team)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += HDL__SLEEP_NS;
    if (until.tv_nsec >= HDL__NS_PER_S) {
        until.tv_nsec -= HDL__NS_PER_S;
        until.tv_sec += 1;
    }
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->sleeping, 1);
    if (!is_offered(team)) pthread_cond_timedwait(&team->offered, &team->lock, &until);
    atomic_fetch_sub(&team->sleeping, 1);
    pthread_mutex_unlock(&team->lock);
}

void hdl__team_assist(hdl__cpu_team *team, const volatile int *stop)
{
    atomic_fetch_add(&team->present, 1);
    int32_t idle = 0;
    while (__atomic_load_n(stop, __ATOMIC_ACQUIRE) == 0) {
        if (run_items(team) > 0) idle = 0;
        else if (idle < HDL__SPINS_BEFORE_SLEEP) ++idle, pause_briefly();
        else sleep_a_little(team);
    }
    atomic_fetch_sub(&team->present, 1);
}
