/*
 * gather_rows.cu - y[i] = x[index[i]], rows of E.
 *
 * Contract   include/heddle/embed.h, hdl_gather_rows(): dense rows, index in device memory.
 * Reference  host/cpu/gather_cpu.c; tests/test_row_ops.c.
 * Source     None needed.
 *
 * Mapping    Rows are words of 16, 4 or 2 bytes, the widest that fits both arrays. Blocks of 128 threads stride over a
 *            row's words; rows stride over the grid.
 * Numerics   Bits are copied.
 * Bound      Memory: twice the bytes of y. M = 512, E = 512 in bf16 is 1 MB: the launch decides.
 */
#include "launch.cuh"
#include "ops.cuh"

namespace hdl {
namespace {

constexpr int kThreads  = 128;
constexpr int kMostRows = 65535;                     // blocks; rows beyond them are strided

template <class Word>
__global__ void __launch_bounds__(kThreads)
gather_rows_kernel(const Word *x, const int32_t *index, Word *y, int32_t M, int32_t words)
{
    for (int row = blockIdx.x; row < M; row += gridDim.x) {
        const Word *from = x + static_cast<size_t>(index[row]) * words;
        Word *to         = y + static_cast<size_t>(row) * words;
        for (int w = threadIdx.x; w < words; w += kThreads) to[w] = from[w];
    }
}

bool fits(const hdl_gather_rows_args *args, size_t row_bytes, size_t word)
{
    return row_bytes % word == 0 && reinterpret_cast<uintptr_t>(args->x) % word == 0 &&
           reinterpret_cast<uintptr_t>(args->y) % word == 0;
}

template <class Word>
hdl_status run_gather(hdl_backend_stream *stream, const hdl_gather_rows_args *args, size_t row_bytes)
{
    return launch(stream, "gather_rows", listed<gather_rows_kernel<Word>>, dim3(args->M < kMostRows ? args->M : kMostRows),
                  dim3(kThreads), 0, static_cast<const Word *>(args->x), args->index, static_cast<Word *>(args->y),
                  args->M, static_cast<int32_t>(row_bytes / sizeof(Word)));
}

}  // namespace

hdl_status op_gather_rows(hdl_backend_stream *stream, const hdl_gather_rows_args *args)
{
    const size_t row_bytes = static_cast<size_t>(args->E) * dtype_bytes(args->act_dtype);
    if (fits(args, row_bytes, sizeof(uint4))) return run_gather<uint4>(stream, args, row_bytes);
    if (fits(args, row_bytes, sizeof(uint32_t))) return run_gather<uint32_t>(stream, args, row_bytes);
    return run_gather<uint16_t>(stream, args, row_bytes);
}

}  // namespace hdl
