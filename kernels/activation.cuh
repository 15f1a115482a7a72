/*
 * activation.cuh - every hdl_activation on one f32, as include/heddle/gemm.h defines them.
 */
#pragma once
#include <cuda_runtime.h>
#include <heddle/gemm.h>
#include <math.h>

namespace hdl {

constexpr float kSqrt2OverPi  = 0.7978845608f;
constexpr float kOneOverSqrt2 = 0.7071067812f;
constexpr float kGeluCubic    = 0.044715f;
constexpr float kGeluSigmoid  = 1.702f;

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// x sigmoid(c x); 0, not NaN, for -infinity.
__device__ __forceinline__ float sigmoid_gate(float x, float c)
{
    return x == -INFINITY ? 0.0f : x * sigmoid(c * x);
}

__device__ __forceinline__ float gelu_tanh(float x)
{
    const float inner = kSqrt2OverPi * fmaf(x * x * kGeluCubic, x, x);
    return 0.5f * x * (1.0f + tanhf(inner));
}

__device__ __forceinline__ float activate(float x, hdl_activation act)
{
    switch (act) {
    case HDL_ACT_RELU:         return x < 0.0f ? 0.0f : x;      // NaN stays
    case HDL_ACT_GELU_TANH:    return gelu_tanh(x);
    case HDL_ACT_SWISH:        return sigmoid_gate(x, 1.0f);
    case HDL_ACT_GELU_ERF:     return 0.5f * x * (1.0f + erff(x * kOneOverSqrt2));
    case HDL_ACT_GELU_SIGMOID: return sigmoid_gate(x, kGeluSigmoid);
    case HDL_ACT_TANH:         return tanhf(x);
    case HDL_ACT_SIGMOID:      return sigmoid(x);
    default:                   return x;
    }
}

}  // namespace hdl
