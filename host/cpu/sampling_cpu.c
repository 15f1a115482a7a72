/* sampling_cpu.c - draws a token: top-k, temperature, top-p, inverse cumulative distribution in ascending ids. */
#include "cpu/logit_panels.h"

#include <heddle/detail/philox.h>

#include <math.h>
#include <string.h>

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* Unsigned integers in the order of the floats. */
static uint32_t order_key(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/*
 * The key at which the weights of the values, counted from the greatest down, reach `target`, found digit by digit;
 * *above is the weight of all greater values. A value weighs 1, or itself when `by_mass`.
 */
static uint32_t key_that_reaches(const float *values, int32_t n, bool by_mass, double target, double *above)
{
    uint32_t key = 0, known = 0;
    *above = 0.0;
    for (int shift = 32 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        double weight[DIGITS] = {0};
        int32_t lowest = DIGITS;
        for (int32_t i = 0; i < n; i++) {
            const uint32_t k = order_key(values[i]);
            if ((k & known) != key) continue;
            const int32_t digit = (int32_t)((k >> shift) & (DIGITS - 1));
            weight[digit] += by_mass ? (double)values[i] : 1.0;
            if (digit < lowest) lowest = digit;
        }
        int32_t digit = DIGITS - 1;
        for (; digit > lowest && *above + weight[digit] < target; digit--) *above += weight[digit];
        key |= (uint32_t)digit << shift;
        known |= (uint32_t)(DIGITS - 1) << shift;
    }
    return key;
}

/* Keeps the greatest values whose weights reach `target`, of equal ones those with lower ids; the others become `removed`. */
static void keep_greatest(float *values, int32_t n, bool by_mass, double target, float removed)
{
    double weight;
    const uint32_t key = key_that_reaches(values, n, by_mass, target, &weight);
    for (int32_t i = 0; i < n; i++) {
        const uint32_t k = order_key(values[i]);
        if (k > key) continue;
        if (k == key && weight < target) weight += by_mass ? (double)values[i] : 1.0;
        else values[i] = removed;
    }
}

static double total_of(const float *p, int32_t n)
{
    double total = 0.0;
    for (int32_t i = 0; i < n; i++) total += (double)p[i];
    return total;
}

int32_t hdl__sample_token(const hdl__op_kernels *kernels, const hdl_slot_options *o, int32_t pos,
                          const float *logits, int32_t V, float max, float *p)
{
    memcpy(p, logits, (size_t)V * sizeof *p);
    if (o->top_k > 0 && o->top_k < V) keep_greatest(p, V, false, (double)o->top_k, -INFINITY);
    kernels->exp_row(p, V, max, 1.0f / o->temperature, p);
    if (o->top_p > 0.0f && o->top_p < 1.0f) keep_greatest(p, V, true, (double)o->top_p * total_of(p, V), 0.0f);
    const double mark = (double)hdl_uniform(o->seed, (uint32_t)o->draw, (uint32_t)pos) * total_of(p, V);
    double passed = 0.0;
    int32_t last = 0;
    for (int32_t i = 0; i < V; i++) {
        if (!(p[i] > 0.0f)) continue;
        passed += (double)p[i];
        last = i;
        if (passed > mark) break;
    }
    return last;
}
