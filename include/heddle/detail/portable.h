/* portable.h - what lets gcc and nvcc compile the same pure functions. */
#ifndef HEDDLE_DETAIL_PORTABLE_H
#define HEDDLE_DETAIL_PORTABLE_H

#include <stdint.h>

#if defined(__CUDACC__)
#  define HDL_FN static inline __host__ __device__
#else
#  define HDL_FN static inline __attribute__((unused))
#endif

#endif /* HEDDLE_DETAIL_PORTABLE_H */
