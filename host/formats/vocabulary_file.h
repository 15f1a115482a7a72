/*
 * vocabulary_file.h - token lists: JSON arrays and maps, plain lines, Marian's yml, SentencePiece models.
 *
 * A vocabulary is one block: the pointers, then the bytes. Tokens are valid UTF-8 without NUL; each id has a token.
 */
#ifndef HEDDLE_HOST_VOCABULARY_FILE_H
#define HEDDLE_HOST_VOCABULARY_FILE_H

#include "formats/checkpoint.h"

#define HDL__MAX_VOCABULARY 16777216    /* 2^24 tokens; far above any model, far below int32 */

/* Tokens in the order of their ids, until finish. Zero it; close frees what finish did not take. */
typedef struct hdl__token_list { hdl__str text; int32_t n; } hdl__token_list;

void       hdl__token_list_add(hdl__token_list *list, const char *token, size_t n);
hdl_status hdl__token_list_finish(hdl__token_list *list, const char *file, hdl__vocabulary *out);

/* Opens `name` and reads it: .json (array, or map of token to id), .spm, .yml or .yaml, else one token a line. When
 * `unknown` is not NULL and the list lacks it, it is appended. HDL_EFORMAT names line or id. */
hdl_status hdl__vocabulary_open(const hdl__source *source, const char *name, const char *unknown,
                                hdl__vocabulary *out);
/* One of them, from bytes; `unknown` as above. */
hdl_status hdl__vocabulary_parse(const hdl__file *bytes, const char *name, const char *unknown,
                                 hdl__vocabulary *out);
hdl_status hdl__vocabulary_copy(const hdl__vocabulary *vocabulary, hdl__vocabulary *out);
/* The lowest id of a token, or -1. */
int32_t    hdl__vocabulary_find(const hdl__vocabulary *vocabulary, const char *token);
void       hdl__vocabulary_close(hdl__vocabulary *vocabulary);

/* Readers of single formats. */
hdl_status hdl__vocabulary_read_json(const hdl__file *bytes, const char *name, hdl__token_list *list);
hdl_status hdl__vocabulary_read_lines(const hdl__file *bytes, const char *name, hdl__token_list *list);
hdl_status hdl__vocabulary_read_yaml(const hdl__file *bytes, const char *name, hdl__token_list *list);
hdl_status hdl__vocabulary_read_spm(const hdl__file *bytes, const char *name, hdl__token_list *list);

/* Puts (id, token) pairs in order: every id from 0 to n - 1 once. */
typedef struct hdl__token_pair { int64_t id; size_t offset; } hdl__token_pair;
hdl_status hdl__token_list_order(const char *text, hdl__token_pair *pairs, size_t n, const char *name,
                                 hdl__token_list *list);

#endif
