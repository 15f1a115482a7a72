/*
 * profiler_ranges.cu - named ranges of the host's threads for NVIDIA's profilers (NVTX).
 *
 * Contract   include/heddle/backend.h: range_begin, range_end, nested, of the calling thread.
 * Reference  None: nothing is computed.
 * Source     The toolkit's nvtx3 headers, which look for a profiler at the first call and are empty calls without one.
 *
 * Mapping    No kernel.
 * Numerics   None.
 * Bound      Empty calls without a profiler.
 */
#include "device.cuh"

#include <nvtx3/nvToolsExt.h>

namespace hdl {

void range_begin(const char *name) { (void)nvtxRangePushA(name); }

void range_end() { (void)nvtxRangePop(); }

}  // namespace hdl
