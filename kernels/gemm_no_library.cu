/*
 * gemm_no_library.cu - what stands for cuBLASLt where the toolkit's cublasLt.h is missing: nothing is offered.
 *
 * Contract   kernels/gemm_library.cuh.
 * Reference  host/cpu/gemm_no_onednn.c.
 * Source     cmake/cuda.cmake and cmake/simt.cmake choose between this file and the family "lib".
 *
 * Mapping    Host code.
 * Numerics   None.
 * Bound      None.
 */
#include "backend_name.cuh"
#include "gemm_library.cuh"

namespace hdl {

hdl_status product_library_open(hdl_backend_device *device)
{
    return fail(device, HDL_ENOSUPPORT, "%s: products: this library was built without cublasLt.h", kBackendName);
}

void       product_library_close(hdl_backend_device *) {}
void       product_library_describe(const hdl_backend_device *, hdl_device_info *) {}
hdl_status library_plan_make(hdl_weight *) { return HDL_OK; }
void       library_plan_close(hdl_weight *) {}
hdl_status library_plan_copy(const hdl_weight *, hdl_weight *) { return HDL_OK; }

hdl_status gemm_library(hdl_backend_stream *stream, const hdl_gemm_args *, const GemmInput &, size_t)
{
    return fail(stream->device, HDL_ENOSUPPORT, "gemm: this library was built without cublasLt.h");
}

size_t library_scratch_bytes(const hdl_backend_device *, const hdl_stream_limits &) { return 0; }

}  // namespace hdl
