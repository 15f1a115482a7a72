/*
 * vec.cuh - rows of f32, bf16 or f16: one element, and 16 bytes at a time, widened to f32 in registers.
 *
 * 16-byte accesses need addresses that are multiples of 16. Callers ask is_vector on the host, once
 * a call, and keep a scalar path for odd shapes; both paths give the same bits.
 */
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
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

__device__ __forceinline__ float widen(__half x) { return __half2float(x); }

// To the nearest, ties to even. f16 is infinite from 65520 on: nothing saturates.
template <class T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float x)
{
    return __float2bfloat16_rn(x);
}
template <> __device__ __forceinline__ __half narrow<__half>(float x) { return __float2half_rn(x); }

__device__ __forceinline__ unsigned short half_bits(__nv_bfloat16 x)
{
    return __bfloat16_as_ushort(x);
}
__device__ __forceinline__ unsigned short half_bits(__half x) { return __half_as_ushort(x); }

// Two 16-bit elements of one word, the first in the low half; and two f32 made such a word.
template <class T> __device__ __forceinline__ float low_half(unsigned word);
template <class T> __device__ __forceinline__ float high_half(unsigned word);
template <> __device__ __forceinline__ float low_half<__nv_bfloat16>(unsigned word)
{
    return __uint_as_float(word << 16);              // bf16 is the high half of an f32
}
template <> __device__ __forceinline__ float high_half<__nv_bfloat16>(unsigned word)
{
    return __uint_as_float(word & 0xffff0000u);
}
template <> __device__ __forceinline__ float low_half<__half>(unsigned word)
{
    return __half2float(__ushort_as_half(static_cast<unsigned short>(word & 0xffffu)));
}
template <> __device__ __forceinline__ float high_half<__half>(unsigned word)
{
    return __half2float(__ushort_as_half(static_cast<unsigned short>(word >> 16)));
}
template <class T> __device__ __forceinline__ unsigned join_bits(T low, T high)
{
    return static_cast<unsigned>(half_bits(low)) | static_cast<unsigned>(half_bits(high)) << 16;
}
template <class T> __device__ __forceinline__ unsigned pack_pair(float low, float high)
{
    return join_bits(narrow<T>(low), narrow<T>(high));
}

__device__ __forceinline__ void load_vec(const float *from, float (&to)[kVec<float>])
{
    const float4 got = *reinterpret_cast<const float4 *>(from);
    to[0] = got.x, to[1] = got.y, to[2] = got.z, to[3] = got.w;
}

template <class T> __device__ __forceinline__ void load_vec(const T *from, float (&to)[kVec<T>])
{
    static_assert(sizeof(T) == sizeof(uint16_t), "bf16 or f16");
    const uint4 got        = *reinterpret_cast<const uint4 *>(from);
    const unsigned word[4] = {got.x, got.y, got.z, got.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[2 * i]     = low_half<T>(word[i]);
        to[2 * i + 1] = high_half<T>(word[i]);
    }
}

__device__ __forceinline__ void store_vec(float *to, const float (&from)[kVec<float>])
{
    *reinterpret_cast<float4 *>(to) = make_float4(from[0], from[1], from[2], from[3]);
}

template <class T> __device__ __forceinline__ void store_vec(T *to, const float (&from)[kVec<T>])
{
    static_assert(sizeof(T) == sizeof(uint16_t), "bf16 or f16");
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(pack_pair<T>(from[0], from[1]), pack_pair<T>(from[2], from[3]),
                   pack_pair<T>(from[4], from[5]), pack_pair<T>(from[6], from[7]));
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
