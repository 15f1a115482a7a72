/*
 * norm.cu - y = LayerNorm(x + residual) or RMSNorm(x + residual), and the sum itself, in one pass.
 *
 * Contract   include/heddle/norm.h, hdl_norm(): 1 <= E <= 16384, dense rows, live rows from memory; y may be x or
 *            residual, sum too (never both the same).
 * Reference  host/cpu/norm_cpu.c; tests/test_norm.c holds the two together.
 * Source     Ba, Kiros and Hinton 2016, arXiv 1607.06450; Zhang and Sennrich 2019, arXiv 1910.07467.
 *
 * Mapping    Up to E = 1024 one warp owns one row, beyond it one block; the row stays in registers and is read once.
 *            Thread t of T holds elements [8 (cT + t), + 8) of chunk c, which only it reads and writes: that is what
 *            makes the aliases safe.
 *            What y_max takes is joined by the warp or block that owns the row, and stored once.
 * Numerics   f32: the mean, then the centred sum of squares. Statistics are of the sum before it is rounded to bf16
 *            or f16; f16 is infinite from 65520 on, which a residual sum can reach.
 *            The order of additions depends on E alone.
 * Bound      Memory: with residual and sum 16 bytes an element (f32) or 8 (bf16). M = 4096, E = 512 in bf16 is 16.8 MB,
 *            3.5 us at 4.8 TB/s (H200 SXM).
 */
#include "launch.cuh"
#include "ops.cuh"
#include "row_max.cuh"

namespace hdl {
namespace {

constexpr int kElements     = 8;                     // of one thread in one chunk: 16 bytes of bf16 or f16
constexpr int kRowsPerBlock = 4;                     // of short rows: 128 threads
constexpr int kShortChunks  = 4;                     // E <= 1024 in one warp: 32 registers hold the row
constexpr int kLongChunks   = 2;                     // E <= 16384 in at most 32 warps
constexpr int kShortThreads = kWarp * kRowsPerBlock;
constexpr int kLongThreads  = 1024;
constexpr int kMostWarps    = kLongThreads / kWarp;
constexpr int kWarpElements = kWarp * kElements;

struct NormRows {
    const void    *x, *residual;
    const float   *gamma, *beta;
    void          *y, *sum;
    float         *y_max;
    const int32_t *count;
    int32_t        M, E;
    float          eps;
    bool           centre;      // LayerNorm
    bool           vector;      // 16-byte accesses are allowed in every array
};

// Sum over the threads of one row: a warp, or a block of n_warps.
__device__ __forceinline__ float row_sum(float x, float *partial, int n_warps)
{
    return n_warps == 1 ? warp_sum(x) : block_sum(x, partial, n_warps);
}

// Greatest over the threads of one row, likewise; a block needs partial [n_warps] that nothing else touches.
__device__ __forceinline__ uint32_t row_top(uint32_t top, uint32_t *partial, int n_warps)
{
    top = __reduce_max_sync(kAllLanes, top);
    if (n_warps == 1) return top;
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = top;
    __syncthreads();
    for (int w = 0; w < n_warps; ++w) top = max(top, partial[w]);
    return top;
}

// n_warps: warps of one row; 1 puts kRowsPerBlock rows into a block. kThreads only bounds the registers.
template <class T, int kChunks, int kThreads>
__global__ void __launch_bounds__(kThreads) norm_row_kernel(const NormRows a, int n_warps)
{
    static_assert(kChunks >= 1 && kChunks <= kShortChunks, "look at ptxas -v before adding chunks");
    size_t offset   = 0;
    float *totals   = smem_carve<float>(offset, kMostWarps);
    float *squares  = smem_carve<float>(offset, kMostWarps);
    uint32_t *tops  = smem_carve<uint32_t>(offset, kMostWarps);
    const int row   = n_warps == 1 ? blockIdx.x * kRowsPerBlock + threadIdx.x / kWarp : blockIdx.x;
    const int place = n_warps == 1 ? threadIdx.x % kWarp : threadIdx.x;
    const int live  = a.count != nullptr ? *a.count : a.M;
    if (row >= live) return;                         // all threads of a row leave together

    const int    E      = a.E;
    const size_t base   = static_cast<size_t>(row) * E;
    const int    stride = kWarpElements * n_warps;
    const T *x          = static_cast<const T *>(a.x) + base;
    float v[kChunks][kElements];
    float total = 0.0f;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int e = c * stride + place * kElements;
        load_part(x, e, E, a.vector, v[c]);
        if (a.residual != nullptr) {
            float r[kElements];
            load_part(static_cast<const T *>(a.residual) + base, e, E, a.vector, r);
#pragma unroll
            for (int i = 0; i < kElements; ++i) v[c][i] += r[i];
        }
#pragma unroll
        for (int i = 0; i < kElements; ++i) total += v[c][i];
    }
    const float n    = static_cast<float>(E);
    const float mean = a.centre ? row_sum(total, totals, n_warps) / n : 0.0f;

