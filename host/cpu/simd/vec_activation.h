/* vec_activation.h - every hdl_activation on lanes of f32. */
#ifndef HEDDLE_HOST_SIMD_VEC_ACTIVATION_H
#define HEDDLE_HOST_SIMD_VEC_ACTIVATION_H

#include "cpu/simd/vec_math.h"

#include <heddle/gemm.h>

/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
HDL__INLINE vf vf_gelu_tanh(vf x)
{
    const vf inner = vf_set(0.7978845608f) * vf_fma(x * x * vf_set(0.044715f), x, x);
    return vf_set(0.5f) * x * (vf_set(1.0f) + vf_tanh(inner));
}

HDL__INLINE vf vf_gelu_erf(vf x)
{
    return vf_set(0.5f) * x * (vf_set(1.0f) + vf_erf(x * vf_set(0.7071067812f)));
}

/* x sigmoid(c x); 0, not NaN, for -inf */
HDL__INLINE vf vf_sigmoid_gate(vf x, float c)
{
    return vf_times_sigmoid(x, vf_set(c) * x);
}

HDL__INLINE vf vf_activate(vf x, hdl_activation act)
{
    switch (act) {
    case HDL_ACT_RELU:         return vf_select((vi)(x < vf_set(0.0f)), vf_set(0.0f), x);   /* NaN stays */
    case HDL_ACT_GELU_TANH:    return vf_gelu_tanh(x);
    case HDL_ACT_SWISH:        return vf_sigmoid_gate(x, 1.0f);
    case HDL_ACT_GELU_ERF:     return vf_gelu_erf(x);
    case HDL_ACT_GELU_SIGMOID: return vf_sigmoid_gate(x, 1.702f);
    case HDL_ACT_TANH:         return vf_tanh(x);
    case HDL_ACT_SIGMOID:      return vf_sigmoid(x);
    case HDL_ACT_NONE:
    case HDL_N_ACTIVATIONS:    break;
    }
    return x;
}

#endif
