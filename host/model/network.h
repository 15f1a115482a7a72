/*
 * network.h - a model's weights on one device: packed products, norms, embeddings, positions. Immutable and shared.
 */
#ifndef HEDDLE_HOST_NETWORK_H
#define HEDDLE_HOST_NETWORK_H

#include "device/device_names.h"
#include "model/model_state.h"

#include <heddle/attention.h>
#include <heddle/embed.h>
#include <heddle/gemm.h>
#include <heddle/norm.h>

typedef struct hdl__norm_weights { float *gamma, *beta; } hdl__norm_weights;    /* f32 [E] in device memory; beta may be NULL */

typedef struct hdl__linear {
    hdl_weight *w;          /* [N, K] */
    float      *bias;       /* f32 [N] in device memory, or NULL */
    int32_t     N, K;
} hdl__linear;

typedef struct hdl__layer {
    hdl__norm_weights self_norm, cross_norm, ffn_norm;
    hdl__linear       qkv, self_out;            /* [3E, E], [E, E] */
    hdl__linear       cross_q, cross_kv, cross_out;     /* decoder only: [E, E], [2E, E], [E, E] */
    hdl__linear       up, down;                 /* [F, E] or [2F, E] (up over gate) with glu; [E, F] */
    bool              glu;
} hdl__layer;

typedef struct hdl__stack {
    hdl__stack_config config;
    hdl_embedding    *embedding;
    float            *positions;                /* f32 [n_positions, E] in device memory, or NULL */
    int32_t           n_positions;
    bool              borrows_positions;        /* the decoder's sinusoids are the encoder's */
    hdl__norm_weights embed_norm, final_norm;   /* gamma NULL: none */
    hdl__layer       *layers;                   /* [config.n_layers] */
} hdl__stack;

struct hdl__network {
    hdl_model    *model;
    hdl_device   *device;                       /* owned */
    char         *device_name;                  /* as asked for */
    hdl_isa       isa;
    hdl_products  products;
    hdl_compute   compute;                      /* never AUTO */
    hdl_compute   asked;                        /* as asked for, AUTO perhaps */
    hdl_dtype     act;                          /* of hidden rows, keys and values */
    bool          hooked;                       /* its memory comes from the hooks of one translator's options: never shared */
    int32_t       max_positions;
    hdl__stack    encoder, decoder;
    hdl__linear   output;                       /* [V, E] */
    uint64_t      bytes;                        /* packed weights and tables */
    int           users;
    hdl__network *next;
};

typedef struct hdl__network_options {
    const char               *device;
    const hdl_device_options *device_options;   /* NULL: defaults */
    hdl_compute               compute;
    int32_t                   max_positions;    /* for positions without a limit of their own */
} hdl__network_options;

/* Finds the model's network for these options or packs one; counted. */
hdl_status hdl__network_acquire(hdl_model *model, const hdl__network_options *options, hdl__network **out);
/*
 * The same for each of the devices, whose names take the place of options->device: out [devices->n]. The checkpoint is read and packed once;
 * the other devices get copies. All or none.
 */
hdl_status hdl__network_acquire_all(hdl_model *model, const hdl__network_options *options, const hdl__device_set *devices,
                                    hdl__network **out);
void       hdl__network_release(hdl__network *network);    /* NULL is fine; frees at the last user */

/* One thing that a network holds on its device; one of the three pointers is set, and what it points to may be NULL. */
typedef struct hdl__network_part {
    hdl_weight    **weight;
    hdl_embedding **embedding;
    float         **floats;
    int64_t         n_floats;
    int32_t         rows, columns;              /* of a weight [N, K], of an embedding [V, E] */
} hdl__network_part;

/* Calls `fn` for all that the network holds, always in the same order. */
typedef void (*hdl__part_fn)(const hdl__network_part *part, void *user);
void hdl__network_visit(hdl__network *network, hdl__part_fn fn, void *user);

/* "f32", "bf16", "f16" or "int8". Static. */
const char *hdl__compute_name(hdl_compute compute);

/* Values of a parameter as f32, scales applied; `out` has room for all elements. */
void    hdl__param_values(const hdl__param *param, float *out);
int64_t hdl__param_count(const hdl__param *param);

#endif
