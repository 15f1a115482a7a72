/*
 * embed.cu - token embedding, scaled, plus position; and the table's copy in device memory.
 *
 * Contract   include/heddle/embed.h, hdl_embed() and hdl_embedding_open(). Ids and positions are the caller's word.
 * Reference  host/cpu/embed_cpu.c; tests/test_embed.c.
 * Source     Vaswani et al. 2017, sections 3.4 and 3.5.
 *
 * Mapping    One block of 128 threads a row; thread t takes elements t, t + 128, ... The table keeps its stored dtype,
 *            row after row (a transposed one is turned around while it is loaded), and its scales stay beside it.
 *            The block also joins y_max of its row; all blocks together clear `zero`.
 * Numerics   stored value * (scale / stored scale) + position in f32, two roundings and one to bf16 or f16, as on the CPU.
 * Bound      Memory: the row, its position and y, 8 bytes an element (bf16 table and rows). M = 4096, E = 512 is 17 MB,
 *            3.5 us at 4.8 TB/s (H200 SXM).
 */
#include "group.cuh"
#include "launch.cuh"
#include "ops.cuh"
#include "row_max.cuh"

#include <string.h>

struct hdl_embedding {
    hdl_backend_device *device;
    void               *data;           // [V, E] of `dtype`
    size_t              data_bytes;
    float              *scale;          // f32 [n_scale] device memory; nullptr: 1
    hdl_dtype           dtype;
    int32_t             V, E, n_scale;
};

