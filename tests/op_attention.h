/* op_attention.h - attention in double, and naively in low precision, for one query; their bound (docs/numerics.md). */
#ifndef HEDDLE_TESTS_OP_ATTENTION_H
#define HEDDLE_TESTS_OP_ATTENTION_H

#include "op_fixture.h"

enum { OP_MAX_KEYS = 2048, OP_MAX_D = 256 };

/* One query and its keys: pointers to f32 [D] each. */
typedef struct op_query {
    const float *q;
    int32_t      D, n_keys;
    float        scale;
    const float *k[OP_MAX_KEYS], *v[OP_MAX_KEYS];
} op_query;

/* out f64 [D], probs f64 [n_keys] (or NULL); zero keys give 0. */
void op_attend_double(const op_query *query, double *out, double *probs);

/* Error so far: of what was found, and of the naive computation: f32 scores, weights and result rounded to act. */
typedef struct op_attend_error { double found, naive, noise; } op_attend_error;

/* Adds one result. */
void op_attend_compare(const op_world *w, const op_query *query, const float *out, op_attend_error *error);
bool op_attend_is_small(const op_attend_error *error);      /* found <= 2 naive + noise */

#endif
