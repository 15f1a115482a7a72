/* device_limits.h - how fast a device copies and multiplies with heddle's kernels, measured through public calls. */
#ifndef HEDDLE_BENCH_DEVICE_LIMITS_H
#define HEDDLE_BENCH_DEVICE_LIMITS_H

#include <heddle/gemm.h>

typedef struct device_limits {
    double bandwidth;   /* bytes a second read and written by a copy of rows */
    double peak;        /* operations a second of a large product, two a multiply-add */
} device_limits;

/* Both are a second of work at most. 0: the line that says why is on stderr. `small`: sizes for the stand-in. */
int measure_device_limits(const char *device, const char *library_dir, hdl_compute compute, int small,
                          device_limits *out);

#endif
