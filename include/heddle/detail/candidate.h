/* candidate.h - the one order of continuations: cumulative log-probability, then beam, then token id. */
#ifndef HEDDLE_DETAIL_CANDIDATE_H
#define HEDDLE_DETAIL_CANDIDATE_H

#include <heddle/detail/portable.h>
#include <heddle/search.h>

typedef struct hdl_candidate {
    float   sum;        /* cumulative log-probability, this token included */
    float   logprob;
    int32_t beam;
    int32_t token;
} hdl_candidate;

HDL_FN int hdl_candidate_before(const hdl_candidate *a, const hdl_candidate *b)
{
    if (a->sum != b->sum) return a->sum > b->sum;
    if (a->beam != b->beam) return a->beam < b->beam;
    return a->token < b->token;
}

/* Puts `c` into the sorted list of at most `capacity` best; returns the list's new length. */
HDL_FN int32_t hdl_candidate_insert(hdl_candidate *best, int32_t n, int32_t capacity, const hdl_candidate *c)
{
    if (n == capacity && !hdl_candidate_before(c, &best[n - 1])) return n;
    int32_t at = n < capacity ? n : n - 1;
    while (at > 0 && hdl_candidate_before(c, &best[at - 1])) {
        best[at] = best[at - 1];
        at--;
    }
    best[at] = *c;
    return n < capacity ? n + 1 : n;
}

#endif /* HEDDLE_DETAIL_CANDIDATE_H */
