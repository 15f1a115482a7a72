/*
 * deferred_backend.h - the CPU's ops as a device that the host cannot touch and that runs behind it: memory of its own, closed to the host
 * while nothing runs; ops and copies are queued and run when an event or a wait asks, or some of them at random moments.
 */
#ifndef HEDDLE_TESTS_DEFERRED_BACKEND_H
#define HEDDLE_TESTS_DEFERRED_BACKEND_H

#include <heddle/backend.h>

#include <stdint.h>

/* The table; hdl__plugin_provide("simt", ...) puts it behind a name. One device at a time. */
const hdl_backend *deferred_backend(void);

/* 0: queued work waits until it is asked for. Else: the seed of the moments at which some of it runs on its own. */
void deferred_set_seed(uint64_t seed);
/* The n-th piece of work from now fails, and all after it; 0: none. */
void deferred_fail_at(uint64_t n);
/* What its clock shows when the host's shows t: t + offset + drift * (t - now). */
void deferred_set_clock(int64_t offset_ns, double drift);
/*
 * Breaches of the rules seen so far: a source of an upload that changed before it was read, memory freed below queued work, a word scattered
 * twice at once, a row past its slot's length.
 */
int  deferred_breaches(void);
/* Pieces of work queued so far. */
uint64_t deferred_queued(void);

#endif
