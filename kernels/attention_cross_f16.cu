/*
 * attention_cross_f16.cu - attention over source pages of f16 on tensor cores.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_SOURCE_PAGES and
 *            values that lie as fragments.
 * Reference  host/cpu/attention_cpu.c; tests/test_attention_pages.c.
 * Source     attention_cross_mma.cuh.
 * Mapping    attention_cross_mma.cuh.
 * Numerics   attention_cross_mma.cuh. Weights up to 2^-25 round to zero. The output is a mean of
 *            values: infinite only where these come within a rounding of 65520.
 * Bound      attention_cross_mma.cuh.
 */
#include "attention_cross_mma.cuh"

namespace hdl {

hdl_status attention_cross_f16(hdl_backend_stream *stream, const PagedTask &task, int M)
{
    return choose_cross<__half>(stream, task, M);
}

}  // namespace hdl
