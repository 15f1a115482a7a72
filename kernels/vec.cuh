/*
 * vec.cuh - rows of f32 or bf16: one element, and 16 bytes at a time, widened to f32 in registers.
 *
 * 16-byte accesses need addresses that are multiples of 16. Callers ask is_vector on the host, once
 * a call, and keep a scalar path for odd shapes; both paths give the same bits.
 */
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

namespace hdl {

constexpr int kVectorBytes = 16;                     // the widest access of one thread
template <class T> constexpr int kVec = kVectorBytes / static_cast<int>(sizeof(T));

// Whether every row of a block of rows may be read 16 bytes at a time. NULL is no hindrance.
template <class T> inline bool is_vector(const void *rows, int64_t stride)
{
    return reinterpret_cast<uintptr_t>(rows) % kVectorBytes == 0 && stride % kVec<T> == 0;
}

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(__nv_bfloat16 x)
{
    return __uint_as_float(static_cast<unsigned>(__bfloat16_as_ushort(x)) << 16);
}

// To the nearest, ties to even.
template <class T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float x)
{
    return __float2bfloat16_rn(x);
}

__device__ __forceinline__ void load_vec(const float *from, float (&to)[kVec<float>])
{
    const float4 got = *reinterpret_cast<const float4 *>(from);
    to[0] = got.x, to[1] = got.y, to[2] = got.z, to[3] = got.w;
}

__device__ __forceinline__ void load_vec(const __nv_bfloat16 *from,
                                         float (&to)[kVec<__nv_bfloat16>])
{
    const uint4 got        = *reinterpret_cast<const uint4 *>(from);
    const unsigned word[4] = {got.x, got.y, got.z, got.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {                    // bf16 is the high half of an f32
        to[2 * i]     = __uint_as_float(word[i] << 16);
        to[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
    }
}

__device__ __forceinline__ void store_vec(float *to, const float (&from)[kVec<float>])
{
    *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

// Two f32 as two bf16 in one word, the first in the low half.
__device__ __forceinline__ unsigned pack_bf16x2(float low, float high)
{
    const unsigned l = __bfloat16_as_ushort(__float2bfloat16_rn(low));
    const unsigned h = __bfloat16_as_ushort(__float2bfloat16_rn(high));
    return l | h << 16;
}

__device__ __forceinline__ void store_vec(__nv_bfloat16 *to,
                                          const float (&from)[kVec<__nv_bfloat16>])
{
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(pack_bf16x2(from[0], from[1]), pack_bf16x2(from[2], from[3]),
                   pack_bf16x2(from[4], from[5]), pack_bf16x2(from[6], from[7]));
}

// kN consecutive elements at place e of a row of E, kN a multiple of kVec. Elements past E read as
// zero and are not written. `vector`: is_vector of the row, and E a multiple of kN.
template <int kN, class T>
__device__ __forceinline__ void load_part(const T *row, int e, int E, bool vector, float (&to)[kN])
{
    static_assert(kN % kVec<T> == 0, "a thread takes whole 16-byte words");
    if (vector && e < E) {
#pragma unroll
        for (int i = 0; i < kN; i += kVec<T>)
            load_vec(row + e + i, *reinterpret_cast<float (*)[kVec<T>]>(to + i));
        return;
    }
#pragma unroll
    for (int i = 0; i < kN; ++i) to[i] = e + i < E ? widen(row[e + i]) : 0.0f;
}

template <int kN, class T>
__device__ __forceinline__ void store_part(T *row, int e, int E, bool vector, const float (&from)[kN])
{
    static_assert(kN % kVec<T> == 0, "a thread takes whole 16-byte words");
    if (vector && e < E) {
#pragma unroll
        for (int i = 0; i < kN; i += kVec<T>)
            store_vec(row + e + i, *reinterpret_cast<const float (*)[kVec<T>]>(from + i));
        return;
    }
#pragma unroll
    for (int i = 0; i < kN; ++i)
        if (e + i < E) row[e + i] = narrow<T>(from[i]);
}

}  // namespace hdl
