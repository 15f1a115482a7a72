/*
 * gemm_epilogue.cuh - from the sums of a tile to rows of y: bias, activation, residual, rounding.
 */
#pragma once
#include "activation.cuh"
#include "cuda_backend.cuh"
#include "vec.cuh"

namespace hdl {

constexpr int kOutputs = 4;                          // neighbouring outputs that a thread finishes together

struct GemmOutput {
    const float   *bias;                             // f32 [N] or NULL
    const void    *residual;                         // act [M, N] or NULL; may be y
    void          *y;                                // act [M, N]
    int64_t        ldr, ldy;
    int32_t        N;
    hdl_activation act;
    hdl_dtype      act_dtype;
    bool           vector;                           // four outputs may be read and written as one word
};

inline GemmOutput output_of(const hdl_gemm_args *args)
{
    const size_t word = dtype_bytes(args->act_dtype) * kOutputs;
    const auto fits = [&](const void *rows, int64_t ld) {
        return reinterpret_cast<uintptr_t>(rows) % word == 0 && ld % kOutputs == 0;
    };
    const bool vector = fits(args->y, args->ldy) && (args->residual == nullptr || fits(args->residual, args->ldr));
    return {args->bias, args->residual, args->y, args->ldr, args->ldy, args->N, args->act, args->act_dtype, vector};
}

__device__ __forceinline__ void load_outputs(const float *from, float (&to)[kOutputs])
{
    load_vec(from, to);
}

template <class T> __device__ __forceinline__ void load_outputs(const T *from, float (&to)[kOutputs])
{
    const uint2 got = *reinterpret_cast<const uint2 *>(from);
    to[0] = low_half<T>(got.x), to[1] = high_half<T>(got.x);
    to[2] = low_half<T>(got.y), to[3] = high_half<T>(got.y);
}

__device__ __forceinline__ void store_outputs(float *to, const float (&from)[kOutputs]) { store_vec(to, from); }

template <class T> __device__ __forceinline__ void store_outputs(T *to, const float (&from)[kOutputs])
{
    *reinterpret_cast<uint2 *>(to) = make_uint2(pack_pair<T>(from[0], from[1]), pack_pair<T>(from[2], from[3]));
}

// Outputs n .. n + 3 of row m from their sums.
template <class T>
__device__ __forceinline__ void finish_outputs(const GemmOutput &out, int m, int n, const float (&sum)[kOutputs])
{
    T       *y     = static_cast<T *>(out.y) + static_cast<int64_t>(m) * out.ldy + n;
    const T *extra = static_cast<const T *>(out.residual);
    if (extra != nullptr) extra += static_cast<int64_t>(m) * out.ldr + n;
    const bool whole = out.vector && n + kOutputs <= out.N;
    float value[kOutputs], residual[kOutputs] = {};
    if (extra != nullptr && whole) load_outputs(extra, residual);
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
        const bool live = n + i < out.N;
        if (extra != nullptr && !whole && live) residual[i] = widen(extra[i]);
        value[i] = activate(out.bias != nullptr && live ? sum[i] + out.bias[n + i] : sum[i], out.act);
        if (extra != nullptr) value[i] += residual[i];
    }
    if (whole) {
        store_outputs(y, value);
        return;
    }
#pragma unroll
    for (int i = 0; i < kOutputs; ++i)
        if (n + i < out.N) y[i] = narrow<T>(value[i]);
}

// Rows m0 .. of y below `live` from the tile's sums [kTileM, kLd]; all threads of the block share the work. Act is f32
// or what goes with the weights (Tile::Row): prepare_input lets nothing else through.
template <class Tile>
__device__ __forceinline__ void finish_tile(const GemmOutput &out, int m0, int live, int n0, const float *sums)
{
    constexpr int kAcross = Tile::kTileN / kOutputs;
    for (int at = threadIdx.x; at < Tile::kTileM * kAcross; at += blockDim.x) {
        const int row = at / kAcross, n = at % kAcross * kOutputs;
        if (m0 + row >= live || n0 + n >= out.N) continue;
        float sum[kOutputs];
        load_vec(sums + row * Tile::kLd + n, sum);
        if (out.act_dtype == HDL_F32) finish_outputs<float>(out, m0 + row, n0 + n, sum);
        else finish_outputs<typename Tile::Row>(out, m0 + row, n0 + n, sum);
    }
}

}  // namespace hdl
