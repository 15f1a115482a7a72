/*
 * gemm_weight.cuh - a packed matrix on the device, and the operands that a tile of a product reads.
 *
 * Layouts: f32 as [K, ld], inputs outermost, so that a thread's four outputs lie side by side; bf16
 * and f16 as [N, ld], so that ldmatrix finds eight inputs of one output side by side. ld rounds the inner
 * extent up to 16 bytes; the padding is zero.
 */
#pragma once
#include "cuda_backend.cuh"

struct hdl_weight {
    hdl_backend_device *device;
    hdl_dtype           dtype;                       // F32, BF16 or F16
    int32_t             N, K;
    int32_t             ld;
    void               *data;
    size_t              bytes;
};

namespace hdl {

constexpr int kChunkK = 256;                         // inputs of one sum: the family "chunk"

// What a tile multiplies. Row i of the product reads row rows[i] (NULL: i) of x.
struct GemmInput {
    const void    *x;
    int64_t        ldx;
    const int32_t *rows;
    const void    *w;
    int32_t        ld_w;
    int32_t        N, K;
    bool           vector;                           // rows of x start at multiples of 16 bytes
};

// Live rows of a product: *count, held within 0 and M.
__device__ __forceinline__ int live_rows(const int32_t *count, int32_t M)
{
    return count == nullptr ? M : min(max(*count, 0), M);
}

// The scratch that rows of f32 [M, K] take when they are rounded for 16-bit weights.
size_t rounded_rows_bytes(int32_t M, int32_t K);

// The products of one compute type: gemm_f32.cu, gemm_bf16.cu, gemm_f16.cu. `input` has passed `prepare_input`.
hdl_status gemm_f32(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_bf16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_f16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_f32_prepare(hdl_backend_device *device);
hdl_status gemm_bf16_prepare(hdl_backend_device *device);
hdl_status gemm_f16_prepare(hdl_backend_device *device);

// What a tile reads of x [M, K] (row stride ldx, activations of act_dtype) and w. Queues the rounding of f32
// rows for 16-bit weights, into the first *used bytes of the stream's scratch (0: none was needed).
hdl_status prepare_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                         const int32_t *rows, const int32_t *count, int32_t M, hdl_dtype act_dtype,
                         GemmInput *input, size_t *used);

}  // namespace hdl
