/*
 * attention_prefill_bf16.cu - attention of packed sequences of bf16 on tensor cores.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_PACKED.
 * Reference  host/cpu/attention_packed.c; tests/test_attention.c.
 * Source     attention_prefill_mma.cuh.
 * Mapping    attention_prefill_mma.cuh.
 * Numerics   attention_prefill_mma.cuh.
 * Bound      attention_prefill_mma.cuh.
 */
#include "attention_prefill_mma.cuh"

namespace hdl {

hdl_status attention_packed_bf16_prepare(hdl_backend_device *device)
{
    return prepare_packed<__nv_bfloat16>(device);
}

hdl_status attention_packed_bf16(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    return choose_packed<__nv_bfloat16>(stream, task, M);
}

}  // namespace hdl
