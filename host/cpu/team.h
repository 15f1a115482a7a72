/* team.h - one stream's work, shared with threads that offer themselves. */
#ifndef HEDDLE_HOST_TEAM_H
#define HEDDLE_HOST_TEAM_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hdl__cpu_team hdl__cpu_team;

hdl_status hdl__team_open(hdl__cpu_team **);
void       hdl__team_close(hdl__cpu_team *);    /* no thread may still assist */

/*
 * Runs job(user, 0..n-1), each once, and returns when all are done. Without an assistant this is a plain loop.
 * One thread at a time shares; jobs must not share in turn.
 */
void hdl__team_share(hdl__cpu_team *, int32_t n, void (*job)(void *user, int32_t item), void *user);

/* Takes items of whatever is shared until *stop is non-zero; sleeps while little is offered. Any number of threads. */
void hdl__team_assist(hdl__cpu_team *, const volatile int *stop);

#endif
