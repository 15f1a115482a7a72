/* gemm_device.h - bench_gemm on a GPU: our products beside the library's, shape by shape. */
#ifndef HEDDLE_BENCH_GEMM_DEVICE_H
#define HEDDLE_BENCH_GEMM_DEVICE_H

/* The command line of bench_gemm when it names a device. Returns the exit code; what failed is on stderr. */
int bench_gemm_device(int argc, char **argv);

#endif
