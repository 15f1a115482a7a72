/*
 * backend.cu - the table of the CUDA backend: the one symbol that libheddle-cuda.so exports.
 *
 * Contract   include/heddle/backend.h.
 * Reference  host/cpu/cpu_backend.c, the same table for the CPU.
 * Source     docs/architecture.md, "backends".
 *
 * Mapping    Entries live in the file of their op or object; this one names them.
 * Numerics   Hidden rows are f32 under compute f32, bf16 under bf16 and int8, f16 under f16.
 * Bound      None.
 */
#include "backend_name.cuh"
#include "device.cuh"
#include "group.cuh"
#include "library.cuh"
#include "ops.cuh"

namespace hdl {
namespace {

constexpr int32_t kLag = 1;         // the host looks at a step's outcome while the next one runs

hdl_dtype act_dtype(hdl_compute compute)
{
    switch (compute) {
    case HDL_COMPUTE_BF16:
    case HDL_COMPUTE_INT8: return HDL_BF16;
    case HDL_COMPUTE_F16:  return HDL_F16;
    default:               return HDL_F32;
    }
}

hdl_backend make_table()
{
    hdl_backend t = {};
    t.abi             = HDL_BACKEND_ABI;
    t.struct_bytes    = sizeof t;
    t.name            = kBackendName;
    t.kind            = kBackendKind;
    t.lag             = kLag;
    t.row_maxima      = 1;
    t.usual_rows      = kUsualRows;
    t.act_dtypes      = 1u << HDL_F32 | 1u << HDL_BF16 | 1u << HDL_F16;
    t.act_dtype       = act_dtype;
    t.open            = device_open;
    t.close           = device_close;
    t.describe        = device_describe;
    t.alloc           = device_alloc;
    t.free            = device_free;
    t.host_alloc      = pinned_alloc;
    t.host_free       = pinned_free;
    t.stream_create   = stream_create;
    t.stream_wrap     = stream_wrap;
    t.stream_reserve  = stream_reserve;
    t.stream_close    = stream_close;
    t.stream_wait     = stream_wait;
    t.upload          = stream_upload;
    t.download        = stream_download;
    t.event_create    = event_create;
    t.event_close     = event_close;
    t.event_record    = event_record;
    t.event_wait      = event_wait;
    t.event_sync      = event_sync;
    t.record_begin    = record_begin;
    t.record_end      = record_end;
    t.replay          = graph_replay;
    t.graph_close     = graph_close;
    t.range_begin     = range_begin;
    t.range_end       = range_end;
    t.graph_launches  = graph_launches;
    t.pack            = op_pack;
    t.weight_close    = op_weight_close;
    t.weight_bytes    = op_weight_bytes;
    t.embedding_open  = op_embedding_open;
    t.embedding_close = op_embedding_close;
    t.kv_pool_open    = op_kv_pool_open;
    t.kv_pool_bytes   = op_kv_pool_bytes;
    t.kv_pool_close   = op_kv_pool_close;
    t.gemm            = op_gemm;
    t.norm            = op_norm;
    t.embed           = op_embed;
    t.cache_append    = op_cache_append;
    t.attention       = op_attention;
    t.quantise_rows   = op_quantise_rows;
    t.gather_rows     = op_gather_rows;
    t.glu             = op_glu;
    t.logit_edits     = op_logit_edits;
    t.logit_reduce    = op_logit_reduce;
    t.beam_step       = op_beam_step;
    t.token_logprobs  = op_token_logprobs;
    t.scatter_words   = op_scatter_words;
    t.stamp           = op_stamp;
    t.libraries       = library_list;
    t.count           = device_count;
    t.group_open      = group_open;
    t.group_close     = group_close;
    t.group_way       = group_way;
    t.group_broadcast = group_broadcast;
    t.group_weight    = group_weight;
    t.group_embedding = group_embedding;
    return t;
}

const hdl_backend table = make_table();

}  // namespace
}  // namespace hdl

extern "C" HDL_API const hdl_backend *hdl_backend_v1(void) { return &hdl::table; }
