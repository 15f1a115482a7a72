/*
 * model.h - a translation model: load, describe, close. Immutable after load, shared by any number of threads.
 */
#ifndef HEDDLE_MODEL_H
#define HEDDLE_MODEL_H

#include <heddle/base.h>
#include <heddle/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hdl_model hdl_model;

/* 0 and NULL mean the default everywhere. */
typedef struct hdl_model_options {
    size_t      struct_bytes;
    const char *source_spm, *target_spm;    /* paths of SentencePiece models that replace the directory's own */
    const char *spm;                        /* one for both sides */
    const char *vocab_map;                  /* path of a vmap.txt; NULL: the directory's own is loaded but not used */
    int32_t     tokens_only;                /* 1: no tokenizer is looked for (tokens in, tokens out) */
    int32_t     reserved;                   /* 0 */
} hdl_model_options;

#define HDL_MODEL_OPTIONS_INIT { sizeof(hdl_model_options), NULL, NULL, NULL, NULL, 0, 0 }

/*
 * Loads a model from a directory (CTranslate2, Hugging Face MarianMT, Marian, heddle's own safetensors) or from a
 * Marian .npz or .bin with its .yml beside it. The format is found by content. Weights stay in the mapped file until
 * a translator packs them; `path` and `options` may die as soon as this returns.
 * HDL_EIO (missing, unreadable), HDL_EFORMAT (file, tensor or offset, found, allowed), HDL_ENOMEM, HDL_ENOSUPPORT (an
 * architecture that heddle does not compute, named). On failure *model is left as it was.
 */
HDL_API hdl_status hdl_model_load(const char *path, const hdl_model_options *options, hdl_model **model);

/* One file of a model that lives in memory. The bytes stay the caller's and must outlive the model. */
typedef struct hdl_memory_file {
    const char *name;       /* as in a directory: "config.json", "model.safetensors", "source.spm" */
    const void *data;
    size_t      n_bytes;
} hdl_memory_file;

/* The same from memory: `files` stand for a directory. Paths in `options` name members of `files`. */
HDL_API hdl_status hdl_model_load_memory(const hdl_memory_file *files, size_t n_files,
                                         const hdl_model_options *options, hdl_model **model);

/* What a model is. Strings belong to the model. */
typedef struct hdl_model_info {
    size_t      struct_bytes;
    const char *format;                     /* "CTranslate2 6", "MarianMT", "Marian npz", "Marian bin", "heddle" */
    const char *weights_dtype;              /* "f32", "f16", "i8", "mixed", ... */
    int32_t     encoder_layers, decoder_layers, d_model, encoder_heads, decoder_heads, encoder_ffn, decoder_ffn;
    int32_t     source_vocabulary, target_vocabulary;
    int32_t     max_positions;              /* of the decoder; 0: unlimited */
    int32_t     max_source_length;          /* recommended length of a piece, tokens with end token; 0: max_positions */
    int32_t     start_id, end_id, unknown_id, pad_id;      /* -1: none */
    uint64_t    n_parameters, weight_bytes; /* as stored; tied tensors count once */
    const char *norm_order;                 /* "pre" or "post" */
    const char *activation;                 /* decoder's: "relu", "swish", ... */
    const char *positions;                  /* "sinusoidal (Hugging Face)", "table", ... */
    const char *tokenizer;                  /* of the source: "sentencepiece", "bpe", "words" */
    int32_t     has_vocab_map;
    int32_t     reserved;                   /* 0 */
} hdl_model_info;

#define HDL_MODEL_INFO_INIT { sizeof(hdl_model_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

HDL_API hdl_status hdl_model_describe(const hdl_model *model, hdl_model_info *info);

/* Decoding defaults of the model's own files, one at a time, in a fixed order: for i from 0 until it returns 0, the
 * option's name ("beam"), its value as text ("4") and the file that says so. Strings belong to the model. */
HDL_API int hdl_model_default(const hdl_model *model, int i, const char **name, const char **value, const char **file);

/* side 0: source, 1: target. Owned by the model; never NULL (without segmenter, words are tokens). */
HDL_API const hdl_tokenizer *hdl_model_tokenizer(const hdl_model *model, int side);

/*
 * Writes the model as a directory of safetensors with config.json, vocabularies and tokenizer files, which
 * hdl_model_load reads again to the same numbers. HDL_EIO names the file; an existing non-empty directory is HDL_EINVAL.
 */
HDL_API hdl_status hdl_model_save(const hdl_model *model, const char *directory);

/* NULL is fine. HDL_ESTATE is logged, and the model kept, while a translator still uses it. */
HDL_API void hdl_model_close(hdl_model *model);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_MODEL_H */
