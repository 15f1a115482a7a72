/* activation_reference.h - every activation in double, as include/heddle/gemm.h defines it. */
#ifndef HEDDLE_TESTS_ACTIVATION_REFERENCE_H
#define HEDDLE_TESTS_ACTIVATION_REFERENCE_H

#include <heddle/gemm.h>

#include <math.h>

static inline double reference_activation(hdl_activation act, double x)
{
    switch (act) {
    case HDL_ACT_RELU:         return x > 0.0 ? x : 0.0;
    case HDL_ACT_GELU_TANH:    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case HDL_ACT_SWISH:        return x / (1.0 + exp(-x));
    case HDL_ACT_GELU_ERF:     return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
    case HDL_ACT_GELU_SIGMOID: return x / (1.0 + exp(-1.702 * x));
    case HDL_ACT_TANH:         return tanh(x);
    case HDL_ACT_SIGMOID:      return 1.0 / (1.0 + exp(-x));
    case HDL_ACT_NONE:
    case HDL_N_ACTIVATIONS:    break;
    }
    return x;
}

#endif
