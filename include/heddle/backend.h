/*
 * backend.h - the plug-in table: what a backend offers, and its ABI number.
 *
 * A backend library exports one symbol, hdl_backend_v1, that returns a constant table. The runtime opens the library on
 * demand, checks `abi` and `struct_bytes`, and never unloads it. A NULL entry is "not offered". Functions return
 * HDL_OK or a status whose detail line was given to host->fail. Arguments have passed the door: backends assert and compute.
 * Structs that begin with struct_bytes have the size of this header, whatever the program's had, and may end with the call. The
 * table itself knows no other age: one of another size is refused like another ABI number, for backends are built with the library.
 */
#ifndef HEDDLE_BACKEND_H
#define HEDDLE_BACKEND_H

#include <heddle/attention.h>
#include <heddle/device.h>
#include <heddle/embed.h>
#include <heddle/gemm.h>
#include <heddle/norm.h>
#include <heddle/search.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HDL_BACKEND_ABI 1
#define HDL_MOST_REPLICAS 64    /* devices of one translator; a larger number is a typing error, not a machine */

typedef struct hdl_backend_device hdl_backend_device;   /* the backend's own */
typedef struct hdl_backend_stream hdl_backend_stream;
typedef struct hdl_backend_event  hdl_backend_event;
typedef struct hdl_backend_graph  hdl_backend_graph;    /* a recorded step */
typedef struct hdl_backend_group  hdl_backend_group;    /* devices that hold copies of the same weights */

/* What the runtime lends to a backend. */
typedef struct hdl_backend_host {
    size_t     struct_bytes;
    hdl_status (*fail)(hdl_status status, const char *line);    /* records the detail line; returns status */
    void      *(*alloc)(size_t bytes);                          /* zeroed, 64-byte aligned, counted; NULL when out */
    void       (*free)(void *block);
} hdl_backend_host;

