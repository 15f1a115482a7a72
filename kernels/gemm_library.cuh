/*
 * gemm_library.cuh - products by cuBLASLt, the family "lib": what the rest of the backend knows of it.
 *
 * Taken when hdl_device_options.products asks for it, weight by weight: pack freezes one algorithm of the library that
 * does not split K, and runs it at several M; a weight for which the bits differ stays in the family "chunk". Where the
 * toolkit's cublasLt.h is missing, gemm_no_library.cu stands for all of this.
 */
#pragma once
#include "gemm_weight.cuh"

namespace hdl {

// Opens the library and a handle of it; device->products is set. For hdl_device_open.
hdl_status product_library_open(hdl_backend_device *device);
void       product_library_close(hdl_backend_device *device);
void       product_library_describe(const hdl_backend_device *device, hdl_device_info *info);

// After the values are on the device: w->plan, or none when the library is not asked for or the check fails.
hdl_status library_plan_make(hdl_weight *w);
void       library_plan_close(hdl_weight *w);

// For a copy of w on another device, which must be of the same kind: the same algorithm.
hdl_status library_plan_copy(const hdl_weight *w, hdl_weight *copy);

// y from the rows that prepare_input has left, the first `used` bytes of scratch being theirs. The weight has a plan.
hdl_status gemm_library(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input, size_t used);

// What gemm_library needs beside that; 0 for a device without the library.
size_t library_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits &limits);

}  // namespace hdl
