// simt_math.h - arithmetic and bit functions of the device, computed by the host.
//
// The host's libm is correctly rounded or nearly so; the device's functions are within a few units of the
// last place. Nothing may depend on the difference.
#ifndef HEDDLE_SIMT_MATH_H
#define HEDDLE_SIMT_MATH_H

#include <cstdint>
#include <cstring>
#include <math.h>
#include <type_traits>
#include <vector_types.h>

#include "simt_device.h"

HDL_SIMT_INLINE unsigned __float_as_uint(float x) { unsigned u; std::memcpy(&u, &x, sizeof u); return u; }
HDL_SIMT_INLINE int __float_as_int(float x) { int i; std::memcpy(&i, &x, sizeof i); return i; }
HDL_SIMT_INLINE float __uint_as_float(unsigned u) { float x; std::memcpy(&x, &u, sizeof x); return x; }
HDL_SIMT_INLINE float __int_as_float(int i) { float x; std::memcpy(&x, &i, sizeof x); return x; }
HDL_SIMT_INLINE long long __double_as_longlong(double x)
{
    long long i; std::memcpy(&i, &x, sizeof i); return i;
}
HDL_SIMT_INLINE double __longlong_as_double(long long i)
{
    double x; std::memcpy(&x, &i, sizeof x); return x;
}

HDL_SIMT_INLINE float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
HDL_SIMT_INLINE float __fadd_rn(float a, float b) { return a + b; }
HDL_SIMT_INLINE float __fsub_rn(float a, float b) { return a - b; }
HDL_SIMT_INLINE float __fmul_rn(float a, float b) { return a * b; }
HDL_SIMT_INLINE float __fdiv_rn(float a, float b) { return a / b; }
HDL_SIMT_INLINE float __fdividef(float a, float b) { return a / b; }
HDL_SIMT_INLINE float __frcp_rn(float a) { return 1.0f / a; }
HDL_SIMT_INLINE float __fsqrt_rn(float a) { return sqrtf(a); }
HDL_SIMT_INLINE float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
HDL_SIMT_INLINE float rsqrtf(float a) { return 1.0f / sqrtf(a); }
HDL_SIMT_INLINE double rsqrt(double a) { return 1.0 / sqrt(a); }
HDL_SIMT_INLINE float __expf(float a) { return expf(a); }
HDL_SIMT_INLINE float __logf(float a) { return logf(a); }
HDL_SIMT_INLINE float __log2f(float a) { return log2f(a); }
HDL_SIMT_INLINE float __sinf(float a) { return sinf(a); }
HDL_SIMT_INLINE float __cosf(float a) { return cosf(a); }
HDL_SIMT_INLINE float __powf(float a, float b) { return powf(a, b); }
HDL_SIMT_INLINE float __saturatef(float a) { return a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f; }

// Conversions saturate on the device and NaN becomes zero.
HDL_SIMT_INLINE int simt_to_int(float a)
{
    if (a != a) return 0;
    if (a >= 2147483648.0f) return INT32_MAX;
    return a <= -2147483648.0f ? INT32_MIN : static_cast<int>(a);
}
HDL_SIMT_INLINE int __float2int_rn(float a) { return simt_to_int(rintf(a)); }
HDL_SIMT_INLINE int __float2int_rz(float a) { return simt_to_int(a); }
HDL_SIMT_INLINE int __float2int_rd(float a) { return simt_to_int(floorf(a)); }
HDL_SIMT_INLINE int __float2int_ru(float a) { return simt_to_int(ceilf(a)); }
HDL_SIMT_INLINE float __int2float_rn(int a) { return static_cast<float>(a); }
HDL_SIMT_INLINE float __uint2float_rn(unsigned a) { return static_cast<float>(a); }

HDL_SIMT_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
HDL_SIMT_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
HDL_SIMT_INLINE int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
HDL_SIMT_INLINE int __clzll(long long x)
{
    return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
HDL_SIMT_INLINE int __ffs(int x) { return __builtin_ffs(x); }
HDL_SIMT_INLINE int __ffsll(long long x) { return __builtin_ffsll(x); }
HDL_SIMT_INLINE unsigned __brev(unsigned x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}
HDL_SIMT_INLINE unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
HDL_SIMT_INLINE int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
HDL_SIMT_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    __extension__ typedef unsigned __int128 Wide;
    return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}
HDL_SIMT_INLINE unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned shift)
{
    return static_cast<unsigned>(((static_cast<uint64_t>(hi) << 32 | lo) << (shift & 31)) >> 32);
}
HDL_SIMT_INLINE unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned shift)
{
    return static_cast<unsigned>((static_cast<uint64_t>(hi) << 32 | lo) >> (shift & 31));
}

// "prmt" in its default mode: byte i of the result is byte (selector nibble i) of y:x, or that byte's sign.
HDL_SIMT_INLINE unsigned __byte_perm(unsigned x, unsigned y, unsigned selector)
{
    const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
    unsigned result      = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned nibble = selector >> (4 * i) & 15u;
        unsigned byte         = static_cast<unsigned>(bytes >> (8 * (nibble & 7u))) & 0xffu;
        if (nibble & 8u) byte = byte & 0x80u ? 0xffu : 0u;
        result |= byte << (8 * i);
    }
    return result;
}

HDL_SIMT_INLINE int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; ++i)
        c += static_cast<int8_t>(a >> (8 * i)) * static_cast<int8_t>(b >> (8 * i));
    return c;
}

// min and max of two integer types or of two floating ones, as nvcc's overloads resolve them. Of a NaN and
// a number, the number.
template <class A, class B>
constexpr bool simt_comparable = (std::is_integral_v<A> && std::is_integral_v<B>) ||
                                 (std::is_floating_point_v<A> && std::is_floating_point_v<B>);
template <class A, class B, class = std::enable_if_t<simt_comparable<A, B>>>
HDL_SIMT_INLINE std::common_type_t<A, B> min(A a, B b)
{
    using T = std::common_type_t<A, B>;
    const T x = static_cast<T>(a), y = static_cast<T>(b);
    return x < y || y != y ? x : y;
}
template <class A, class B, class = std::enable_if_t<simt_comparable<A, B>>>
HDL_SIMT_INLINE std::common_type_t<A, B> max(A a, B b)
{
    using T = std::common_type_t<A, B>;
    const T x = static_cast<T>(a), y = static_cast<T>(b);
    return x > y || y != y ? x : y;
}

#endif
