/*
 * glu.cu - y = act(up) * gate, row by row.
 *
 * Contract   include/heddle/embed.h, hdl_glu(): row strides of their own, y may be up, live rows from memory.
 * Reference  host/cpu/glu_cpu.c; tests/test_row_ops.c.
 * Source     Shazeer 2020, arXiv 2002.05202.
 *
 * Mapping    One thread takes 8 neighbouring columns of one row; blocks are 256 threads wide, y of the grid is the row.
 *            y_max is raised by each warp for its columns.
 * Numerics   f32; one rounding to bf16 or f16 at the end; f16 is infinite from 65520 on.
 * Bound      Memory: 12 bytes an element (f32) or 6 (bf16). M = 4096, F = 2048 in bf16 is 50 MB, 10.5 us at 4.8 TB/s
 *            (H200 SXM).
 */
#include "activation.cuh"
#include "launch.cuh"
#include "ops.cuh"
#include "row_max.cuh"

namespace hdl {
namespace {

constexpr int kElements = 8;
constexpr int kThreads  = 256;
constexpr int kMostRows = 65535;                     // of a grid's second dimension; rows beyond it are strided

struct GluRows {
    const void    *up, *gate;
    void          *y;
    float         *y_max;
    int64_t        ldu, ldg, ldy;
    const int32_t *count;
    int32_t        M, F;
    hdl_activation act;
    bool           vector;
};

template <class T> __global__ void __launch_bounds__(kThreads) glu_rows_kernel(const GluRows a)
{
    const int column = (blockIdx.x * kThreads + threadIdx.x) * kElements;
    const int live   = a.count != nullptr ? *a.count : a.M;
    if (column - static_cast<int>(threadIdx.x) % kWarp * kElements >= a.F) return;     // whole warps leave
    for (int row = blockIdx.y; row < live; row += gridDim.y) {
        float up[kElements], gate[kElements];
        load_part(static_cast<const T *>(a.up) + row * a.ldu, column, a.F, a.vector, up);
        load_part(static_cast<const T *>(a.gate) + row * a.ldg, column, a.F, a.vector, gate);
#pragma unroll
        for (int i = 0; i < kElements; ++i) up[i] = activate(up[i], a.act) * gate[i];
        store_part(static_cast<T *>(a.y) + row * a.ldy, column, a.F, a.vector, up);
        if (a.y_max == nullptr) continue;
        uint32_t top = 0;                            // columns past F are 0, and stay it
#pragma unroll
        for (int i = 0; i < kElements; ++i) top = max(top, magnitude_bits(up[i]));
        top = stored_magnitude<T>(__reduce_max_sync(kAllLanes, top));
        if (threadIdx.x % kWarp == 0) raise_row_max(a.y_max, row, top);
    }
}

template <class T> hdl_status run_glu(hdl_backend_stream *stream, GluRows a)
{
    a.vector = a.F % kElements == 0 && is_vector<T>(a.up, a.ldu) && is_vector<T>(a.gate, a.ldg) &&
               is_vector<T>(a.y, a.ldy);
    const int span = kThreads * kElements;
    const dim3 grid((a.F + span - 1) / span, a.M < kMostRows ? a.M : kMostRows);
    return launch(stream, "glu", listed<glu_rows_kernel<T>>, grid, dim3(kThreads), 0, a);
}

}  // namespace

hdl_status op_glu(hdl_backend_stream *stream, const hdl_glu_args *args)
{
    const GluRows a = {args->up, args->gate, args->y, args->y_max, args->ldu, args->ldg, args->ldy,
                       args->count, args->M, args->F, args->act, false};
    switch (args->act_dtype) {
    case HDL_BF16: return run_glu<__nv_bfloat16>(stream, a);
    case HDL_F16:  return run_glu<__half>(stream, a);
    default:       return run_glu<float>(stream, a);
    }
}

}  // namespace hdl
