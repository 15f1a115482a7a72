/*
 * ops.cuh - the entries of the backend table that lie in files of their own; backend.cu gathers them.
 *
 * Contracts: include/heddle/<op>.h. The door has checked the arguments; these compute, and queue on the stream.
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {

// weights, embeddings, key/value pages
hdl_status op_pack(hdl_backend_device *, const hdl_pack_args *, hdl_weight **);
void       op_weight_close(hdl_weight *);
size_t     op_weight_bytes(const hdl_weight *);
hdl_status op_embedding_open(hdl_backend_device *, const hdl_pack_part *, int32_t E, hdl_embedding **);
void       op_embedding_close(hdl_embedding *);
hdl_status op_kv_pool_open(hdl_backend_device *, const hdl_kv_pool_desc *, hdl_kv_pool **);
size_t     op_kv_pool_bytes(const hdl_kv_pool_desc *);
void       op_kv_pool_close(hdl_kv_pool *);

// products and rows
hdl_status op_gemm(hdl_backend_stream *, const hdl_gemm_args *);
hdl_status op_norm(hdl_backend_stream *, const hdl_norm_args *);
hdl_status op_embed(hdl_backend_stream *, const hdl_embed_args *);
hdl_status op_glu(hdl_backend_stream *, const hdl_glu_args *);
hdl_status op_gather_rows(hdl_backend_stream *, const hdl_gather_rows_args *);
hdl_status op_quantise_rows(hdl_backend_stream *, const hdl_quantise_rows_args *);

// attention
hdl_status op_attention(hdl_backend_stream *, const hdl_attention_args *);
hdl_status op_cache_append(hdl_backend_stream *, const hdl_cache_append_args *);

// search
hdl_status op_logit_edits(hdl_backend_stream *, const hdl_logit_edits_args *);
hdl_status op_logit_reduce(hdl_backend_stream *, const hdl_logit_reduce_args *);
hdl_status op_beam_step(hdl_backend_stream *, const hdl_beam_step_args *);
hdl_status op_token_logprobs(hdl_backend_stream *, const hdl_token_logprobs_args *);
hdl_status op_scatter_words(hdl_backend_stream *, const hdl_scatter_words_args *);

// traces
hdl_status op_stamp(hdl_backend_stream *, const hdl_stamp_args *);

}  // namespace hdl
