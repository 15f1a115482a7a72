/*
 * gemm_library.cu - y = act(x W^T + b) + residual with the sums by cuBLASLt.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(), for weights that have a plan; kernels/gemm_library.cuh.
 * Reference  host/cpu/gemm_cpu.c; tests/test_library_products.c.
 * Source     cuBLAS manual, "cublasLtMatmul()".
 *
 * Mapping    Blocks of 2048 rows: rows that are listed, or that do not start at 16 bytes, are copied together
 *            first; the library writes f32 sums to scratch; a kernel finishes them, one thread for four outputs of a
 *            row. All M rows are multiplied, also those past *count, which only the device knows; they are not
 *            finished. The library's own epilogue does not serve: it takes a bias in the type of y, ours is f32.
 * Numerics   Family "lib": one algorithm of the library for a weight, checked at pack (gemm_library_plan.cu).
 *            Bias, activation and residual in f32, one rounding, as in the family "chunk".
 * Bound      2 M N K flops; the sums add 8 M N bytes, of the second-level cache on an H200 SXM while 16 MiB fit.
 */
#include "cublaslt.cuh"

#include "gemm_epilogue.cuh"
#include "launch.cuh"

namespace hdl {
namespace {

constexpr int    kThreads  = 128;                    // 512 outputs, the width of a base model
constexpr int    kMaxGridY = 65535;                  // CUDA's limit
constexpr size_t kAlign    = 256;                    // what the library may assume of buffers

// Rows m0 .. m0 + M of the input, in their order, 16-byte words of a row together.
template <class Element>
__global__ void __launch_bounds__(kThreads)
library_gather_kernel(const GemmInput in, const int32_t *count, const int32_t m0, const int32_t M, const int32_t ld,
                      Element *to)
{
    constexpr int kN = kVec<Element>;
    const int k = (blockIdx.x * kThreads + threadIdx.x) * kN, live = live_rows(count, m0 + M);
    if (k >= ld) return;
    for (int m = m0 + blockIdx.y; m < live; m += gridDim.y) {
        const int64_t at   = in.rows != nullptr ? in.rows[m] : m;
        const Element *row = static_cast<const Element *>(in.x) + at * in.ldx;
        float value[kN];
        load_part<kN>(row, k, in.K, in.vector && k + kN <= in.K, value);
        store_vec(to + static_cast<int64_t>(m - m0) * ld + k, value);
    }
}

template <class Row>
__global__ void __launch_bounds__(kThreads)
library_finish_kernel(const GemmOutput out, const float *sums, const int32_t ld, const int32_t *count, const int32_t m0,
                      const int32_t M)
{
    const int n = (blockIdx.x * kThreads + threadIdx.x) * kOutputs, live = live_rows(count, m0 + M);
    for (int m = m0 + blockIdx.y; m < live; m += gridDim.y) {
        uint32_t top = 0;
        if (n < out.N) {                             // the others stay: a warp finds its greatest magnitude together
            float sum[kOutputs];
            load_vec(sums + static_cast<int64_t>(m - m0) * ld + n, sum);
            top = finish_outputs<Row>(out, m, n, sum);
        }
        if (out.y_max == nullptr) continue;
        top = __reduce_max_sync(kAllLanes, top);
        if (threadIdx.x % kWarp == 0) note_row_max<Row>(out, m, top);
    }
}

size_t align_up(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

int32_t round_up(int32_t n, int32_t multiple) { return (n + multiple - 1) / multiple * multiple; }

int32_t block_rows(int32_t M) { return M < kLibraryRows ? M : kLibraryRows; }

// Where the parts of the scratch start.
struct Parts {
    size_t rows, sums, workspace, end;
};

Parts parts_of(size_t used, int32_t M, int32_t N, int32_t K)
{
    Parts at;
    const auto R = static_cast<size_t>(block_rows(M));
    at.rows      = align_up(used);
    at.sums      = at.rows + align_up(R * static_cast<size_t>(round_up(K, kVec<__half>)) * sizeof(float));
    at.workspace = at.sums + align_up(R * static_cast<size_t>(sums_ld(N)) * sizeof(float));
    at.end       = at.workspace + kLibraryWorkspaceBytes;
    return at;
}

dim3 grid_of(int32_t width, int per_thread, int32_t M)
{
    const int32_t threads = (width + per_thread - 1) / per_thread;
    return dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads),
                static_cast<unsigned>(M < kMaxGridY ? M : kMaxGridY));
}

template <class Element>
hdl_status gather(hdl_backend_stream *stream, const GemmInput &in, const int32_t *count, int32_t m0, int32_t M,
                  void *to, const void **x, int64_t *ldx)
{
    const int32_t ld = round_up(in.K, kVec<Element>);
    *x   = to;
    *ldx = ld;
    return launch(stream, "gemm", listed<library_gather_kernel<Element>>, grid_of(ld, kVec<Element>, M), dim3(kThreads),
                  0, in, count, m0, M, ld, static_cast<Element *>(to));
}

// Rows m0 .. m0 + M as the library reads them: where they lie, or copied to `to`.
hdl_status block_input(hdl_backend_stream *stream, hdl_dtype dtype, const GemmInput &in, const int32_t *count,
                       int32_t m0, int32_t M, void *to, const void **x, int64_t *ldx)
{
    if (in.rows == nullptr && in.vector) {
        *x   = static_cast<const unsigned char *>(in.x) + static_cast<int64_t>(dtype_bytes(dtype)) * m0 * in.ldx;
        *ldx = in.ldx;
        return HDL_OK;
    }
    if (dtype == HDL_F32) return gather<float>(stream, in, count, m0, M, to, x, ldx);
    return dtype == HDL_F16 ? gather<__half>(stream, in, count, m0, M, to, x, ldx)
                            : gather<__nv_bfloat16>(stream, in, count, m0, M, to, x, ldx);
}

template <class Row>
hdl_status finish(hdl_backend_stream *stream, const hdl_gemm_args *args, const float *sums, int32_t m0, int32_t M)
{
    return launch(stream, "gemm", listed<library_finish_kernel<Row>>, grid_of(args->N, kOutputs, M), dim3(kThreads), 0,
                  output_of(args), sums, sums_ld(args->N), args->count, m0, M);
}

hdl_status finish_block(hdl_backend_stream *stream, const hdl_gemm_args *args, const float *sums, int32_t m0, int32_t M)
{
    if (args->act_dtype == HDL_F32) return finish<float>(stream, args, sums, m0, M);
    return args->act_dtype == HDL_F16 ? finish<__half>(stream, args, sums, m0, M)
                                      : finish<__nv_bfloat16>(stream, args, sums, m0, M);
}

}  // namespace

