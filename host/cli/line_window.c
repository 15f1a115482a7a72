/* line_window.c - the lines between reader and writer, in order, a bounded number of them. */
#include "line_window.h"

#include <stdlib.h>
#include <time.h>

#define WINDOW_COST ((size_t)64 << 20)          /* bytes; one line is always let in, however large */

bool hdl__window_open(hdl__window *window, size_t lines)
{
    pthread_condattr_t attributes;
    *window = (hdl__window){ .capacity = lines };
    window->jobs = calloc(window->capacity, sizeof *window->jobs);
    if (!window->jobs) return false;
    pthread_mutex_init(&window->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&window->room, &attributes);
    pthread_cond_init(&window->work, &attributes);
    pthread_condattr_destroy(&attributes);
    return true;
}

void hdl__line_job_free(hdl__line_job *job)
{
    hdl_ticket_release(job->ticket);
    free(job->error);
    *job = (hdl__line_job){ 0 };
}

void hdl__window_close(hdl__window *window)
{
    if (!window->jobs) return;
    hdl__window_stop(window);
    pthread_cond_destroy(&window->work);
    pthread_cond_destroy(&window->room);
    pthread_mutex_destroy(&window->mutex);
    free(window->jobs);
    window->jobs = NULL;
}

bool hdl__window_put(hdl__window *window, const hdl__line_job *job)
{
    pthread_mutex_lock(&window->mutex);
    while (!window->stopped && window->n > 0 &&
           (window->n == window->capacity || window->cost + job->cost > WINDOW_COST))
        pthread_cond_wait(&window->room, &window->mutex);
    bool wanted = !window->stopped;
    if (wanted) {
        window->jobs[(window->first + window->n) % window->capacity] = *job;
        window->n += 1;
        window->cost += job->cost;
        pthread_cond_signal(&window->work);
    }
    pthread_mutex_unlock(&window->mutex);
    return wanted;
}

void hdl__window_end(hdl__window *window)
{
    pthread_mutex_lock(&window->mutex);
    window->ended = true;
    pthread_cond_signal(&window->work);
    pthread_mutex_unlock(&window->mutex);
}

void hdl__window_stop(hdl__window *window)
{
    pthread_mutex_lock(&window->mutex);
    window->stopped = true;
    while (window->n > 0) {
        hdl__line_job_free(&window->jobs[window->first]);
        window->first = (window->first + 1) % window->capacity;
        window->n -= 1;
    }
    pthread_cond_broadcast(&window->room);
    pthread_mutex_unlock(&window->mutex);
}

int hdl__window_first(hdl__window *window, int milliseconds, hdl__line_job *job)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)milliseconds * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&window->mutex);
    bool late = milliseconds <= 0;
    while (window->n == 0 && !window->ended && !late)
        late = pthread_cond_timedwait(&window->work, &window->mutex, &until) != 0;
    int found = window->n > 0 ? 1 : window->ended ? -1 : 0;
    if (found == 1) *job = window->jobs[window->first];
    pthread_mutex_unlock(&window->mutex);
    return found;
}

void hdl__window_pop(hdl__window *window)
{
    pthread_mutex_lock(&window->mutex);
    window->cost -= window->jobs[window->first].cost;
    window->first = (window->first + 1) % window->capacity;
    window->n -= 1;
    pthread_cond_signal(&window->room);
    pthread_mutex_unlock(&window->mutex);
}
