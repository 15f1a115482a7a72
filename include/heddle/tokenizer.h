/*
 * tokenizer.h - UTF-8 text to token ids and back.
 *
 * A tokenizer joins a segmenter (SentencePiece, subword-nmt BPE, or plain words) with a vocabulary. A model owns its
 * two (hdl_model_tokenizer in model.h); they are immutable and may be used from any number of threads.
 */
#ifndef HEDDLE_TOKENIZER_H
#define HEDDLE_TOKENIZER_H

#include <heddle/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hdl_tokenizer hdl_tokenizer;

/* Number of ids, V. */
HDL_API int32_t hdl_tokenizer_size(const hdl_tokenizer *tokenizer);

/* The token of `id`, NUL-terminated UTF-8, owned by the tokenizer; NULL when id is outside [0, V). */
HDL_API const char *hdl_tokenizer_token(const hdl_tokenizer *tokenizer, int32_t id);

/* The id of a token, or -1 when the vocabulary does not hold it. */
HDL_API int32_t hdl_tokenizer_id(const hdl_tokenizer *tokenizer, const char *token);

/* "sentencepiece", "bpe" or "words". Static. */
HDL_API const char *hdl_tokenizer_kind(const hdl_tokenizer *tokenizer);

/*
 * Segments `n_bytes` of valid UTF-8. Adds no start or end token; words that the vocabulary does not hold give its
 * unknown id.
 *   ids        i32 [capacity], may be NULL when capacity is 0
 *   n_ids      how many the text has; when more than capacity, only the first `capacity` were written
 * HDL_EINVAL for invalid UTF-8, HDL_ENOMEM.
 */
HDL_API hdl_status hdl_tokenizer_encode(const hdl_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                        int32_t *ids, size_t capacity, size_t *n_ids);

/*
 * Text of `n_ids` ids; control tokens (start, end, pad) have none, unknown is shown as SentencePiece does.
 *   text       bytes [capacity], NUL-terminated when it fits; may be NULL when capacity is 0
 *   n_bytes    length without NUL; when n_bytes >= capacity nothing was written
 * HDL_EINVAL for an id outside [0, V), HDL_ENOMEM.
 */
HDL_API hdl_status hdl_tokenizer_decode(const hdl_tokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                                        char *text, size_t capacity, size_t *n_bytes);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_TOKENIZER_H */
