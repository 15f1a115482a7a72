/*
 * stamp.cu - a reading of the device's clock between two ops of a stream, for traces.
 *
 * Contract   include/heddle/device.h, hdl_stamp(): to[*place * stride + index], in nanoseconds.
 * Reference  host/cpu/stamp_cpu.c, the same from the host's clock; tests/test_stamp.c.
 * Source     PTX ISA, "Special Registers: %globaltimer".
 *
 * Mapping    One thread. The stream starts it when all before it has ended and what follows waits for it: that order is what
 *            the reading means.
 * Numerics   The clock may stand still between two updates: equal stamps are possible, earlier ones are not.
 * Bound      The launch. A traced step has twice the launches of a plain one.
 */
#include "launch.cuh"
#include "ops.cuh"
#include "ptx.cuh"

namespace hdl {
namespace {

__global__ void __launch_bounds__(1)
stamp_kernel(uint64_t *to, const int32_t *place, int64_t stride, int32_t index)
{
    const int64_t row          = place != nullptr ? *place : 0;
    to[row * stride + index] = global_timer();
}

}  // namespace

hdl_status op_stamp(hdl_backend_stream *stream, const hdl_stamp_args *args)
{
    return launch(stream, "stamp", listed<stamp_kernel>, dim3(1), dim3(1), 0, args->to, args->place, args->stride,
                  args->index);
}

}  // namespace hdl
