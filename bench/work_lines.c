/* work_lines.c - lines of text read, lengths read, random tokens drawn. Fixed seed. */
#include "work_lines.h"

#include <heddle/tokenizer.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 1u
#define FORCED_LENGTH 26        /* newstest2017's median target length in pieces */
#define RANDOM_LINES 64
#define LINE_BYTES (1 << 16)
#define MOST_LENGTH 100000      /* far above the positions of any model, which refuses it in its own words */

static int no_memory(void)
{
    fprintf(stderr, "bench_translate: no memory for the lines\n");
    return 0;
}

/* Room is doubled whenever the count is a power of two. */
static work_line *add_line(work *w)
{
    if ((w->n_lines & (w->n_lines - 1)) == 0) {
        work_line *more = realloc(w->lines, (w->n_lines == 0 ? 1 : 2 * w->n_lines) * sizeof *more);
        if (more == NULL) return NULL;
        w->lines = more;
    }
    work_line *line = &w->lines[w->n_lines++];
    memset(line, 0, sizeof *line);
    return line;
}

static uint32_t draw(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

/* A source of random words; ids 0, 1 and the last one are special tokens. */
static int add_random_line(work *w, size_t n_words, int length, uint32_t *state)
{
    const hdl_tokenizer *names = hdl_model_tokenizer(w->model, 0);
    hdl_model_info info = HDL_MODEL_INFO_INIT;
    hdl_model_describe(w->model, &info);
    work_line *line = add_line(w);
    if (line == NULL || (line->words = calloc(n_words, sizeof *line->words)) == NULL) return no_memory();
    line->n_words = n_words;
    line->length = length;
    const uint32_t n_usual = (uint32_t)info.source_vocabulary - 3;
    for (size_t j = 0; j < n_words; j++)
        line->words[j] = hdl_tokenizer_token(names, 2 + (int32_t)((draw(state) >> 8) % n_usual));
    return 1;
}

static FILE *open_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) fprintf(stderr, "bench_translate: %s cannot be read\n", path);
    return file;
}

static int any_lines(const char *path, const work *w)
{
    if (w->n_lines == 0) fprintf(stderr, "bench_translate: %s has no lines\n", path);
    return w->n_lines > 0;
}

int work_read_text(const char *path, size_t most, work *w)
{
    char text[LINE_BYTES];
    FILE *file = open_lines(path);
    if (file == NULL) return 0;
    while (w->n_lines < most && fgets(text, sizeof text, file) != NULL) {
        work_line *line = add_line(w);
        text[strcspn(text, "\n")] = '\0';
        if (line == NULL || (line->text = strdup(text)) == NULL) return fclose(file), no_memory();
    }
    fclose(file);
    return any_lines(path, w);
}

static int parse_lengths(const char *path, size_t number, char *text, int *source, int *target)
{
    int end = 0;
    if (sscanf(text, "%d %d %n", source, target, &end) == 2 && text[end] == '\0' && *source >= 1
        && *source <= MOST_LENGTH && *target >= 0 && *target <= MOST_LENGTH)
        return 1;
    text[strcspn(text, "\n")] = '\0';
    fprintf(stderr, "bench_translate: %s, line %zu: '%.40s', allowed two counts of tokens, 1 to %d and 0 to %d\n", path,
            number, text, MOST_LENGTH, MOST_LENGTH);
    return 0;
}

int work_read_lengths(const char *path, size_t most, work *w)
{
    char text[LINE_BYTES];
    uint32_t state = SEED;
    int source, target;
    FILE *file = open_lines(path);
    if (file == NULL) return 0;
    while (w->n_lines < most && fgets(text, sizeof text, file) != NULL)
        if (!parse_lengths(path, w->n_lines + 1, text, &source, &target)
            || !add_random_line(w, (size_t)source, target + 1, &state))
            return fclose(file), 0;
    fclose(file);
    return any_lines(path, w);
}

/* Source lengths like those of edited text. */
int work_draw(size_t most, work *w)
{
    uint32_t state = SEED;
    for (size_t i = 0; i < RANDOM_LINES && i < most; i++)
        if (!add_random_line(w, 5 + (draw(&state) >> 16) % 41, FORCED_LENGTH, &state)) return 0;
    return 1;
}

void work_free(work *w)
{
    for (size_t i = 0; i < w->n_lines; i++) {
        free(w->lines[i].text);
        free(w->lines[i].words);
    }
    free(w->lines);
}
