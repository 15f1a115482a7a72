/* sentence.h - where sentences end: a walk over a line, the marks and the words it knows. */
#ifndef HEDDLE_HOST_SENTENCE_H
#define HEDDLE_HOST_SENTENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A walk over the sentences of a clean line. */
typedef struct hdl__sentences {
    const char *line;
    size_t      n, position;
    size_t      last_closer;    /* of a CJK bracket; brackets that open behind it never close and do not count */
    bool        has_upper;      /* a line without capitals has sentences that begin small */
} hdl__sentences;

void hdl__sentences_start(hdl__sentences *walk, const char *line, size_t n);
/* The next sentence, without white space around it; together they hold every other character. False: no more. */
bool hdl__sentences_next(hdl__sentences *walk, size_t *begin, size_t *end);

/* What a punctuation mark does to a sentence. */
typedef enum hdl__mark {
    HDL__MARK_NONE = 0,
    HDL__MARK_DOT,          /* . : the only one that abbreviations share */
    HDL__MARK_DOTS,         /* one character for an ellipsis */
    HDL__MARK_STRONG,       /* ! ? and other scripts' stops that a space follows */
    HDL__MARK_CJK           /* stops that no space need follow */
} hdl__mark;

hdl__mark hdl__mark_of(uint32_t c);
bool hdl__mark_closes(uint32_t c);          /* quotes and brackets that may close, seen right behind a stop */
bool hdl__mark_opens(uint32_t c);           /* what may stand before a first letter: quotes, brackets, dashes */
bool hdl__mark_opens_cjk(uint32_t c);       /* brackets within which a CJK sentence does not end */
bool hdl__mark_closes_cjk(uint32_t c);
bool hdl__mark_ends_clause(uint32_t c);     /* , ; : and their forms in other scripts */
bool hdl__mark_ends_clause_cjk(uint32_t c); /* those that no space need follow */

/* What a full stop behind a word means. */
typedef enum hdl__word_kind {
    HDL__WORD_PLAIN = 0,
    HDL__WORD_NEVER,        /* a title or "e.g": the sentence goes on */
    HDL__WORD_BEFORE_NUMBER,/* "No", "Fig": it goes on when a number follows */
    HDL__WORD_MAYBE         /* "etc", "Inc", "U.S": it ends when a word follows that often begins sentences */
} hdl__word_kind;

/* The word is given without its last stop; `any_case`: the line does not use capitals as a rule. */
hdl__word_kind hdl__word_kind_of(const char *word, size_t n, bool any_case);
/* Whether sentences often begin with this word ("The", "Er", "Les"). */
bool hdl__word_starts_sentences(const char *word, size_t n);

#endif
