/* result_hash.h - one number for all the bits of a result that translating decides: ids, log-probabilities, scores, alignment. */
#ifndef HEDDLE_TESTS_RESULT_HASH_H
#define HEDDLE_TESTS_RESULT_HASH_H

#include <heddle/translator.h>

uint64_t hash_result(const hdl_result *result);

/* A sequence of pseudo-random numbers (splitmix64); the state is the seed. */
uint64_t next_random(uint64_t *state);

#endif
