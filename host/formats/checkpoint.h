/*
 * checkpoint.h - what every loader produces: a configuration, canonically named tensors, vocabularies.
 *
 * Loaders translate their format's names and conventions into this one, so that the model layer knows no format.
 * Tensors point into the mapped files (or into buffers owned by the checkpoint, when a format must be decoded).
 *
 * Canonical tensor names; SIDE is encoder or decoder, i the layer from 0; weights are [out, in], y = x W^T + b, unless
 * `transposed` says that the file stores [in, out]:
 *   SIDE.embed [V, E]                        output.weight [V, E] (same data as decoder.embed when tied), output.bias [V]
 *   SIDE.positions [n, E]                    optional table; row 0 is the first position
 *   SIDE.embed_norm.{gamma,beta} [E]         optional
 *   SIDE.final_norm.{gamma,beta} [E]         pre-norm only
 *   SIDE.i.self.norm.{gamma,beta}            SIDE.i.self.qkv.{weight,bias} [3E, E], or .q/.k/.v.{weight,bias} [E, E]
 *   SIDE.i.self.out.{weight,bias}
 *   decoder.i.cross.norm.{gamma,beta}        decoder.i.cross.q.{weight,bias};  decoder.i.cross.kv [2E, E] or .k/.v;
 *   decoder.i.cross.out.{weight,bias}
 *   SIDE.i.ffn.norm.{gamma,beta}             SIDE.i.ffn.up.{weight,bias} [F, E], SIDE.i.ffn.gate.{weight,bias} [F, E]
 *                                            (GLU: act(up) * gate), SIDE.i.ffn.down.{weight,bias} [E, F]
 * Biases and betas may be absent (zero). A norm belongs before its sublayer (pre-norm) or after the residual (post-norm).
 */
#ifndef HEDDLE_HOST_CHECKPOINT_H
#define HEDDLE_HOST_CHECKPOINT_H

#include "base/mapped_file.h"
#include "base/memory.h"

#include <heddle/gemm.h>
#include <heddle/model.h>
#include <heddle/norm.h>

typedef struct hdl__param {
    char          *name;            /* canonical; owned */
    const void    *data;            /* may be unaligned: read it with memcpy */
    hdl_dtype      dtype;           /* F32, F16, BF16, I8 or I16 */
    int32_t        rank;
    int64_t        shape[4];
    const float   *scale;           /* real value = stored / scale; NULL: 1. Aligned f32, owned by the checkpoint */
    int64_t        n_scale;         /* 1, or rows (one per output row) */
    bool           transposed;      /* [in, out] in the file; `shape` is as stored */
} hdl__param;

typedef enum hdl__position_kind {
    HDL__POSITIONS_NONE = 0,
    HDL__POSITIONS_TABLE,           /* SIDE.positions; learned or stored */
    HDL__POSITIONS_HF,              /* [sin | cos], 10000^(-2j/E), first position 0 (Hugging Face MarianMT) */
    HDL__POSITIONS_CT2,             /* [sin | cos], exp(-j ln(1e4) / (E/2 - 1)), first position 1 (CTranslate2, generated) */
    HDL__POSITIONS_MARIAN           /* the same frequencies, first position 0 (Marian native) */
} hdl__position_kind;

/* One side of the network. */
typedef struct hdl__stack_config {
    int32_t            n_layers, H, E, F, V;
    bool               pre_norm;
    hdl_activation     activation;
    hdl_norm_kind      norm_kind;
    float              norm_eps;
    float              embed_scale;     /* multiplies the embedding row; 1 or sqrt(E) usually */
    hdl__position_kind positions;
    int32_t            max_positions;   /* rows of the table, or 0: unlimited */
    float              attention_scale; /* 0: 1 / sqrt(D) */
} hdl__stack_config;

/* A decoding default found in the model's files. */
typedef struct hdl__default { char *name, *value, *file; } hdl__default;

