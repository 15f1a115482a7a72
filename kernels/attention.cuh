/*
 * attention.cuh - what the files of attention share: tasks as kernels get them, and the launches of
 * each variant.
 *
 * attention.cu takes hdl_attention_args apart and chooses; every other file has one variant. A task
 * is passed by value: it holds sizes, pointers and model constants, so that a recorded step can be
 * replayed.
 */
#pragma once
#include "kv_pool.cuh"

namespace hdl {

struct PagedTask {
    const void *q; // T [M, H, D], row stride ldq
    void *out;     // T [M, H, D], row stride ldo
    float *out_max; // f32 [M] or NULL: raised
    int64_t ldq, ldo;
    LayerPages pages;
    hdl_slots slots;
    hdl_rows rows;
    int H, group;              // query heads; of one key head
    float scale;               // times log2(e)
    bool source;               // source pages, else self pages
    bool q_vector, out_vector; // rows may be read, written 16 bytes at a time
};

struct PackedTask {
    const void *q, *k, *v; // T [M, H, D]; T [*, Hkv, D], row stride ldkv
    void *out;             // T [M, H, D]; may be q
    float *out_max;        // f32 [M] or NULL: raised
    int64_t ldq, ldkv, ldo;
    const int32_t *cu_q, *cu_k; // i32 [n_seq + 1]
    int n_seq, H, group, D;
    float scale; // times log2(e)
    bool causal;
    bool q_vector, kv_vector, out_vector;
};

// Probabilities of a row, averaged over heads [first, first + heads): to `probs`, to the history, or to both.
struct ProbsTask {
    float *probs; // f32 [M, ldp] or NULL
    int64_t ldp;
    int first, heads;
    bool keep_alignment;
};

// `M` rows at most; each queues one kernel. f32, bf16 or f16 as named.
hdl_status attention_rows_f32(hdl_backend_stream *, const PagedTask &, int M);
hdl_status attention_rows_bf16(hdl_backend_stream *, const PagedTask &, int M);
hdl_status attention_rows_f16(hdl_backend_stream *, const PagedTask &, int M);
hdl_status attention_cross_bf16(hdl_backend_stream *, const PagedTask &, int M);
hdl_status attention_cross_f16(hdl_backend_stream *, const PagedTask &, int M);
hdl_status attention_packed_f32(hdl_backend_stream *, const PackedTask &, int M);
hdl_status attention_packed_bf16(hdl_backend_stream *, const PackedTask &, int M);
hdl_status attention_packed_f16(hdl_backend_stream *, const PackedTask &, int M);
hdl_status attention_probs_paged(hdl_backend_stream *, const PagedTask &, const ProbsTask &,
                                 hdl_dtype, int M);
hdl_status attention_probs_packed(hdl_backend_stream *, const PackedTask &, const ProbsTask &,
                                  hdl_dtype, int M);

// Shared memory past 48 KiB, asked for with the device's first stream.
hdl_status attention_packed_f32_prepare(hdl_backend_device *);
hdl_status attention_packed_bf16_prepare(hdl_backend_device *);
hdl_status attention_packed_f16_prepare(hdl_backend_device *);

}  // namespace hdl
