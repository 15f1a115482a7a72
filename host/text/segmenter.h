/*
 * segmenter.h - the small interface between a segmenter (SentencePiece, BPE, words) and the vocabulary.
 *
 * A segmenter knows pieces, not ids: it hands each piece to the sink, by its own number or by its text, and the sink
 * finds the id. It is immutable and counted, so that both sides of a model may share one.
 */
#ifndef HEDDLE_HOST_SEGMENTER_H
#define HEDDLE_HOST_SEGMENTER_H

#include "base/memory.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hdl__sink hdl__sink;
typedef struct hdl__segmenter hdl__segmenter;

struct hdl__segmenter {
    const char *kind;       /* hdl_tokenizer_kind */
    int32_t     n_pieces;   /* pieces with numbers of their own; 0: all by text */
    int         users;
    const char *(*piece)(const hdl__segmenter *self, int32_t piece);    /* text of piece [0, n_pieces) */
    hdl_status (*encode)(const hdl__segmenter *self, const char *text, size_t n, hdl__sink *sink);
    /* Appends the text of tokens; NULL is the unknown token. */
    hdl_status (*decode)(const hdl__segmenter *self, const char *const *tokens, size_t n, hdl__str *out);
    void (*close)(hdl__segmenter *self);
};

/* Cannot fail: ids beyond the caller's capacity are counted only. */
void hdl__sink_piece(hdl__sink *sink, int32_t piece);
void hdl__sink_text(hdl__sink *sink, const char *piece, size_t n);
/* The piece is `head` followed by `tail`. */
void hdl__sink_joined(hdl__sink *sink, const char *head, size_t n_head, const char *tail, size_t n_tail);

/* `file_name` is for messages. HDL_EFORMAT, HDL_ENOMEM. */
hdl_status hdl__spm_open(const uint8_t *data, size_t n, const char *file_name, hdl__segmenter **out);
hdl_status hdl__bpe_open(const uint8_t *data, size_t n, const char *file_name, hdl__segmenter **out);
hdl_status hdl__words_open(hdl__segmenter **out);

/* Counts down; the last one closes. NULL is fine. */
void hdl__segmenter_release(hdl__segmenter *segmenter);

/*
 * SentencePiece trusts its model files; this does not. Checks the wire format, the pieces and the double arrays of the
 * normalisers, so that no text can make the library read outside them. *trimmed receives a copy without the trainer's
 * self-test (it costs time at every load) when the file holds one, else stays empty.
 */
hdl_status hdl__spm_check(const uint8_t *data, size_t n, const char *file_name, hdl__str *trimmed);

/* Joins words by one space; a word that ends in `continuation` (NULL: none) is joined to the next by nothing. */
hdl_status hdl__words_join(const char *const *tokens, size_t n, const char *continuation, hdl__str *out);

#ifdef __cplusplus
}
#endif
#endif