typedef struct hdl__config {
    char              *format;          /* "CTranslate2 6" ... */
    hdl__stack_config  encoder, decoder;
    float              output_scale;    /* multiplies the decoder's last hidden state; 1 usually */
    int32_t            start_id, end_id, unknown_id, pad_id, bos_id;   /* target side; -1: none */
    bool               start_is_zero;   /* the first decoder input is the zero vector instead of start_id's row */
    bool               source_bos, source_eos;         /* added to the source in --tokens mode */
    bool               text_source_eos;                /* end token added to the source in text mode */
    int32_t            alignment_layer; /* -1: last */
    int32_t            alignment_heads; /* first k heads averaged; 0: all */
    int32_t            max_source_length;              /* 0: none */
} hdl__config;

/* Token strings of one side; id is the index. Strings are NUL-terminated UTF-8 without embedded NUL, owned. */
typedef struct hdl__vocabulary { char **tokens; int32_t n; } hdl__vocabulary;

/* A file of the model that the text side reads (source.spm, vmap.txt, bpe codes), by its role. */
typedef enum hdl__asset_role {
    HDL__ASSET_SOURCE_SPM, HDL__ASSET_TARGET_SPM, HDL__ASSET_BPE_CODES, HDL__ASSET_VOCAB_MAP, HDL__N_ASSETS
} hdl__asset_role;

typedef struct hdl__checkpoint {
    hdl__config      config;
    hdl__param      *params;            /* sorted by name */
    int32_t          n_params;
    hdl__vocabulary  source_vocabulary, target_vocabulary;
    hdl__default    *defaults;          /* names as on the command line without dashes: "beam", "length-penalty", ... */
    int32_t          n_defaults;
    hdl__file        assets[HDL__N_ASSETS];         /* data NULL: absent. SOURCE and TARGET may be the same bytes */
    char            *asset_names[HDL__N_ASSETS];    /* where it came from, for messages; NULL: absent */
    hdl__file       *files;             /* mapped files that params point into */
    int32_t          n_files;
    void           **buffers;           /* decoded data owned by the checkpoint */
    int32_t          n_buffers;
} hdl__checkpoint;

/* Where a loader finds files: a directory on disk, or named blocks of memory. */
typedef struct hdl__source {
    const char            *directory;   /* path; NULL when from memory */
    const hdl_memory_file *memory;
    size_t                 n_memory;
} hdl__source;

/* Whether the source has a file of that name, and opening it. HDL_EIO names it. */
bool       hdl__source_has(const hdl__source *source, const char *name);
hdl_status hdl__source_open(const hdl__source *source, const char *name, hdl__file *out);

/*
 * Finds the format by content and loads it: every length checked against what is left, every product against
 * overflow, every name against the expected set, every tensor's shape against the configuration. Nothing is
 * half-loaded: on failure *out stays zero and the detail line names file, offset or tensor, found and allowed.
 * Non-finite f32, f16 or bf16 weights are HDL_EFORMAT, by tensor name.
 */
hdl_status hdl__checkpoint_load(const char *path, const hdl_model_options *options, hdl__checkpoint *out);
hdl_status hdl__checkpoint_load_memory(const hdl_memory_file *files, size_t n_files,
                                       const hdl_model_options *options, hdl__checkpoint *out);
void       hdl__checkpoint_close(hdl__checkpoint *checkpoint);    /* a zeroed one is fine */

/* The tensor of that canonical name, or NULL. `name` is a printf format. */
const hdl__param *hdl__checkpoint_find(const hdl__checkpoint *checkpoint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes [offset, offset + bytes) of a tensor will not be needed soon: where they are mapped, the kernel may take their pages back. */
void hdl__param_release(const hdl__checkpoint *checkpoint, const hdl__param *param, size_t offset, size_t bytes);

/* Writes the canonical tensors as a heddle directory (model.safetensors, config.json, vocabularies, assets). */
hdl_status hdl__checkpoint_save(const hdl__checkpoint *checkpoint, const char *directory);

#endif
