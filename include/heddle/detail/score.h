/* score.h - length normalisation of a hypothesis' score. */
#ifndef HEDDLE_DETAIL_SCORE_H
#define HEDDLE_DETAIL_SCORE_H

#include <heddle/detail/portable.h>
#include <heddle/search.h>

#include <math.h>

/* What a sum of log-probabilities over L target tokens is divided by: L^a, or ((5 + L) / 6)^a (Wu et al. 2016, eq. 14). 1 when L is 0. */
HDL_FN float hdl_length_divisor(int32_t L, float a, hdl_length_norm norm)
{
    if (L <= 0 || a == 0.0f) return 1.0f;
    const float base = norm == HDL_LENGTH_GNMT ? (5.0f + (float)L) / 6.0f : (float)L;
    return a == 1.0f ? base : powf(base, a);
}

#endif /* HEDDLE_DETAIL_SCORE_H */
