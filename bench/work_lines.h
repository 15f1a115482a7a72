/* work_lines.h - what bench_translate translates: text of a file, or random tokens with forced target lengths. */
#ifndef HEDDLE_BENCH_WORK_LINES_H
#define HEDDLE_BENCH_WORK_LINES_H

#include <heddle/model.h>

typedef struct work_line {
    char        *text;          /* NULL: words */
    const char **words;         /* [n_words]; names belong to the model's tokenizer */
    size_t       n_words;
    int          length;        /* forced target tokens, the end token counted; 0: not forced */
} work_line;

typedef struct work { hdl_model *model; work_line *lines; size_t n_lines; } work;

/* All take the first `most` lines only; 0: they have said on stderr why not. */
int  work_read_text(const char *path, size_t most, work *w);
/* Random sources and target lengths from lines "source target", counts of tokens without end token. */
int  work_read_lengths(const char *path, size_t most, work *w);
/* 64 random sources of 5 to 45 tokens, all targets of one length. */
int  work_draw(size_t most, work *w);
void work_free(work *w);

#endif
