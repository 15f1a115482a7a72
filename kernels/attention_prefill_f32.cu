/*
 * attention_prefill_f32.cu - attention of packed sequences in f32.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with HDL_KEYS_PACKED; the door has checked
 *            D % 4 == 0, D <= 256. D > 128 takes 102912 bytes of shared memory: refused on 8.6, 8.9 and 12.0.
 * Reference  host/cpu/attention_packed.c; tests/test_attention.c.
 * Source     Dao et al. 2022, arXiv 2205.14135, algorithm 1; Milakov and Gimelshein 2018, arXiv
 *            1805.02867.
 * Mapping    A block takes 32 query rows of a sequence and one head, a warp 8 of the rows. Keys
 *            come in tiles of 32: a lane scores one key against the 8 rows, then owns D / 32
 *            columns of their output. Weights pass through shared memory.
 * Numerics   f32 FFMA, no TF32; scores over d ascending, values key by key ascending, so a row's
 *            bits do not depend on the tile.
 * Bound      FFMA: 4 Tq Tk D flops a head at 67 TFLOP/s (H200). Each 4 columns take 9 reads of
 *            shared memory for 32 FFMA, of which the key's needs 4 turns: about 60 % of that at
 *            best.
 */
#include "attention_tiles.cuh"
#include "launch.cuh"
#include "online_softmax.cuh"
#include "row_max.cuh"

