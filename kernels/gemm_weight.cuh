/*
 * gemm_weight.cuh - a packed matrix on the device, and the operands that a tile of a product reads.
 *
 * Layouts: f32 as [K, ld], inputs outermost, so that a thread's four outputs lie side by side; bf16,
 * f16 and int8 as [N, ld], so that ldmatrix finds 16 bytes of one output's inputs side by side. ld rounds the
 * inner extent up to 16 bytes; the padding is zero. Behind int8 lie the factors that give real values back.
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {
struct LibraryPlan;                                  // gemm_library.cuh
}

struct hdl_weight {
    hdl_backend_device *device;
    hdl_dtype           dtype;                       // F32, BF16, F16 or I8
    int32_t             N, K;
    int32_t             ld;
    void               *data;
    float              *unscale;                     // int8: f32 [N], real = stored * unscale; else NULL
    size_t              bytes;                       // of both, one block
    hdl::LibraryPlan   *plan;                        // products by cuBLASLt, the family "lib"; nullptr: ours, "chunk"
    bool                refused;                     // cuBLASLt was asked for and has no algorithm that may serve
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
    const float   *x_unscale;                        // int8: f32 [M] of the rows, [N] of the outputs; else NULL
    const float   *w_unscale;
    const float   *x_max;                            // int8: f32 [*], of row i of x its greatest magnitude; NULL: unknown
};

// Live rows of a product: *count, held within 0 and M.
__device__ __forceinline__ int live_rows(const int32_t *count, int32_t M)
{
    return count == nullptr ? M : min(max(*count, 0), M);
}

// The scratch that rows [M, K] take when they are rounded for 16-bit weights or quantised for int8, the larger.
size_t prepared_rows_bytes(int32_t M, int32_t K);

// The hidden rows that go with weights of a dtype, besides f32.
inline hdl_dtype row_dtype(const hdl_weight *w) { return w->dtype == HDL_I8 ? HDL_BF16 : w->dtype; }

// The products of one compute type: gemm_f32.cu, gemm_bf16.cu, gemm_f16.cu, gemm_int8.cu. `input` has passed
// `prepare_input`.
hdl_status gemm_f32(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_bf16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_f16(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_int8(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_int8_few(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_int8_round(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input);
hdl_status gemm_f32_prepare(hdl_backend_device *device);
hdl_status gemm_bf16_prepare(hdl_backend_device *device);
hdl_status gemm_f16_prepare(hdl_backend_device *device);
hdl_status gemm_int8_prepare(hdl_backend_device *device);
hdl_status gemm_int8_few_prepare(hdl_backend_device *device);
hdl_status gemm_int8_round_prepare(hdl_backend_device *device);

// Where the rows of an int8 product become int8: in a kernel before it, or in the product, which then takes plain_input
// (gemm_int8_few.cu; gemm_int8_round.cu). The cheapest; and the clocks of the last two, INT64_MAX for what they do not take.
enum class Int8Way { kBefore, kFew, kRound };
Int8Way gemm_int8_way(const hdl_backend_device *device, const hdl_gemm_args *args);
int64_t gemm_int8_few_cost(const hdl_backend_device *device, const hdl_gemm_args *args);
int64_t gemm_int8_round_cost(const hdl_backend_device *device, const hdl_gemm_args *args);

// What a product reads of x [M, K] (row stride ldx, activations of act_dtype, x_max: NULL or of each row its greatest
// magnitude) and w, as they lie.
hdl_status plain_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                       const int32_t *rows, const float *x_max, hdl_dtype act_dtype, GemmInput *input);

// The same as a tile reads it. Queues the rounding of f32 rows for 16-bit weights and the quantising of all rows for
// int8, into the first *used bytes of the stream's scratch (0: none was needed).
hdl_status prepare_input(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const void *x, int64_t ldx,
                         const int32_t *rows, const float *x_max, const int32_t *count, int32_t M,
                         hdl_dtype act_dtype, GemmInput *input, size_t *used);

// Rows of act_dtype as int8 with their factors at `to`, which become the input (gemm_quantise.cu).
hdl_status quantise_input(hdl_backend_stream *stream, const char *op, hdl_dtype act_dtype, const int32_t *count,
                          int32_t M, void *to, GemmInput *input);
size_t     quantised_rows_bytes(int32_t M, int32_t K);

}  // namespace hdl
