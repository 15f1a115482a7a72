/* op_maxima.h - row maxima in the tests of ops that note them (device.h): given to every op that runs, held against the rows it wrote. */
#ifndef HEDDLE_TESTS_OP_MAXIMA_H
#define HEDDLE_TESTS_OP_MAXIMA_H

#include "op_fixture.h"

/* f32 [n] in device memory, every third above what a test writes, the others 0; NULL where the place notes none. */
float *op_maxima(op_world *w, int32_t n);

/*
 * maxima [n] after an op that wrote rows [n, width] of stride ld, as op_act_fetch gives them. `live` (NULL: all): other rows' are as they
 * were. raised: at least what they were, else set. Nothing is checked where maxima is NULL.
 */
void op_maxima_check(op_world *w, const float *maxima, const float *rows, int64_t ld, int32_t width, int32_t n, const bool *live,
                     bool raised);

#endif