hdl_status gemm_library(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input, size_t used)
{
    const DeviceScope scope(stream->device);
    const hdl_weight *w = args->w;
    const Parts at      = parts_of(used, args->M, args->N, args->K);
    void *block         = nullptr;
    hdl_status status   = scratch(stream, "gemm", at.end, &block);
    auto *base          = static_cast<unsigned char *>(block);
    for (int32_t m0 = 0; m0 < args->M && status == HDL_OK; m0 += kLibraryRows) {
        const int32_t M = block_rows(args->M - m0);
        const void *x   = nullptr;
        int64_t ldx     = 0;
        auto *sums      = reinterpret_cast<float *>(base + at.sums);
        status = block_input(stream, w->dtype, input, args->count, m0, M, base + at.rows, &x, &ldx);
        if (status != HDL_OK) return status;
        const cublasStatus_t done = library_sums(w, *w->plan, x, ldx, M, sums, base + at.workspace, stream->native);
        ++stream->launches;                          // the library's own: one kernel, as no sum is split
        if (done != CUBLAS_STATUS_SUCCESS)
            return fail(stream->device, HDL_EDEVICE, "gemm: %s: %s, M = %d, N = %d, K = %d",
                        stream->device->products->words, stream->device->products->call.GetStatusName(done), M, w->N,
                        w->K);
        status = finish_block(stream, args, sums, m0, M);
    }
    return status;
}

size_t library_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits &limits)
{
    if (device->products == nullptr || limits.M == 0) return 0;
    return parts_of(kAlign, limits.M, limits.N, limits.K).end;     // kAlign: the parts begin past rows of any size
}

}  // namespace hdl
