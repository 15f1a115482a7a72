/* signal_watch.c - one thread that waits for SIGINT and SIGTERM; no handler interrupts anything. */
#include "signal_watch.h"
#include "cli.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GRACE_SECONDS 5     /* for finished lines to reach an output that accepts them */

static struct watch {
    pthread_t   thread;
    sigset_t    signals;
    bool        running;
    atomic_bool noting, stopping;
    atomic_int  caught;
} watch;

static void *wait_for_signals(void *unused)
{
    (void)unused;
    int signal_number = 0;
    if (sigwait(&watch.signals, &signal_number) != 0 || atomic_load(&watch.stopping)) return NULL;
    if (!atomic_load(&watch.noting)) _exit(HDL__EXIT_SIGNAL + signal_number);
    atomic_store(&watch.caught, signal_number);
    struct timespec grace = { .tv_sec = GRACE_SECONDS };
    sigtimedwait(&watch.signals, NULL, &grace);
    if (!atomic_load(&watch.stopping)) _exit(HDL__EXIT_SIGNAL + signal_number);
    return NULL;
}

/* A signal that our parent told us to ignore (nohup, a shell's background job) stays ignored. */
static void watch_unless_ignored(int signal_number)
{
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
        sigaddset(&watch.signals, signal_number);
}

void hdl__signals_start(void)
{
    sigemptyset(&watch.signals);
    watch_unless_ignored(SIGINT);
    watch_unless_ignored(SIGTERM);
    sigaddset(&watch.signals, SIGUSR1);     /* our own, to end the thread */
    pthread_sigmask(SIG_BLOCK, &watch.signals, NULL);
    watch.running = pthread_create(&watch.thread, NULL, wait_for_signals, NULL) == 0;
    if (!watch.running) pthread_sigmask(SIG_UNBLOCK, &watch.signals, NULL);
}

void hdl__signals_note(void)
{
    atomic_store(&watch.noting, true);
}

int hdl__signals_caught(void)
{
    return atomic_load(&watch.caught);
}

void hdl__signals_stop(void)
{
    if (!watch.running) return;
    atomic_store(&watch.stopping, true);
    pthread_kill(watch.thread, SIGUSR1);
    pthread_join(watch.thread, NULL);
    watch.running = false;
}
