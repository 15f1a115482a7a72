/* op_search.h - a written-out history of beams, and edits and candidates by the book, in double. */
#ifndef HEDDLE_TESTS_OP_SEARCH_H
#define HEDDLE_TESTS_OP_SEARCH_H

#include "op_fixture.h"

enum { OP_MAX_T = 64, OP_MAX_V = 8200 };

/* Tokens of every beam, in order: what the history must say. */
typedef struct op_paths { int32_t n; int32_t token[HDL_MAX_BEAM][OP_MAX_T]; } op_paths;

/* Fills the history of slot s with n random steps over tokens below V, as beam steps write it, and its next input tokens. */
void op_history_fill(op_world *w, op_slots *s, int32_t slot, int32_t n, int32_t V, op_paths *paths);

/* Kind of edit of every token (0: none), from the rules of search. */
void op_edits_expected(const op_slots *s, int32_t slot, const int32_t *token, int32_t n, uint8_t kind[OP_MAX_V]);

/* What is expected of a row: log-probabilities of all tokens, -inf where removed; order of tokens, best first. */
typedef struct op_expected {
    double  logprob[OP_MAX_V];
    int32_t order[OP_MAX_V];
    int32_t n;                  /* tokens that are left */
} op_expected;

/* z f64 [V] raw logits. `following`: the beam follows a biased prefix. */
void op_reduce_expected(const op_slots *s, int32_t slot, const double *z, int32_t V, const uint8_t *kind, int32_t t,
                        bool following, op_expected *out);

#endif
