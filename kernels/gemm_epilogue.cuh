/*
 * gemm_epilogue.cuh - from the sums of a tile to rows of y: bias, activation, residual, rounding, greatest magnitudes.
 */
#pragma once
#include "activation.cuh"
#include "cuda_backend.cuh"
#include "row_max.cuh"
#include "vec.cuh"

namespace hdl {

constexpr int kOutputs = 4;                          // neighbouring outputs that a thread finishes together

struct GemmOutput {
    const float   *bias;                             // f32 [N] or NULL
    const void    *residual;                         // act [M, N] or NULL; may be y
    void          *y;                                // act [M, N]
    float         *y_max;                            // f32 [M], raised to the rows' greatest magnitudes; or NULL
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
    return {args->bias, args->residual, args->y,   args->y_max,     args->ldr,
            args->ldy,  args->N,        args->act, args->act_dtype, vector};
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

// Outputs n .. n + 3 of row m from their sums. Returns the greatest of their magnitudes (magnitude_bits) before they are
// rounded to T.
template <class T>
__device__ __forceinline__ uint32_t finish_outputs(const GemmOutput &out, int m, int n, const float (&sum)[kOutputs])
{
    T       *y     = static_cast<T *>(out.y) + static_cast<int64_t>(m) * out.ldy + n;
    const T *extra = static_cast<const T *>(out.residual);
    if (extra != nullptr) extra += static_cast<int64_t>(m) * out.ldr + n;
    const bool whole = out.vector && n + kOutputs <= out.N;
    float value[kOutputs], residual[kOutputs] = {};
    uint32_t top = 0;
    if (extra != nullptr && whole) load_outputs(extra, residual);
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
        const bool live = n + i < out.N;
        if (extra != nullptr && !whole && live) residual[i] = widen(extra[i]);
        value[i] = activate(out.bias != nullptr && live ? sum[i] + out.bias[n + i] : sum[i], out.act);
        if (extra != nullptr) value[i] += residual[i];
        if (live) top = max(top, magnitude_bits(value[i]));
    }
    if (whole) {
        store_outputs(y, value);
        return top;
    }
#pragma unroll
    for (int i = 0; i < kOutputs; ++i)
        if (n + i < out.N) y[i] = narrow<T>(value[i]);
    return top;
}

// Joins `top` to the row's place in y_max, as a row of T holds it: rounding keeps the order of magnitudes, so the greatest
// may be rounded alone. One thread calls it for what its neighbours have found together.
template <class T> __device__ __forceinline__ void note_row_max(const GemmOutput &out, int m, uint32_t top)
{
    raise_row_max(out.y_max, m, stored_magnitude<T>(__uint_as_float(top)));
}

// Rows m0 .. of y below `live` from the tile's sums [kTileM, kLd]; all threads of the block share the work. Act is f32
// or what goes with the weights (Tile::Row): prepare_input lets nothing else through. Neighbouring lanes of one warp have
// a row between them: they find its greatest magnitude without the block, and one of them joins it to y_max.
template <class Tile>
__device__ __forceinline__ void finish_tile(const GemmOutput &out, int m0, int live, int n0, const float *sums)
{
    constexpr int kAcross = Tile::kTileN / kOutputs;
    static_assert(kWarp % kAcross == 0 && Tile::kTileM * kAcross % kWarp == 0, "whole warps must come to the shuffles");
    for (int at = threadIdx.x; at < Tile::kTileM * kAcross; at += blockDim.x) {
        const int row = at / kAcross, n = at % kAcross * kOutputs;
        uint32_t top = 0;
        if (m0 + row < live && n0 + n < out.N) {
            float sum[kOutputs];
            load_vec(sums + row * Tile::kLd + n, sum);
            top = out.act_dtype == HDL_F32 ? finish_outputs<float>(out, m0 + row, n0 + n, sum)
                                           : finish_outputs<typename Tile::Row>(out, m0 + row, n0 + n, sum);
        }
        if (out.y_max == nullptr) continue;          // all threads, or none
#pragma unroll
        for (int step = kAcross / 2; step > 0; step /= 2) top = max(top, __shfl_xor_sync(kAllLanes, top, step));
        if (n != 0 || m0 + row >= live) continue;
        if (out.act_dtype == HDL_F32) note_row_max<float>(out, m0 + row, top);
        else note_row_max<typename Tile::Row>(out, m0 + row, top);
    }
}

}  // namespace hdl
