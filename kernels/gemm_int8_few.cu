/*
 * gemm_int8_few.cu - int8 products of few rows in one launch: the block that multiplies rows quantises them itself.
 *
 * Contract   include/heddle/gemm.h, hdl_gemm(), compute INT8.
 * Reference  host/cpu/gemm_cpu.c; tests/test_gemm_backends.c.
 * Source     int8_rule.cuh; PTX ISA, "mma.m16n8k32".
 *
 * Mapping    A block owns 16 rows and 32 outputs, one warp a group, up to eight groups, a slab of 128 inputs each in
 *            turn. While the first slabs of w are on their way, the block reads its rows of x twice (the second time
 *            from cache; once where their greatest magnitudes are known), all 16 at a time, and leaves them as int8 in
 *            shared memory: no second launch, no scratch. Every block of the same rows does so again; gemm_tiles.h weighs
 *            that against a launch more. On an H200 blocks of up to about 128 rows come here.
 * Numerics   As gemm_quantise.cu and gemm_int8.cu, with their bits.
 * Bound      N K bytes of weights. N = K = 512, M = 16 is latency: two reads of the rows, one slab a group, about 2 us;
 *            rows that are quantised by a launch of their own cost as much again.
 */
#include "gemm_kernel.cuh"
#include "gemm_tile_mma.cuh"
#include "int8_rule.cuh"

