/*
 * logit_work.cu - tiles, splits and scratch of the walks over logits.
 *
 * Contract   None of its own: what logit_reduce and token_logprobs share on the host's side.
 * Reference  host/cpu/logit_panels.c.
 * Source     None.
 *
 * Mapping    Host code.
 * Numerics   Panels are cut by V alone. Splits follow the number of rows and of multiprocessors;
 *            no bit depends on them.
 * Bound      None.
 */
#include "launch.cuh"
#include "logit_work.cuh"

#include <heddle/search.h>

namespace hdl {
namespace {

constexpr int    kFewRows   = 16;                    // up to here the smallest tile
constexpr int    kSomeRows  = 64;
constexpr size_t kAlign     = 256;                   // of every part of the scratch

int32_t panels_of(int32_t V) { return (V + kPanel - 1) / kPanel; }

// Rows that may keep their logits at a time.
int32_t kept_rows(const hdl_backend_device *device, int32_t R, int32_t V)
{
    const size_t share = static_cast<size_t>(device->memory_bytes) / kKeptShare;
    const size_t fit   = share / (static_cast<size_t>(V) * sizeof(float));
    return static_cast<size_t>(R) < fit ? R : fit > 0 ? static_cast<int32_t>(fit) : 1;
}

template <class T> T *carve(unsigned char *base, size_t &offset, size_t count)
{
    offset = (offset + kAlign - 1) / kAlign * kAlign;
    T *carved = base == nullptr ? nullptr : reinterpret_cast<T *>(base + offset);
    offset += count * sizeof(T);
    return carved;
}

// Lays `work` out from `offset` on; `lists` counts lists of best values, 0 with `n_kept`: none are asked for.
void carve_work(unsigned char *base, size_t &offset, int32_t R, int32_t V, size_t lists, int32_t n_kept,
                LogitWork *work)
{
    const size_t rows = static_cast<size_t>(R);
    work->n_panels   = panels_of(V);
    work->n_kept     = n_kept > 0 ? n_kept : 1;
    work->asks       = carve<LogitAsk>(base, offset, rows);
    work->parts      = carve<float2>(base, offset, rows * static_cast<size_t>(work->n_panels));
    work->wanted     = carve<float>(base, offset, rows);
    work->pad_edit   = carve<int32_t>(base, offset, 1);
    work->best_value = carve<float>(base, offset, lists * HDL_MAX_CANDIDATES);
    work->best_id    = carve<int32_t>(base, offset, lists * HDL_MAX_CANDIDATES);
    work->kept       = carve<float>(base, offset, static_cast<size_t>(n_kept) * static_cast<size_t>(V));
}

}  // namespace

int logit_tile_rows(const hdl_backend_device *device, size_t element_bytes, int32_t R)
{
    if (R <= kFewRows || device->max_shared_bytes < kSomeBytes) return kFewRows;
    const bool fits = element_bytes < sizeof(float) && device->max_shared_bytes >= kManyBytes;
    return R <= kSomeRows || !fits ? kSomeRows : kMaxTileM;
}

hdl_status logit_work(hdl_backend_stream *stream, const char *op, const hdl_weight *w, int32_t R, bool lists,
                      size_t used, LogitWork *work)
{
    const hdl_backend_device *device = stream->device;
    const int rows  = logit_tile_rows(device, dtype_bytes(w->dtype), R);
    const int tiles = (R + rows - 1) / rows, wanted = device->sm_count * 2;
    const int blocks = wanted < kWalkBlocks ? wanted : kWalkBlocks;
    const int splits = blocks / tiles > 0 ? blocks / tiles : 1;
    work->n_splits   = splits < panels_of(w->N) ? splits : panels_of(w->N);
    const size_t  n_lists = lists ? static_cast<size_t>(R) * static_cast<size_t>(work->n_splits) : 0;
    const int32_t n_kept  = lists ? kept_rows(device, R, w->N) : 0;
    size_t bytes = used;
    carve_work(nullptr, bytes, R, w->N, n_lists, n_kept, work);
    void *base = nullptr;
    const hdl_status status = scratch(stream, op, bytes, &base);
    if (status != HDL_OK) return status;
    bytes = used;
    carve_work(static_cast<unsigned char *>(base), bytes, R, w->N, n_lists, n_kept, work);
    return HDL_OK;
}

hdl_status logit_walk(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const LogitJob &job)
{
    switch (w->dtype) {
    case HDL_BF16: return logit_walk_bf16(stream, op, job);
    case HDL_F16:  return logit_walk_f16(stream, op, job);
    case HDL_I8:   return logit_walk_int8(stream, op, job);
    default:       return logit_walk_f32(stream, op, job);
    }
}

// The most that any R up to limits.M takes: R rows have R x splits lists, splits being what kWalkBlocks leave.
size_t logit_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits &limits)
{
    if (limits.V == 0 || limits.M == 0) return 0;
    const size_t M = static_cast<size_t>(limits.M), few = M * static_cast<size_t>(panels_of(limits.V));
    const size_t most = static_cast<size_t>(kMaxTileM) * kWalkBlocks, many = most > M ? most : M;
    const size_t V = static_cast<size_t>(limits.V);
    const size_t share = static_cast<size_t>(device->memory_bytes) / kKeptShare / sizeof(float);
    const size_t kept = M * V < share ? M * V : share;           // whatever smaller V an op has, and one row at least
    size_t bytes = prepared_rows_bytes(limits.M, limits.K);
    LogitWork work;
    carve_work(nullptr, bytes, limits.M, limits.V, few < many ? few : many, 0, &work);
    carve<float>(nullptr, bytes, kept > V ? kept : V);
    return bytes;
}

hdl_status logit_prepare(hdl_backend_device *device)
{
    hdl_status status = logit_walk_f32_prepare(device);
    if (status == HDL_OK) status = logit_walk_bf16_prepare(device);
    if (status == HDL_OK) status = logit_walk_f16_prepare(device);
    return status == HDL_OK ? logit_walk_int8_prepare(device) : status;
}

}  // namespace hdl
