/*
 * line_window.h - the lines between reader and writer, in order, a bounded number of them.
 */
#ifndef HEDDLE_LINE_WINDOW_H
#define HEDDLE_LINE_WINDOW_H

#include "cli.h"

#include <heddle/translator.h>

#include <pthread.h>

typedef struct hdl__line_job {
    hdl_ticket *ticket;         /* NULL: the reader could not go on, and `error` says why */
    char       *error;          /* owned */
    int         exit_code;      /* with error */
    uint64_t    line;           /* from 0 */
    uint64_t    n_bytes;        /* of the input, up to the end of this line */
    size_t      cost;           /* bytes that the line and its result may take */
    size_t      n_replaced;     /* bytes that became U+FFFD before the library saw the line */
} hdl__line_job;

typedef struct hdl__window {
    pthread_mutex_t mutex;
    pthread_cond_t  room, work;
    hdl__line_job  *jobs;       /* a ring */
    size_t          capacity, first, n;
    size_t          cost;       /* of all jobs inside */
    bool            ended;      /* nothing more will come */
    bool            stopped;    /* nothing more is wanted */
} hdl__window;

/* Room for `lines` lines. */
bool hdl__window_open(hdl__window *window, size_t lines);
/* Frees the jobs inside too. */
void hdl__window_close(hdl__window *window);
/* Waits for room. False: the window was stopped, the job is still the caller's. */
bool hdl__window_put(hdl__window *window, const hdl__line_job *job);
void hdl__window_end(hdl__window *window);
/* Refuses all that is to come and drops all that is inside. */
void hdl__window_stop(hdl__window *window);
/* The first job, left inside; waits at most `milliseconds`. 1: *job; 0: not yet; -1: ended, nothing left. */
int  hdl__window_first(hdl__window *window, int milliseconds, hdl__line_job *job);
/* Takes the first job out; its ticket and error are the caller's now. */
void hdl__window_pop(hdl__window *window);
void hdl__line_job_free(hdl__line_job *job);

#endif
