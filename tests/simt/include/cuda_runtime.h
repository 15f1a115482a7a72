// cuda_runtime.h - the header of this name for kernels that run on the CPU.
//
// Stands before the toolkit's on the include path. Types and the C functions are the toolkit's own
// headers; this file adds what its cuda_runtime.h adds to them in C++, and what nvcc itself knows.
// simt_device.h has the device side. The C functions are implemented in simt_runtime.cc.
#ifndef HEDDLE_SIMT_CUDA_RUNTIME_H
#define HEDDLE_SIMT_CUDA_RUNTIME_H

#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#ifndef __launch_bounds__
#define __launch_bounds__(...)
#endif

#include "simt_device.h"
#include "simt_launch.h"
#include "simt_math.h"
#include "simt_ptx.h"

#endif
