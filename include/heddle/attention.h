/*
 * attention.h - scaled dot-product attention, packed and paged, and the key/value cache.
 *
 *     O = softmax(scale * Q K^T + mask) V
 *
 * One call serves the three attentions of an encoder-decoder model:
 *   packed   queries and keys of several sequences lie end to end without padding (encoder)
 *   self     rows of a decode step against their slot's self pages, through the ancestor table (beams are never copied)
 *   source   rows of a decode step against their slot's source pages (cross-attention); all beams of a slot together
 * The score matrix is never stored: keys are visited in tiles and the softmax is rescaled as the maximum grows. Scores and sums are f32.
 * The bits of a row depend on its own sequence alone.
 *
 * Sources: Vaswani et al. 2017, eq. 1; Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, algorithm 1;
 *          Ainslie et al. 2023 (grouped queries), arXiv 2305.13245; Kwon et al. 2023 (pages), arXiv 2309.06180.
 * Letters: M rows, H query heads, Hkv key/value heads (H a multiple of Hkv), D head dimension (4 to 256, multiple of 4; packed f32 with D > 128 is
 *          HDL_ENOSUPPORT on a GPU whose blocks have less than 102912 bytes of shared memory: 8.6, 8.9 and 12.0).
 */
#ifndef HEDDLE_ATTENTION_H
#define HEDDLE_ATTENTION_H

#include <heddle/search.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hdl_mask { HDL_MASK_NONE = 0, HDL_MASK_CAUSAL = 1 } hdl_mask;   /* causal: bottom-right aligned */

typedef enum hdl_key_source { HDL_KEYS_PACKED = 0, HDL_KEYS_SELF_PAGES = 1, HDL_KEYS_SOURCE_PAGES = 2 } hdl_key_source;

/* The pool of pages: 16 key rows of all layers each. The bytes inside are the backend's own. */
typedef struct hdl_kv_pool hdl_kv_pool;

typedef struct hdl_kv_pool_desc {
    size_t  struct_bytes;
    int32_t n_pages;
    int32_t n_layers, Hkv, D;
    hdl_dtype dtype;        /* of keys and values: the act_dtype of the ops that read and write them, or what the device offers beside it */
    int32_t reserved;       /* 0 */
} hdl_kv_pool_desc;

typedef struct hdl_attention_args {
    size_t             struct_bytes;
    hdl_key_source     keys;
    hdl_mask           mask;            /* packed only; self pages are causal by position */
    const void        *q;               /* act [M, H, D], row stride ldq elements */
    int64_t            ldq;
    void              *out;             /* act [M, H, D], row stride ldo; may alias q */
    int64_t            ldo;
    int32_t            M, H, Hkv, D;
    float              scale;           /* usually 1 / sqrt(D) */
    /* packed */
    const void        *k, *v;           /* act [*, Hkv, D], row stride ldkv */
    int64_t            ldkv;
    const int32_t     *cu_q, *cu_k;     /* i32 [n_seq + 1] device memory: first row of each sequence; cu_q[n_seq] <= M */
    int32_t            n_seq;
    /* paged */
    const hdl_kv_pool *pool;
    int32_t            layer;
    const hdl_slots   *slots;
    const hdl_rows    *rows;            /* row i's keys: self: positions 0..pos; source: options[slot].S rows */
    /* outputs that are optional */
    float             *probs;           /* f32 [M, ldp] or NULL: probabilities over the row's keys, zero past them */
    int64_t            ldp;
    int32_t            probs_first, probs_heads;    /* mean over heads [first, first + heads) */
    int32_t            keep_alignment;  /* source pages: rows of HDL_SLOT_ALIGN slots also go to the history */
    hdl_dtype          act_dtype;       /* paged: the pool's */
    float             *out_max;         /* f32 [M] or NULL: raised to the greatest magnitude of each row of out; device.h, "row maxima" */
} hdl_attention_args;

/*
 * Writes key and value rows of one layer into pages: self pages at key row pos * K + beam (K of the slot), source
 * pages at key row pos. Rows of done slots go nowhere.
 */
typedef struct hdl_cache_append_args {
    size_t           struct_bytes;
    hdl_key_source   keys;              /* SELF_PAGES or SOURCE_PAGES */
    const void      *k, *v;             /* act [M, Hkv, D], row stride ldkv */
    int64_t          ldkv;
    hdl_kv_pool     *pool;
    int32_t          layer;
    const hdl_slots *slots;
    const hdl_rows  *rows;
    int32_t          M, Hkv, D;
    hdl_dtype        act_dtype;         /* the pool's */
} hdl_cache_append_args;

#define HDL_KV_POOL_DESC_INIT { sizeof(hdl_kv_pool_desc), 0, 0, 0, 0, HDL_F32, 0 }
#define HDL_CACHE_APPEND_ARGS_INIT \
    { sizeof(hdl_cache_append_args), HDL_KEYS_SELF_PAGES, NULL, NULL, 0, NULL, 0, NULL, NULL, 0, 0, 0, HDL_F32 }
#define HDL_ATTENTION_ARGS_INIT \
    { sizeof(hdl_attention_args), HDL_KEYS_PACKED, HDL_MASK_NONE, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, \
      NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0, HDL_F32, NULL }

/* Bytes that hdl_kv_pool_open will ask for. */
HDL_API hdl_status hdl_kv_pool_bytes(const hdl_device *device, const hdl_kv_pool_desc *desc, size_t *bytes);
HDL_API hdl_status hdl_kv_pool_open(hdl_device *device, const hdl_kv_pool_desc *desc, hdl_kv_pool **pool);
HDL_API void       hdl_kv_pool_close(hdl_device *device, hdl_kv_pool *pool);   /* the same device; NULL is fine */

/*
 * Both queue work on the stream. M = 0 is fine. HDL_EINVAL and HDL_ESHAPE name the argument (`attention: H = 5 is not a
 * multiple of Hkv = 2`); then nothing was queued. What lies in device memory (offsets, page numbers, row lists) is the
 * caller's word: no one checks it.
 */
HDL_API hdl_status hdl_attention(hdl_stream *stream, const hdl_attention_args *args);
HDL_API hdl_status hdl_cache_append(hdl_stream *stream, const hdl_cache_append_args *args);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_ATTENTION_H */