namespace hdl {
namespace {

constexpr int    kThreads    = 128;
constexpr int    kWarps      = kThreads / kWarp;
constexpr int    kBlocksPerSm = 8;                   // 64 registers a thread: fewer spill
constexpr int    kMostRows   = 65535;                // blocks; rows beyond them are strided
constexpr size_t kStageBytes = size_t{1} << 20;      // host memory in which a transposed table is turned around

struct EmbedRows {
    const void     *table;
    const float    *table_scale;
    const float    *positions;
    const int32_t  *ids, *pos;          // without a row list
    void           *y;
    float          *y_max, *zero;       // or nullptr
    int32_t         n_zero;
    hdl_dtype       dtype;
    int32_t         n_scale, M, E;
    float           scale;
    bool            listed;             // rows below say which token stands where
    hdl_rows        rows;
    const int32_t  *token;
    const hdl_slot_state *state;
};

__device__ __forceinline__ float stored_value(const void *row, hdl_dtype dtype, int e)
{
    switch (dtype) {
    case HDL_F16:  return widen(static_cast<const __half *>(row)[e]);
    case HDL_BF16: return widen(static_cast<const __nv_bfloat16 *>(row)[e]);
    case HDL_I8:   return static_cast<float>(static_cast<const int8_t *>(row)[e]);
    case HDL_I16:  return static_cast<float>(static_cast<const int16_t *>(row)[e]);
    default:       return static_cast<const float *>(row)[e];
    }
}

// Token and position of a row; false when the row is left alone.
__device__ __forceinline__ bool find_token(const EmbedRows &a, int row, int32_t &id, int32_t &pos)
{
    if (a.listed) {
        const int32_t slot = a.rows.slot[row];
        if (row >= *a.rows.count || a.state[slot].done != 0) return false;
        id  = a.token[static_cast<size_t>(slot) * HDL_MAX_BEAM + a.rows.beam[row]];
        pos = a.rows.pos[row];
    } else {
        id  = a.ids[row];
        pos = a.positions != nullptr ? a.pos[row] : 0;
    }
    return true;
}

// y_max of the block's row; `partial` [kWarps] is shared memory.
template <class T>
__device__ __forceinline__ void set_row_max(float *row_max, uint32_t top, uint32_t *partial)
{
    top = __reduce_max_sync(kAllLanes, top);
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = top;
    __syncthreads();
    for (int w = 0; w < kWarps; ++w) top = max(top, partial[w]);
    if (threadIdx.x == 0) *row_max = __uint_as_float(stored_magnitude<T>(top));
    __syncthreads();                                 // the next row's may come
}

template <class T>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm) embed_row_kernel(const EmbedRows a, size_t element_bytes)
{
    size_t offset     = 0;
    uint32_t *partial = smem_carve<uint32_t>(offset, kWarps);
    for (int64_t i = blockIdx.x * kThreads + threadIdx.x; i < a.n_zero; i += gridDim.x * kThreads) a.zero[i] = 0.0f;
    for (int row = blockIdx.x; row < a.M; row += gridDim.x) {
        int32_t id = 0, pos = 0;
        if (!find_token(a, row, id, pos)) continue;
        const float *position = a.positions != nullptr ? a.positions + static_cast<size_t>(pos) * a.E : nullptr;
        const size_t first    = static_cast<size_t>(id < 0 ? 0 : id) * a.E;
        const void *from      = static_cast<const unsigned char *>(a.table) + first * element_bytes;
        float factor          = a.scale;
        if (a.table_scale != nullptr && id >= 0) factor /= a.table_scale[a.n_scale == 1 ? 0 : id];
        T *y         = static_cast<T *>(a.y) + static_cast<size_t>(row) * a.E;
        uint32_t top = 0;
        for (int e = threadIdx.x; e < a.E; e += kThreads) {
            float v = id < 0 ? 0.0f : stored_value(from, a.dtype, e) * factor;
            if (position != nullptr) v = id < 0 ? position[e] : v + position[e];
            y[e] = narrow<T>(v);
            top  = max(top, magnitude_bits(v));
        }
        if (a.y_max != nullptr) set_row_max<T>(a.y_max + row, top, partial);
    }
}

// [E, V] in host memory to [V, E] in the table, a stage full of rows at a time.
hdl_status write_transposed(hdl_embedding *table, const unsigned char *from)
{
    hdl_backend_device *device = table->device;
    const size_t element = dtype_bytes(table->dtype), row_bytes = static_cast<size_t>(table->E) * element;
    const size_t V = static_cast<size_t>(table->V), fit = kStageBytes / row_bytes;
    const size_t most = fit < 1 ? 1 : fit > V ? V : fit;
    auto *stage = static_cast<unsigned char *>(device->host->alloc(most * row_bytes));
    if (stage == nullptr) return fail(device, HDL_ENOMEM, "embedding: no memory for %zu bytes", most * row_bytes);
    hdl_status status = HDL_OK;
    for (size_t v = 0; v < V && status == HDL_OK; v += most) {
        const size_t n = V - v < most ? V - v : most;
        for (size_t e = 0; e < static_cast<size_t>(table->E); ++e)
            for (size_t i = 0; i < n; ++i)
                memcpy(stage + i * row_bytes + e * element, from + (e * V + v + i) * element, element);
        status = device_write(device, static_cast<unsigned char *>(table->data) + v * row_bytes, stage, n * row_bytes);
    }
    device->host->free(stage);
    return status;
}

hdl_status fill_table(hdl_embedding *table, const hdl_pack_part *part)
{
    hdl_backend_device *device = table->device;
    hdl_status status          = device_alloc(device, table->data_bytes, &table->data);
    if (status != HDL_OK) return status;
    if (part->scale != nullptr) {
        const size_t bytes = static_cast<size_t>(part->n_scale) * sizeof(float);
        void *scale        = nullptr;
        status             = device_alloc(device, bytes, &scale);
        table->scale       = static_cast<float *>(scale);
        if (status == HDL_OK) status = device_write(device, scale, part->scale, bytes);
        if (status != HDL_OK) return status;
    }
    return part->transposed ? write_transposed(table, static_cast<const unsigned char *>(part->data))
                            : device_write(device, table->data, part->data, table->data_bytes);
}

template <class T> hdl_status run_embed(hdl_backend_stream *stream, const EmbedRows &a)
{
    return launch(stream, "embed", listed<embed_row_kernel<T>>, dim3(a.M < kMostRows ? a.M : kMostRows), dim3(kThreads),
                  smem_bytes<uint32_t>(kWarps), a, dtype_bytes(a.dtype));
}

}  // namespace