typedef struct hdl_backend {
    uint32_t    abi;                /* HDL_BACKEND_ABI */
    size_t      struct_bytes;
    const char *name;               /* "cpu", "cuda", "simt" */
    int32_t     kind;               /* hdl_device_kind */
    int32_t     lag;                /* steps the host is behind: cpu 0, cuda 1 */
    int32_t     unified;            /* 1: device memory is host memory, no copies needed */
    int32_t     lanes_share;        /* 1: every worker thread is a lane with its own stream (cpu) */
    int32_t     row_maxima;         /* 1: ops note greatest magnitudes of rows, and products take them (device.h) */
    int32_t     usual_rows;         /* rows of a step that keep the device busy, where its memory allows; 0: the runtime's choice */
    uint32_t    act_dtypes;         /* bit d: ops take rows of hdl_dtype d (args' act_dtype); f32 always */
    hdl_dtype   (*act_dtype)(hdl_compute);      /* of hidden rows under a compute type; not AUTO */
    uint32_t    pool_dtypes;        /* bit d: pages hold keys and values of hdl_dtype d; 0: of the act dtypes */
    hdl_dtype   (*pool_dtype)(hdl_compute);     /* of keys and values in pages; NULL: act_dtype's */

    /* device, memory, streams */
    hdl_status (*open)(int index, const hdl_device_options *, const hdl_backend_host *, hdl_backend_device **);
    void       (*close)(hdl_backend_device *);
    hdl_status (*describe)(const hdl_backend_device *, hdl_device_info *);
    hdl_status (*alloc)(hdl_backend_device *, size_t bytes, void **);
    void       (*free)(hdl_backend_device *, void *, size_t bytes);
    hdl_status (*host_alloc)(hdl_backend_device *, size_t bytes, void **);  /* pinned; NULL: ordinary memory serves */
    void       (*host_free)(hdl_backend_device *, void *, size_t bytes);
    hdl_status (*stream_create)(hdl_backend_device *, hdl_backend_stream **);
    hdl_status (*stream_wrap)(hdl_backend_device *, void *native, hdl_backend_stream **);
    hdl_status (*stream_reserve)(hdl_backend_stream *, const hdl_stream_limits *);
    void       (*stream_close)(hdl_backend_stream *);
    hdl_status (*stream_wait)(hdl_backend_stream *);
    hdl_status (*upload)(hdl_backend_stream *, void *, const void *, size_t bytes);
    hdl_status (*download)(hdl_backend_stream *, void *, const void *, size_t bytes);
    hdl_status (*event_create)(hdl_backend_device *, hdl_backend_event **);
    void       (*event_close)(hdl_backend_event *);
    hdl_status (*event_record)(hdl_backend_stream *, hdl_backend_event *);
    hdl_status (*event_wait)(hdl_backend_stream *, hdl_backend_event *);    /* the stream waits */
    hdl_status (*event_sync)(hdl_backend_event *);                          /* the host waits */

    /* recording: ops between begin and end are kept with their arguments as given, not run */
    hdl_status (*record_begin)(hdl_backend_stream *);
    hdl_status (*record_end)(hdl_backend_stream *, hdl_backend_graph **);
    hdl_status (*replay)(hdl_backend_stream *, hdl_backend_graph *);
    void       (*graph_close)(hdl_backend_graph *);
    uint64_t   (*graph_launches)(const hdl_backend_graph *);    /* kernels that one replay starts; NULL: none are launched */

    /* named ranges of the calling thread for a profiler (NVTX); NULL: the backend knows none */
    void       (*range_begin)(const char *name);
    void       (*range_end)(void);

    /*
     * Replicas: devices of one backend, 2 to HDL_MOST_REPLICAS, and copies of what is packed on the first of them. Copies
     * are there when the call returns. copies[i] is made on device i, [0] stays untouched; after a failure those that
     * were made are the caller's to close, the others NULL. All NULL: one device only.
     */
    hdl_status  (*group_open)(hdl_backend_device *const *devices, int32_t n, hdl_backend_group **);
    void        (*group_close)(hdl_backend_group *);
    const char *(*group_way)(const hdl_backend_group *);        /* how it copies: "NCCL 2.28.9", or what is used instead and why */
    hdl_status  (*group_broadcast)(hdl_backend_group *, void *const *blocks, size_t bytes);     /* blocks[i] on device i */
    hdl_status  (*group_weight)(hdl_backend_group *, const hdl_weight *, hdl_weight **copies);
    hdl_status  (*group_embedding)(hdl_backend_group *, const hdl_embedding *, hdl_embedding **copies);

    /* weights, embeddings, key/value pages */
    hdl_status (*pack)(hdl_backend_device *, const hdl_pack_args *, hdl_weight **);
    void       (*weight_close)(hdl_weight *);
    size_t     (*weight_bytes)(const hdl_weight *);
    hdl_status (*embedding_open)(hdl_backend_device *, const hdl_pack_part *, int32_t E, hdl_embedding **);
    hdl_status (*embedding_of)(hdl_backend_device *, const hdl_weight *, int32_t E, hdl_embedding **);  /* NULL: tables stand alone */
    void       (*embedding_close)(hdl_embedding *);
    hdl_status (*kv_pool_open)(hdl_backend_device *, const hdl_kv_pool_desc *, hdl_kv_pool **);
    size_t     (*kv_pool_bytes)(const hdl_kv_pool_desc *);
    void       (*kv_pool_close)(hdl_kv_pool *);

    /* ops */
    hdl_status (*gemm)(hdl_backend_stream *, const hdl_gemm_args *);
    hdl_status (*norm)(hdl_backend_stream *, const hdl_norm_args *);
    hdl_status (*embed)(hdl_backend_stream *, const hdl_embed_args *);
    hdl_status (*cache_append)(hdl_backend_stream *, const hdl_cache_append_args *);
    hdl_status (*attention)(hdl_backend_stream *, const hdl_attention_args *);
    hdl_status (*quantise_rows)(hdl_backend_stream *, const hdl_quantise_rows_args *);
    hdl_status (*gather_rows)(hdl_backend_stream *, const hdl_gather_rows_args *);
    hdl_status (*glu)(hdl_backend_stream *, const hdl_glu_args *);
    hdl_status (*logit_edits)(hdl_backend_stream *, const hdl_logit_edits_args *);
    hdl_status (*logit_reduce)(hdl_backend_stream *, const hdl_logit_reduce_args *);
    hdl_status (*beam_step)(hdl_backend_stream *, const hdl_beam_step_args *);
    hdl_status (*token_logprobs)(hdl_backend_stream *, const hdl_token_logprobs_args *);
    hdl_status (*scatter_words)(hdl_backend_stream *, const hdl_scatter_words_args *);
    hdl_status (*stamp)(hdl_backend_stream *, const hdl_stamp_args *);
    hdl_status (*rnn_step)(hdl_backend_stream *, const void *args);         /* recurrent models; NULL so far */
    hdl_status (*rnn_sequence)(hdl_backend_stream *, const void *args);
    hdl_status (*all_reduce)(hdl_backend_stream *, const void *args);       /* reserved for tensor parallelism */

    /* A second thread offers itself: it runs column panels of whatever `stream` computes until *stop is non-zero. CPU only. */
    void       (*stream_assist)(hdl_backend_stream *, const volatile int *stop);

    /* One line for each optional library: version and file, or where it was looked for. Needs no device. NULL: there are none. */
    void       (*libraries)(const char *library_dir, char *text, size_t bytes);

    /* How many devices there are, 1 or more, numbered from 0; or why there is none. NULL: one. */
    hdl_status (*count)(const hdl_backend_host *, int32_t *n);
} hdl_backend;

typedef const hdl_backend *(*hdl_backend_fn)(void);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_BACKEND_H */