namespace hdl {
namespace {

constexpr int kMaxGroups = 8;
constexpr int kMostK     = 4096;                     // 64 KiB of shared memory hold the rows
constexpr int kInputs    = kVec<__half>;             // that a thread reads at a time: 16 bytes of 16-bit rows

using Tile = TileMma<int8_t, 16, 32>;

constexpr int kRowSlab    = Tile::kTileM * Tile::kStep;          // bytes of a slab of the rows, of the weights
constexpr int kColumnSlab = Tile::kTileN * Tile::kStep;

// Bytes of the block's rows, whole slabs of them.
__host__ __device__ __forceinline__ size_t rows_bytes(int K)
{
    return static_cast<size_t>((K + Tile::kStep - 1) / Tile::kStep) * kRowSlab;
}

// Shared memory: stages of w, what groups hand over, sums, rows, and a factor for each row.
size_t group_bytes() { return static_cast<size_t>(Tile::kStages) * kColumnSlab + Tile::kSums * sizeof(int32_t); }

size_t block_bytes(int K)
{
    return smem_bytes<float>(static_cast<size_t>(Tile::kTileM) * Tile::kLd) + rows_bytes(K)
           + smem_bytes<float>(Tile::kTileM);
}

// Bytes of inputs k .. of one row of the block, as ldmatrix will look for them.
__device__ __forceinline__ int8_t *place_of(int8_t *rows, int row, int k)
{
    return rows + k / Tile::kStep * kRowSlab + row * Tile::kStep
           + swizzle_chunk<Tile::kSlots>(row, k % Tile::kStep / Tile::kWord) * Tile::kWord + k % Tile::kWord;
}

// The block's rows as int8 at `rows`, zeros past K and where no row is; their factors at `unscale`. All rows at a time:
// a row has blockDim.x / 16 lanes of one warp.
template <class T>
__device__ __forceinline__ void quantise_tile(const GemmInput &in, int m0, int live, int8_t *rows, float *unscale)
{
    const int lanes = blockDim.x / Tile::kTileM, row = threadIdx.x / lanes, lane = threadIdx.x % lanes;
    const int end   = (in.K + Tile::kStep - 1) / Tile::kStep * Tile::kStep;
    const bool some = m0 + row < live;
    const int64_t at = !some ? 0 : in.rows != nullptr ? in.rows[m0 + row] : m0 + row;
    const T *from    = static_cast<const T *>(in.x) + at * in.ldx;
    const int K      = some ? in.K : 0;              // no row: zeros
    const bool known = in.x_max != nullptr;
    uint32_t   top   = known && some ? magnitude_bits(in.x_max[at]) : 0;
#pragma unroll 4
    for (int k = lane * kInputs; !known && k < K; k += lanes * kInputs) {
        float value[kInputs];
        load_part<kInputs>(from, k, K, in.vector && k + kInputs <= K, value);
#pragma unroll
        for (int i = 0; i < kInputs; ++i) top = max(top, magnitude_bits(value[i]));
    }
    for (int step = lanes / 2; step > 0; step /= 2) top = max(top, __shfl_xor_sync(kAllLanes, top, step));
    const Int8Rule rule = int8_rule(top);
#pragma unroll 4
    for (int k = lane * kInputs; k < end; k += lanes * kInputs) {
        float value[kInputs];
        load_part<kInputs>(from, k, K, in.vector && k + kInputs <= K, value);
        *reinterpret_cast<uint2 *>(place_of(rows, row, k)) =
            make_uint2(join_int8(rule, value), join_int8(rule, value + 4));
    }
    if (lane == 0) unscale[row] = 1.0f / rule.scale;
}

template <class T>
__global__ void __launch_bounds__(kMaxGroups * Tile::kThreads, 1)
gemm_int8_few_kernel(const GemmInput in, const GemmOutput out, const int32_t *count, const int32_t M)
{
    const int live = live_rows(count, M), groups = blockDim.x / Tile::kThreads, group = threadIdx.x / Tile::kThreads;
    const int m0 = blockIdx.x * Tile::kTileM, n0 = blockIdx.y * Tile::kTileN;
    if (m0 >= live) return;                          // the whole block leaves
    size_t offset = 0;
    int8_t  *stages   = smem_carve<int8_t>(offset, static_cast<size_t>(Tile::kStages) * groups * kColumnSlab);
    int32_t *exchange = smem_carve<int32_t>(offset, static_cast<size_t>(groups) * Tile::kSums);
    float   *sums     = smem_carve<float>(offset, static_cast<size_t>(Tile::kTileM) * Tile::kLd);
    int8_t  *rows     = smem_carve<int8_t>(offset, rows_bytes(in.K));
    float   *unscale  = smem_carve<float>(offset, Tile::kTileM);

    const Tile::Source from = Tile::source_of(in, live - m0, unscale, n0, 1);
    const auto fetch = [&](int slab) {
        if (slab < from.n_slabs)
            Tile::fetch_columns(from, in, 0, Tile::input_of(slab) + from.slot * Tile::kWord,
                                stages + (slab % Tile::kStages * groups + group) * kColumnSlab);
        cp_async_commit();
    };
    for (int slab = 0; slab < Tile::kStages - 1; ++slab) fetch(slab);
    quantise_tile<T>(in, m0, live, rows, unscale);
    __syncthreads();
    const Tile::Scales scales = Tile::read_scales(from, in, 0);
    int32_t acc[Tile::kAM][Tile::kBN][4] = {};
    for (int slab = 0; slab < from.n_slabs; ++slab) {
        cp_async_wait<Tile::kStages - 2>();
        __syncthreads();
        fetch(slab + Tile::kStages - 1);
        const int k = Tile::input_of(slab);
        if (k < in.K)
            Tile::multiply_slab(rows + k / Tile::kStep * kRowSlab,
                                stages + (slab % Tile::kStages * groups + group) * kColumnSlab, acc);
    }
    Tile::add_chunks(acc, acc, exchange, groups, groups);
    Tile::store(acc, scales, sums);
    __syncthreads();
    finish_tile<Tile>(out, m0, live, n0, sums);
}

// Latency and work of a slab as of the smallest tile in gemm_mma.cuh, and the quantising: two reads of the rows, the
// second from cache, and its instructions; or one read behind that of their maxima: 2 bytes an input at 32 a clock.
hdl_gemm_tile tile_of(int K, bool known)
{
    constexpr int kReads = 1500, kKnownReads = 1000, kLatency = 400;
    constexpr int kRows = Tile::kTileM * Tile::kStep, kTwice = 192 + kRows / HDL_GEMM_QUANTISED;
    constexpr int kOnce = (2 * kRows + kColumnSlab) / 32;
    return {Tile::kTileM, Tile::kTileN, Tile::kStep, Tile::kChunk, kMaxGroups, known ? kKnownReads : kReads, kLatency,
            known ? kOnce : kTwice, group_bytes(), block_bytes(K)};
}

hdl_gemm_choice choose_few(const hdl_backend_device *device, const hdl_gemm_tile *tile, const hdl_gemm_args *args)
{
    return hdl_gemm_choose(tile, 1, args->M, args->N, args->K, device->sm_count, device->max_shared_bytes);
}

template <class T>
hdl_status launch_few(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    const hdl_gemm_tile tile = tile_of(args->K, args->x_max != nullptr);
    const int groups = choose_few(stream->device, &tile, args).groups;
    const dim3 grid(static_cast<unsigned>((args->M + Tile::kTileM - 1) / Tile::kTileM),
                    static_cast<unsigned>((args->N + Tile::kTileN - 1) / Tile::kTileN));
    return launch(stream, "gemm", listed<gemm_int8_few_kernel<T>>, grid,
                  dim3(static_cast<unsigned>(Tile::kThreads * groups)), hdl_gemm_bytes(&tile, groups), input,
                  output_of(args), args->count, args->M);
}

}  // namespace

int64_t gemm_int8_few_cost(const hdl_backend_device *device, const hdl_gemm_args *args)
{
    const hdl_gemm_tile tile = tile_of(args->K, args->x_max != nullptr);
    if (args->K > kMostK || hdl_gemm_bytes(&tile, 1) > device->max_shared_bytes) return INT64_MAX;
    const int groups = choose_few(device, &tile, args).groups;
    return hdl_gemm_cost(&tile, groups, args->M, args->N, args->K, device->sm_count, device->max_shared_bytes);
}

hdl_status gemm_int8_few(hdl_backend_stream *stream, const hdl_gemm_args *args, const GemmInput &input)
{
    return args->act_dtype == HDL_F32 ? launch_few<float>(stream, args, input)
                                      : launch_few<__nv_bfloat16>(stream, args, input);
}

hdl_status gemm_int8_few_prepare(hdl_backend_device *device)
{
    const hdl_gemm_tile tile = tile_of(kMostK, false);
    const size_t most  = hdl_gemm_bytes(&tile, kMaxGroups);
    const size_t bytes = most < device->max_shared_bytes ? most : device->max_shared_bytes;
    const hdl_status status = allow_shared(device, "gemm", gemm_int8_few_kernel<float>, bytes);
    return status == HDL_OK ? allow_shared(device, "gemm", gemm_int8_few_kernel<__nv_bfloat16>, bytes) : status;
}

}  // namespace hdl