hdl_status op_embedding_open(hdl_backend_device *device, const hdl_pack_part *part, int32_t E, hdl_embedding **out)
{
    auto *table = static_cast<hdl_embedding *>(device->host->alloc(sizeof(hdl_embedding)));
    if (table == nullptr) return fail(device, HDL_ENOMEM, "embedding: no memory for its header");
    table->device           = device;
    table->dtype            = part->dtype;
    table->V                = part->rows;
    table->E                = E;
    table->n_scale          = part->scale != nullptr ? part->n_scale : 0;
    table->data_bytes       = static_cast<size_t>(part->rows) * static_cast<size_t>(E) * dtype_bytes(part->dtype);
    const hdl_status status = fill_table(table, part);
    if (status == HDL_OK) *out = table;
    else op_embedding_close(table);
    return status;
}

void op_embedding_close(hdl_embedding *table)
{
    if (table == nullptr) return;
    hdl_backend_device *device = table->device;
    device_free(device, table->scale, static_cast<size_t>(table->n_scale) * sizeof(float));
    device_free(device, table->data, table->data_bytes);
    device->host->free(table);
}

hdl_status group_embedding(hdl_backend_group *group, const hdl_embedding *table, hdl_embedding **copies)
{
    const size_t scale_bytes = static_cast<size_t>(table->n_scale) * sizeof(float);
    void *data[HDL_MOST_REPLICAS] = {table->data}, *scale[HDL_MOST_REPLICAS] = {table->scale};
    for (int32_t i = 1; i < group_size(group); ++i) {
        hdl_backend_device *device = group_member(group, i);
        auto *copy = static_cast<hdl_embedding *>(device->host->alloc(sizeof(hdl_embedding)));
        if (copy == nullptr) return fail(device, HDL_ENOMEM, "embedding: no memory for its header");
        *copy             = *table;
        copy->device      = device;
        copy->data        = nullptr;
        copy->scale       = nullptr;
        hdl_status status = device_alloc(device, table->data_bytes, &copy->data);
        if (status == HDL_OK && scale_bytes > 0) status = device_alloc(device, scale_bytes, &scale[i]);
        copy->scale       = static_cast<float *>(scale[i]);
        if (status != HDL_OK) {
            op_embedding_close(copy);
            return status;
        }
        data[i]   = copy->data;
        copies[i] = copy;
    }
    const hdl_status status = group_broadcast(group, data, table->data_bytes);
    return status != HDL_OK || scale_bytes == 0 ? status : group_broadcast(group, scale, scale_bytes);
}

hdl_status op_embed(hdl_backend_stream *stream, const hdl_embed_args *args)
{
    const hdl_embedding *table = args->table;
    EmbedRows a                = {};
    a.table       = table->data;
    a.table_scale = table->scale;
    a.positions   = args->positions;
    a.ids         = args->ids;
    a.pos         = args->pos;
    a.y           = args->y;
    a.y_max       = args->y_max;
    a.zero        = args->zero;
    a.n_zero      = args->n_zero;
    a.dtype       = table->dtype;
    a.n_scale     = table->n_scale;
    a.M           = args->M;
    a.E           = args->E;
    a.scale       = args->scale;
    a.listed      = args->rows != nullptr;
    if (a.listed) {
        a.rows  = *args->rows;
        a.token = args->slots->token;
        a.state = args->slots->state;
    }
    switch (args->act_dtype) {
    case HDL_BF16: return run_embed<__nv_bfloat16>(stream, a);
    case HDL_F16:  return run_embed<__half>(stream, a);
    default:       return run_embed<float>(stream, a);
    }
}

}  // namespace hdl
