/* engine_life.h - requests short and endless, engines with little room, and a gate that holds a callback: for tests of the runtime. */
#ifndef HEDDLE_TESTS_ENGINE_LIFE_H
#define HEDDLE_TESTS_ENGINE_LIFE_H

#include "engine_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define MOST 64

extern const char *const words[8];

/* Three tokens of tiny-a; waits for room. */
hdl_request simple(void);
/* Options that keep a lane busy for long: 64 positions, eight times, never an end. */
hdl_search_options endless(void);
/* tiny-a with one lane, and room for one endless() at a time when max_rows is 8. */
engine open_with(int32_t max_queue, int32_t max_rows);
/* Waits; checks that status, detail and hypotheses agree. */
hdl_status wait_status(hdl_ticket *ticket);
/* Fills lane and queue with endless work until a submit that does not wait is refused; how many went in. */
size_t fill_up(const engine *e, hdl_ticket **tickets, size_t most);

/* Waits until `n` threads are inside a call of the translator or have been counted in *left after it. */
void wait_inside(hdl_translator *translator, int n, const atomic_int *left);

typedef struct gate { pthread_mutex_t mutex; pthread_cond_t moved; bool open, reached; } gate;
#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false }

/* A callback that waits at the gate (`user`). */
void stand_at(hdl_ticket *ticket, void *user);
void wait_reached(gate *g);
void open_gate(gate *g);

#endif
