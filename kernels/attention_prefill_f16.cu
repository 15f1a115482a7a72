/*
 * attention_prefill_f16.cu - attention of packed sequences of f16 on tensor cores.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_PACKED.
 * Reference  host/cpu/attention_packed.c; tests/test_attention.c.
 * Source     attention_prefill_mma.cuh.
 * Mapping    attention_prefill_mma.cuh.
 * Numerics   attention_prefill_mma.cuh. Weights up to 2^-25 round to zero. The output is a mean of
 *            values: infinite only where these come within a rounding of 65520.
 * Bound      attention_prefill_mma.cuh.
 */
#include "attention_prefill_mma.cuh"

namespace hdl {

hdl_status attention_packed_f16_prepare(hdl_backend_device *device)
{
    return prepare_packed<__half>(device);
}

hdl_status attention_packed_f16(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    return choose_packed<__half>(stream, task, M);
}

}  // namespace hdl