namespace hdl {
namespace {

constexpr int kWarps    = 4;
constexpr int kWarpRows = 8; // rows that share a read of a key
constexpr int kRows     = kWarps * kWarpRows;
constexpr int kKeys     = kWarp; // one a lane
constexpr int kPad      = 4;     // floats after a key: eight lanes' 16 bytes meet in no bank

template <int kCols> struct Tiles { // kCols columns of D a lane
    static constexpr int kDim = kCols * kWarp, kKeyStride = kDim + kPad;
    float *q, *k, *v, *p;

    __device__ __forceinline__ Tiles()
    {
        size_t offset = 0;
        q             = smem_carve<float>(offset, kRows * kDim);
        k             = smem_carve<float>(offset, kKeys * kKeyStride);
        v             = smem_carve<float>(offset, kKeys * kDim);
        p             = smem_carve<float>(offset, kWarps * kKeys * kWarpRows);
    }

    static constexpr size_t bytes()
    {
        return smem_bytes<float>(kRows * kDim) + smem_bytes<float>(kKeys * kKeyStride) +
               smem_bytes<float>(kKeys * kDim) + smem_bytes<float>(kWarps * kKeys * kWarpRows);
    }
};

// `rows` of kCount rows of D floats, scaled, with zeros below and to the right.
template <int kCount, int kDim>
__device__ __forceinline__ void stage_rows(const float *from, int64_t ld, int rows, int D,
                                           bool vector, float scale, float *to, int stride)
{
    constexpr int kQuads = kDim / 4;
    for (int i = threadIdx.x; i < kCount * kQuads; i += kWarps * kWarp) {
        const int r = i / kQuads, d = i % kQuads * 4;
        float x[4] = {};
        if (r < rows && d < D) {
            const float *at = from + r * ld + d;
            if (vector)
                load_vec(at, x);
            else
                for (int e = 0; e < 4; ++e)
                    x[e] = at[e];
        }
        for (int e = 0; e < 4; ++e)
            x[e] *= scale;
        store_vec(to + r * stride + d, x);
    }
}

// s[r] = row r of the warp times key `lane`.
template <int kCols>
__device__ __forceinline__ void score_tile(const Tiles<kCols> &tiles, float (&s)[kWarpRows])
{
    using Shape      = Tiles<kCols>;
    const float *key = tiles.k + threadIdx.x % kWarp * Shape::kKeyStride;
    const float *q   = tiles.q + threadIdx.x / kWarp * kWarpRows * Shape::kDim;
#pragma unroll
    for (int r = 0; r < kWarpRows; ++r)
        s[r] = 0.0f;
#pragma unroll 4
    for (int d = 0; d < Shape::kDim; d += 4) {
        float k[4], x[4];
        load_vec(key + d, k);
#pragma unroll
        for (int r = 0; r < kWarpRows; ++r) {
            load_vec(q + r * Shape::kDim + d, x);
#pragma unroll
            for (int e = 0; e < 4; ++e)
                s[r] = fmaf(x[e], k[e], s[r]);
        }
    }
}

// acc[r][c] += the tile's weights times column c of this lane: c, and 32 columns on.
template <int kCols>
__device__ __forceinline__ void add_values(const Tiles<kCols> &tiles, int n,
                                           Part<kCols> (&part)[kWarpRows])
{
    using Shape    = Tiles<kCols>;
    const float *p = tiles.p + threadIdx.x / kWarp * kKeys * kWarpRows;
    const float *v = tiles.v + threadIdx.x % kWarp;
    for (int j = 0; j < n; ++j) {
        float weight[kWarpRows], x[kCols];
        load_vec(p + j * kWarpRows, *reinterpret_cast<float(*)[4]>(weight));
        load_vec(p + j * kWarpRows + 4, *reinterpret_cast<float(*)[4]>(weight + 4));
#pragma unroll
        for (int c = 0; c < kCols; ++c)
            x[c] = v[j * Shape::kDim + c * kWarp];
#pragma unroll
        for (int r = 0; r < kWarpRows; ++r)
#pragma unroll
            for (int c = 0; c < kCols; ++c)
                part[r].acc[c] = fmaf(weight[r], x[c], part[r].acc[c]);
    }
}

template <int kCols>
__global__ void __launch_bounds__(kWarp * kWarps) attention_packed_f32_kernel(const PackedTask a)
{
    using Shape    = Tiles<kCols>;
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, head = blockIdx.y, D = a.D;
    const SequenceTile at = find_tile(a, blockIdx.x, kRows);
    if (at.start >= at.Tq) return; // the whole block
    const Tiles<kCols> tiles;
    const int64_t first = at.first_q + at.start,
                  kv    = at.first_k * a.ldkv + static_cast<int64_t>(head / a.group) * D;
    const float *q =
        static_cast<const float *>(a.q) + first * a.ldq + static_cast<int64_t>(head) * D;
    const int rows = min(kRows, at.Tq - at.start), n_keys = at.seen(at.start + rows - 1, a.causal);
    stage_rows<kRows, Shape::kDim>(q, a.ldq, rows, D, a.q_vector, a.scale, tiles.q, Shape::kDim);

    Part<kCols> part[kWarpRows];
#pragma unroll
    for (int r = 0; r < kWarpRows; ++r)
        part[r].clear();
    for (int start = 0; start < n_keys; start += kKeys) {
        const int n    = min(kKeys, n_keys - start);
        const float *k = static_cast<const float *>(a.k) + kv + start * a.ldkv;
        const float *v = static_cast<const float *>(a.v) + kv + start * a.ldkv;
        __syncthreads(); // the tile before has been used
        stage_rows<kKeys, Shape::kDim>(k, a.ldkv, n, D, a.kv_vector, 1.0f, tiles.k,
                                       Shape::kKeyStride);
        stage_rows<kKeys, Shape::kDim>(v, a.ldkv, n, D, a.kv_vector, 1.0f, tiles.v, Shape::kDim);
        __syncthreads();
        float s[kWarpRows];
        score_tile(tiles, s);
#pragma unroll
        for (int r = 0; r < kWarpRows; ++r) {
            const int seen = at.seen(at.start + warp * kWarpRows + r, a.causal);
            if (start + lane >= seen) s[r] = -INFINITY;
            part[r].raise(warp_max(s[r]));
            s[r] = exp2f(s[r] - exponent_base(part[r].max));
            part[r].sum += s[r];
        }
        float *p = tiles.p + (warp * kKeys + lane) * kWarpRows;
        store_vec(p, *reinterpret_cast<const float(*)[4]>(s));
        store_vec(p + 4, *reinterpret_cast<const float(*)[4]>(s + 4));
        __syncwarp();
        add_values(tiles, n, part);
    }
#pragma unroll
    for (int r = 0; r < kWarpRows; ++r) {
        const int row   = warp * kWarpRows + r;
        const float sum = warp_sum(part[r].sum), inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
        float *out =
            static_cast<float *>(a.out) + (first + row) * a.ldo + static_cast<int64_t>(head) * D;
#pragma unroll
        for (int c = 0; c < kCols; ++c)
            if (row < rows && c * kWarp + lane < D)
                out[c * kWarp + lane] = part[r].acc[c] * inverse;
        if (a.out_max == nullptr || row >= rows) continue;
        uint32_t top = 0;
#pragma unroll
        for (int c = 0; c < kCols; ++c)
            if (c * kWarp + lane < D) top = max(top, magnitude_bits(part[r].acc[c] * inverse));
        top = __reduce_max_sync(kAllLanes, top);
        if (lane == 0) raise_row_max(a.out_max, first + row, top);
    }
}

template <int kCols>
hdl_status launch_packed(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    return launch(stream, "attention", listed<attention_packed_f32_kernel<kCols>>,
                  dim3(most_tiles(M, task.n_seq, kRows), static_cast<unsigned>(task.H)),
                  dim3(kWarp * kWarps), Tiles<kCols>::bytes(), task);
}

}  // namespace

hdl_status attention_packed_f32_prepare(hdl_backend_device *device)
{
    const hdl_status status =
        allow_shared(device, "attention", attention_packed_f32_kernel<4>, Tiles<4>::bytes());
    if (status != HDL_OK || Tiles<8>::bytes() > device->max_shared_bytes) return status;
    return allow_shared(device, "attention", attention_packed_f32_kernel<8>, Tiles<8>::bytes());
}

hdl_status attention_packed_f32(hdl_backend_stream *stream, const PackedTask &task, int M)
{
    if (task.D <= kWarp) return launch_packed<1>(stream, task, M);
    if (task.D <= 2 * kWarp) return launch_packed<2>(stream, task, M);
    if (task.D <= 4 * kWarp) return launch_packed<4>(stream, task, M);
    const size_t shared = stream->device->max_shared_bytes;
    if (Tiles<8>::bytes() > shared)
        return fail(stream->device, HDL_ENOSUPPORT,
                    "attention: D = %d in f32: this device allows up to %d, as its blocks have %zu bytes of shared "
                    "memory and not %zu", task.D, Tiles<4>::kDim, shared, Tiles<8>::bytes());
    return launch_packed<8>(stream, task, M);
}

}  // namespace hdl