    float square = 0.0f;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int e = c * stride + place * kElements;
        if (a.sum != nullptr) store_part(static_cast<T *>(a.sum) + base, e, E, a.vector, v[c]);
#pragma unroll
        for (int i = 0; i < kElements; ++i) {
            const float d = e + i < E ? v[c][i] - mean : 0.0f;
            square        = fmaf(d, d, square);
        }
    }
    const float inverse = 1.0f / sqrtf(row_sum(square, squares, n_warps) / n + a.eps);

    uint32_t top = 0;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int e = c * stride + place * kElements;
        float gamma[kElements], beta[kElements] = {};
        load_part(a.gamma, e, E, a.vector, gamma);
        if (a.beta != nullptr) load_part(a.beta, e, E, a.vector, beta);
#pragma unroll
        for (int i = 0; i < kElements; ++i) v[c][i] = fmaf((v[c][i] - mean) * inverse, gamma[i], beta[i]);
        store_part(static_cast<T *>(a.y) + base, e, E, a.vector, v[c]);
        if (a.y_max == nullptr) continue;
#pragma unroll
        for (int i = 0; i < kElements; ++i)
            if (e + i < E) top = max(top, magnitude_bits(v[c][i]));
    }
    if (a.y_max == nullptr) return;
    top = stored_magnitude<T>(row_top(top, tops, n_warps));
    if (place == 0) a.y_max[row] = __uint_as_float(top);
}

template <class T> hdl_status run_norm(hdl_backend_stream *stream, NormRows a)
{
    static const ListedKernel<NormRows, int> *const by_chunks[kShortChunks] = {
        &listed<norm_row_kernel<T, 1, kShortThreads>>, &listed<norm_row_kernel<T, 2, kShortThreads>>,
        &listed<norm_row_kernel<T, 3, kShortThreads>>, &listed<norm_row_kernel<T, 4, kShortThreads>>};
    a.vector = a.E % kElements == 0 && is_vector<T>(a.x, a.E) && is_vector<T>(a.residual, a.E) &&
               is_vector<T>(a.y, a.E) && is_vector<T>(a.sum, a.E) && is_vector<float>(a.gamma, a.E) &&
               is_vector<float>(a.beta, a.E);
    const size_t shared = 2 * smem_bytes<float>(kMostWarps) + smem_bytes<uint32_t>(kMostWarps);
    const int n_chunks  = (a.E + kWarpElements - 1) / kWarpElements;
    if (n_chunks <= kShortChunks)
        return launch(stream, "norm", *by_chunks[n_chunks - 1], dim3((a.M + kRowsPerBlock - 1) / kRowsPerBlock),
                      dim3(kShortThreads), shared, a, 1);
    const int n_warps = (n_chunks + kLongChunks - 1) / kLongChunks;
    return launch(stream, "norm", listed<norm_row_kernel<T, kLongChunks, kLongThreads>>, dim3(a.M), dim3(kWarp * n_warps),
                  shared, a, n_warps);
}

}  // namespace

hdl_status op_norm(hdl_backend_stream *stream, const hdl_norm_args *args)
{
    const NormRows a = {args->x, args->residual, args->gamma, args->beta, args->y, args->sum, args->y_max,
                        args->count, args->M, args->E, args->eps, args->kind == HDL_NORM_LAYER, false};
    switch (args->act_dtype) {
    case HDL_BF16: return run_norm<__nv_bfloat16>(stream, a);
    case HDL_F16:  return run_norm<__half>(stream, a);
    default:       return run_norm<float>(stream, a);
    }
}

}  // namespace hdl
