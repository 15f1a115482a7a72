/*
 * cpu_backend.h - what the files of the CPU backend share: device, stream, instruction sets, packed weights.
 *
 * Code that gains from wide registers is written once, in host/cpu/simd/, with GCC vector extensions and (where a
 * product needs it) intrinsics, and compiled three times: plain, AVX2 + FMA, AVX-512. Each compilation fills one table
 * (hdl__cpu_kernels); the device picks a table once, by feature bits, and ops call through it.
 * Hidden rows ("act") are f32 on this backend, whatever the compute type of the weights.
 */
#ifndef HEDDLE_HOST_CPU_BACKEND_H
#define HEDDLE_HOST_CPU_BACKEND_H

#include "base/memory.h"

#include <heddle/backend.h>

typedef struct hdl__cpu_features {
    bool avx2, fma, f16c, avx512, vnni, avx512_bf16, amx_bf16, amx_int8;    /* avx512: F, BW, DQ and VL */
} hdl__cpu_features;

typedef struct hdl__cpu_kernels hdl__cpu_kernels;      /* kernel_table.h */

struct hdl_backend_device {
    const hdl_backend_host *host;
    hdl__cpu_features       features;
    hdl_isa                 isa;            /* resolved, never AUTO */
    hdl_products            products;
    const hdl__cpu_kernels *kernels;
    hdl_memory_hooks        hooks;
    bool                    has_hooks;
    struct hdl__onednn     *onednn;         /* gemm_onednn.h; NULL: all products are ours */
    char                    description[160];
};

/* Scratch of a stream, carved by the op that runs; nothing is kept from op to op. */
typedef struct hdl__cpu_scratch { uint8_t *data; size_t bytes; } hdl__cpu_scratch;

typedef struct hdl__cpu_call hdl__cpu_call;            /* one recorded op: function and copied arguments */

struct hdl_backend_graph { hdl__cpu_call *calls; size_t n, capacity; };

struct hdl_backend_stream {
    hdl_backend_device *device;
    hdl__cpu_scratch    scratch;
    hdl_stream_limits   limits;
    hdl_backend_graph  *recording;          /* NULL: ops run as they come */
    struct hdl__cpu_team *team;             /* panels offered to an assisting thread (team.h) */
    void               *library;            /* oneDNN's stream; NULL: the device has none */
};

/* First line of every op: when the stream records, keeps a copy of the arguments and returns true. */
bool hdl__cpu_record(hdl_backend_stream *stream, hdl_status (*op)(hdl_backend_stream *, const void *),
                     const void *args, size_t bytes, hdl_status *status);

/* Aligned bytes from the stream's scratch; `used` advances. Never fails when stream_reserve was told the truth; asserts in test builds. */
void *hdl__cpu_carve(hdl_backend_stream *stream, size_t *used, size_t bytes);

/* A row that a decode op must leave alone: its slot is done. */
static inline bool hdl__row_is_live(const hdl_slots *slots, const hdl_rows *rows, int32_t row)
{
    return slots->state[rows->slot[row]].done == 0;
}

/* ops; one file each */
hdl_status hdl__cpu_gemm(hdl_backend_stream *, const hdl_gemm_args *);
hdl_status hdl__cpu_norm(hdl_backend_stream *, const hdl_norm_args *);
hdl_status hdl__cpu_embed(hdl_backend_stream *, const hdl_embed_args *);
hdl_status hdl__cpu_cache_append(hdl_backend_stream *, const hdl_cache_append_args *);
hdl_status hdl__cpu_attention(hdl_backend_stream *, const hdl_attention_args *);
hdl_status hdl__cpu_quantise_rows(hdl_backend_stream *, const hdl_quantise_rows_args *);
hdl_status hdl__cpu_gather_rows(hdl_backend_stream *, const hdl_gather_rows_args *);
hdl_status hdl__cpu_glu(hdl_backend_stream *, const hdl_glu_args *);
hdl_status hdl__cpu_logit_edits(hdl_backend_stream *, const hdl_logit_edits_args *);
hdl_status hdl__cpu_logit_reduce(hdl_backend_stream *, const hdl_logit_reduce_args *);
hdl_status hdl__cpu_beam_step(hdl_backend_stream *, const hdl_beam_step_args *);
hdl_status hdl__cpu_token_logprobs(hdl_backend_stream *, const hdl_token_logprobs_args *);
hdl_status hdl__cpu_scatter_words(hdl_backend_stream *, const hdl_scatter_words_args *);
hdl_status hdl__cpu_stamp(hdl_backend_stream *, const hdl_stamp_args *);

/* weights, embeddings, pages */
hdl_status hdl__cpu_pack(hdl_backend_device *, const hdl_pack_args *, hdl_weight **);
void       hdl__cpu_weight_close(hdl_weight *);
size_t     hdl__cpu_weight_bytes(const hdl_weight *);
hdl_status hdl__cpu_embedding_open(hdl_backend_device *, const hdl_pack_part *, int32_t E, hdl_embedding **);
hdl_status hdl__cpu_embedding_of(hdl_backend_device *, const hdl_weight *, int32_t E, hdl_embedding **);
void       hdl__cpu_embedding_close(hdl_embedding *);
hdl_status hdl__cpu_kv_pool_open(hdl_backend_device *, const hdl_kv_pool_desc *, hdl_kv_pool **);
size_t     hdl__cpu_kv_pool_bytes(const hdl_kv_pool_desc *);
void       hdl__cpu_kv_pool_close(hdl_kv_pool *);

/*
 * The product in column panels, for ops that consume logits as they are made. prepare readies M rows of x in the
 * stream's scratch (f32: as they are, or split in three where the weights are halves; bf16: rounded; int8: quantised);
 * panel then writes y[m, n - n0] for n in [n0, n1), without bias. n0 is a multiple of HDL__PANEL_COLUMNS. The bits of a value do not depend on M, nor on the panel it is computed in.
 */
#define HDL__PANEL_COLUMNS 64       /* a multiple of every micro-kernel's width (8, 16, 64) */

typedef struct hdl__prepared { const hdl_weight *w; const void *rows; const float *unscale; int64_t ld; int32_t M; } hdl__prepared;

hdl__prepared hdl__cpu_prepare(hdl_backend_stream *, size_t *used, const hdl_weight *w, const float *x, int64_t ldx,
                               const int32_t *rows, int32_t M);
void          hdl__cpu_panel(hdl_backend_stream *, const hdl__prepared *x, int32_t n0, int32_t n1, float *y, int64_t ldy);

/*
 * The panel at n0 as sums, of at most 64 rows: y i32 [M rounded up to 16, HDL__PANEL_COLUMNS], which times the row's unscale and then
 * the column's are the values of hdl__cpu_panel. For weights of which hdl__cpu_sum_scales gives the columns' (f32 [N]); NULL: they
 * have no such panels. Who reads logits once saves writing them twice.
 */
const float  *hdl__cpu_sum_scales(const hdl_weight *w);
void          hdl__cpu_panel_sums(const hdl__prepared *x, int32_t n0, int32_t *y);

/*
 * Runs job(user, 0..n_items-1), each once. With an assisting thread (stream_assist) items are shared between the two;
 * items must write disjoint memory, so that the result does not depend on who ran them. Scratch of an item is the item's own.
 */
void hdl__cpu_share(hdl_backend_stream *, int32_t n_items, void (*job)(void *user, int32_t item), void *user);

#endif
