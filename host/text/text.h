/*
 * text.h - the text side: clean UTF-8, segmenters, cutting long lines into pieces. Knows no device.
 */
#ifndef HEDDLE_HOST_TEXT_H
#define HEDDLE_HOST_TEXT_H

#include "base/memory.h"
#include "formats/checkpoint.h"

#include <heddle/tokenizer.h>

/* Copies `n` bytes to `out` (cleared first) with NUL and every maximal invalid subsequence replaced by U+FFFD (Unicode
 * 15, section 3.9, "substitution of maximal subparts"). *n_replaced counts replacements. HDL_ENOMEM. */
hdl_status hdl__utf8_clean(const char *bytes, size_t n, hdl__str *out, size_t *n_replaced);
bool       hdl__utf8_valid(const char *bytes, size_t n);
/* The code point at `bytes` (valid UTF-8, n > 0) and its length in *length. */
uint32_t   hdl__utf8_decode(const char *bytes, size_t n, int *length);
/* Nothing but Unicode White_Space (empty too). */
bool       hdl__text_is_blank(const char *text, size_t n);
/* The last character is Han, kana or their punctuation: what follows is joined without a space. */
bool       hdl__text_ends_in_cjk(const char *text, size_t n);

/*
 * Makes the tokenizer of a side. `vocabulary` is borrowed and must outlive it; `spm` or `bpe` are the bytes of the
 * segmenter's file (one of them, or neither: words). unknown_id is the vocabulary's. The segmenter's pieces that the
 * vocabulary lacks become unknown_id. HDL_EFORMAT names `file_name`.
 */
typedef struct hdl__tokenizer_source {
    const hdl__vocabulary *vocabulary;
    const hdl__file       *spm, *bpe;       /* NULL or data == NULL: absent */
    const char            *file_name;       /* for messages */
    int32_t                unknown_id;
    const int32_t         *control_ids;     /* ids without text: start, end, pad; copied */
    int32_t                n_control;
    const hdl_tokenizer   *twin;            /* the other side's, or NULL: when its segmenter's file holds the same bytes
                                             * (still readable now) the segmenter is shared, not read again */
} hdl__tokenizer_source;

hdl_status hdl__tokenizer_open(const hdl__tokenizer_source *source, hdl_tokenizer **out);
void       hdl__tokenizer_close(hdl_tokenizer *tokenizer);

/* Texts of the pieces that hdl_tokenizer_encode makes of valid UTF-8, in the same number, each followed by a NUL: what
 * an unknown id stood for. Appended to `pieces`. HDL_ENOMEM. */
hdl_status hdl__tokenizer_pieces(const hdl_tokenizer *tokenizer, const char *text, size_t n, hdl__str *pieces);
/* Text of tokens given by name, some perhaps not of this vocabulary (copied source words). Appended to `out`.
 * HDL_ENOMEM. */
hdl_status hdl__tokenizer_decode_tokens(const hdl_tokenizer *tokenizer, const char *const *tokens, size_t n,
                                        hdl__str *out);

/* Finds tokens fast: open-addressing table over a vocabulary; duplicates: the first id wins. */
typedef struct hdl__token_map hdl__token_map;
hdl_status hdl__token_map_open(const hdl__vocabulary *vocabulary, hdl__token_map **out);
int32_t    hdl__token_map_find(const hdl__token_map *map, const char *token, size_t n);    /* -1: absent */
void       hdl__token_map_close(hdl__token_map *map);

/* How lines are cut into pieces (README, "text rules"). */
typedef enum hdl__split { HDL__SPLIT_LONG = 0, HDL__SPLIT_SENTENCES, HDL__SPLIT_NEVER } hdl__split;

/* A piece of a line: bytes [begin, end) of it, without surrounding white space; `glued`: no white space stands between
 * it and the one before it (CJK, or a word cut at the limit). Translations are joined by one space, or by nothing when
 * the one before ends in CJK (hdl__text_ends_in_cjk). */
typedef struct hdl__piece { size_t begin, end; bool glued; } hdl__piece;

typedef struct hdl__pieces { hdl__piece *items; size_t n, capacity; } hdl__pieces;

/*
 * Cuts a clean line. `max_tokens` is the limit of a piece in tokens of `tokenizer` (special tokens already taken off;
 * 0: no limit). long: only lines above the limit are cut, at sentence ends; a sentence above it after , ; : (and their
 * CJK forms); then at white space; last at the token limit itself. Neighbouring parts are joined again while they fit.
 * sentences: every line at sentence ends, one sentence a piece, then as above. never: one piece, whole.
 * A blank line has no pieces. HDL_ENOMEM.
 */
hdl_status hdl__split_line(const hdl_tokenizer *tokenizer, const char *line, size_t n, hdl__split how,
                           int32_t max_tokens, hdl__pieces *out);
void       hdl__pieces_free(hdl__pieces *pieces);

/* Vocabulary map (CTranslate2's vmap.txt): source n-grams to the target ids that may follow. */
typedef struct hdl__vocab_map hdl__vocab_map;
hdl_status hdl__vocab_map_open(const hdl__file *file, const char *file_name, const hdl__token_map *target,
                               hdl__vocab_map **out);
/* Sorted, distinct ids allowed for a source sentence, the `always` ids (unknown, start, end, prefix) included.
 * *ids is owned by the caller (hdl__free). */
hdl_status hdl__vocab_map_lookup(const hdl__vocab_map *map, const char *const *source_tokens, size_t n_tokens,
                                 const int32_t *always, size_t n_always, int32_t **ids, size_t *n_ids);
void       hdl__vocab_map_close(hdl__vocab_map *map);

#endif
