/*
 * isa.h - which instruction set this compilation is for, and its vectors.
 *
 * Every file of host/cpu/simd/ is compiled with exactly one of HDL__ISA_PLAIN, HDL__ISA_AVX2 and HDL__ISA_AVX512.
 * Plain uses GCC vector extensions only, so that any processor can run it.
 */
#ifndef HEDDLE_HOST_SIMD_ISA_H
#define HEDDLE_HOST_SIMD_ISA_H

#include <stdint.h>

#if defined(HDL__ISA_AVX512)
#  include <immintrin.h>
#  define HDL__VF_LANES 16
#elif defined(HDL__ISA_AVX2)
#  include <immintrin.h>
#  define HDL__VF_LANES 8
#elif defined(HDL__ISA_PLAIN)
#  define HDL__VF_LANES 4
#else
#  error "compile with -DHDL__ISA_PLAIN, -DHDL__ISA_AVX2 or -DHDL__ISA_AVX512"
#endif

#define HDL__VF_BYTES (HDL__VF_LANES * 4)

typedef float    vf __attribute__((vector_size(HDL__VF_BYTES), may_alias));    /* lanes of f32 */
/* lanes of i32; comparisons give -1 or 0 */
typedef int32_t  vi __attribute__((vector_size(HDL__VF_BYTES), may_alias));
typedef uint32_t vu __attribute__((vector_size(HDL__VF_BYTES), may_alias));

/* Forced, because tiles are written as one function of constants (rows, vectors) and must fold into straight code. */
#define HDL__INLINE static inline __attribute__((always_inline))

#endif
