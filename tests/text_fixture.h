/* text_fixture.h - what the text tests share: lines of files, vocabularies made of a segmenter's own pieces. */
#ifndef HEDDLE_TESTS_TEXT_FIXTURE_H
#define HEDDLE_TESTS_TEXT_FIXTURE_H

#include "text/segmenter.h"
#include "text/text.h"

/* Opens a file of the project (HEDDLE_SOURCE_DIR/path); fails the test when it is not there. */
hdl__file fixture_open(const char *path);
/* Opens HEDDLE_TEST_DATA/path; false, with a line that says skipped, when the folder is not given. */
bool fixture_open_data(const char *path, hdl__file *out);

/* The next line of a file (cut at LF), walking *at; false at the end. */
bool fixture_line(const hdl__file *file, size_t *at, const char **line, size_t *n);

/* A vocabulary of the model's pieces in its own order, or backwards; freed by fixture_free_vocabulary. */
hdl__vocabulary fixture_vocabulary(const hdl__file *spm, bool backwards);
/* Of words separated by single spaces. */
hdl__vocabulary fixture_words(const char *words);
void fixture_free_vocabulary(hdl__vocabulary *vocabulary);
int32_t fixture_id(const hdl__vocabulary *vocabulary, const char *token);

/* A SentencePiece tokenizer over the vocabulary; `unknown` is a token, or NULL for the last id. */
hdl_tokenizer *fixture_tokenizer(const hdl__vocabulary *vocabulary, const hdl__file *spm, const hdl__file *bpe,
                                 const char *unknown);

/* The tokens of a text, joined by one space. */
void fixture_segment(const hdl_tokenizer *tokenizer, const char *text, size_t n, hdl__str *out);

#endif
