/*
 * backend_name.cuh - what the table calls itself: the same sources are two backends, the GPU's and its stand-in's.
 */
#pragma once
#include <heddle/device.h>

namespace hdl {

#ifdef HDL_SIMT
constexpr char            kBackendName[] = "simt";
constexpr hdl_device_kind kBackendKind   = HDL_DEVICE_SIMT;
constexpr int32_t         kUsualRows     = 0;
#else
constexpr char            kBackendName[] = "cuda";
constexpr hdl_device_kind kBackendKind   = HDL_DEVICE_CUDA;
constexpr int32_t         kUsualRows     = 1024;     // docs/performance.md, "How many rows"
#endif

}  // namespace hdl
