/*
 * scatter_words.cu - base[index[i]] = value[i]: the host's changes to what slots hold.
 *
 * Contract   include/heddle/search.h, hdl_scatter_words(): indices are distinct.
 * Reference  host/cpu, hdl__cpu_scatter_words; tests/test_row_ops.c.
 * Source     None needed.
 *
 * Mapping    One thread a word.
 * Numerics   Bits are copied.
 * Bound      The launch: a step changes a few hundred words.
 */
#include "launch.cuh"
#include "ops.cuh"

namespace hdl {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
scatter_words_kernel(int32_t *base, const int32_t *index, const int32_t *value, int32_t n)
{
    const int i = blockIdx.x * kThreads + threadIdx.x;
    if (i < n) base[index[i]] = value[i];
}

}  // namespace

hdl_status op_scatter_words(hdl_backend_stream *stream, const hdl_scatter_words_args *args)
{
    return launch(stream, "scatter_words", listed<scatter_words_kernel>, dim3((args->n + kThreads - 1) / kThreads),
                  dim3(kThreads), 0, args->base, args->index, args->value, args->n);
}

}  // namespace hdl
