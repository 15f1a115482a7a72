/* text_fixture.c - what the text tests share. */
#include "text_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

hdl__file fixture_open(const char *path)
{
    char full[4096];
    hdl__file file = {0};
    snprintf(full, sizeof full, "%s/%s", HEDDLE_SOURCE_DIR, path);
    cr_assert_eq(hdl__file_open(full, &file), HDL_OK, "%s", hdl_error_detail());
    return file;
}

bool fixture_open_data(const char *path, hdl__file *out)
{
    char full[4096];
    if (HEDDLE_TEST_DATA[0] == '\0') {
        printf("skipped: %s needs HEDDLE_TEST_DATA\n", path);
        return false;
    }
    snprintf(full, sizeof full, "%s/%s", HEDDLE_TEST_DATA, path);
    cr_assert_eq(hdl__file_open(full, out), HDL_OK, "%s", hdl_error_detail());
    return true;
}

bool fixture_line(const hdl__file *file, size_t *at, const char **line, size_t *n)
{
    if (*at >= file->n) return false;
    *line = (const char *)file->data + *at;
    const char *feed = memchr(*line, '\n', file->n - *at);
    *n = feed == NULL ? file->n - *at : (size_t)(feed - *line);
    *at += *n + 1;
    return true;
}

hdl__vocabulary fixture_vocabulary(const hdl__file *spm, bool backwards)
{
    hdl__segmenter *segmenter = NULL;
    cr_assert_eq(hdl__spm_open(spm->data, spm->n, "fixture", &segmenter), HDL_OK, "%s", hdl_error_detail());
    int32_t n = segmenter->n_pieces;
    hdl__vocabulary made = {hdl__calloc((size_t)n, sizeof(char *)), n};
    for (int32_t i = 0; i < n; i++) {
        made.tokens[backwards ? n - 1 - i : i] = hdl__strdup(segmenter->piece(segmenter, i));
    }
    hdl__segmenter_release(segmenter);
    return made;
}

hdl__vocabulary fixture_words(const char *words)
{
    hdl__vocabulary made = {hdl__calloc(strlen(words) + 1, sizeof(char *)), 0};
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        made.tokens[made.n++] = hdl__strndup(words, n);
        words += n + (words[n] == ' ');
    }
    return made;
}

void fixture_free_vocabulary(hdl__vocabulary *vocabulary)
{
    for (int32_t i = 0; i < vocabulary->n; i++) hdl__free(vocabulary->tokens[i]);
    hdl__free(vocabulary->tokens);
    *vocabulary = (hdl__vocabulary){0};
}

int32_t fixture_id(const hdl__vocabulary *vocabulary, const char *token)
{
    for (int32_t i = 0; i < vocabulary->n; i++) {
        if (strcmp(vocabulary->tokens[i], token) == 0) return i;
    }
    return -1;
}

hdl_tokenizer *fixture_tokenizer(const hdl__vocabulary *vocabulary, const hdl__file *spm, const hdl__file *bpe,
                                 const char *unknown)
{
    static const char *const controls[] = {"<s>", "</s>", "<pad>"};
    int32_t control_ids[3], n = 0;
    for (size_t i = 0; i < 3; i++) {
        int32_t id = fixture_id(vocabulary, controls[i]);
        if (id >= 0) control_ids[n++] = id;
    }
    hdl_tokenizer *made = NULL;
    hdl__tokenizer_source source = {.vocabulary = vocabulary,
                                    .spm = spm,
                                    .bpe = bpe,
                                    .file_name = "fixture",
                                    .control_ids = control_ids,
                                    .n_control = n,
                                    .unknown_id =
                                        unknown == NULL ? vocabulary->n - 1 : fixture_id(vocabulary, unknown)};
    cr_assert_eq(hdl__tokenizer_open(&source, &made), HDL_OK, "%s", hdl_error_detail());
    return made;
}

void fixture_segment(const hdl_tokenizer *tokenizer, const char *text, size_t n, hdl__str *out)
{
    size_t n_ids = 0;
    int32_t *ids = hdl__calloc(n + 8, sizeof *ids);
    cr_assert_eq(hdl_tokenizer_encode(tokenizer, text, n, ids, n + 8, &n_ids), HDL_OK, "%s", hdl_error_detail());
    cr_assert_leq(n_ids, n + 8);
    hdl__str_clear(out);
    hdl__str_add(out, "", 0);
    for (size_t i = 0; i < n_ids; i++) {
        if (i > 0) hdl__str_puts(out, " ");
        hdl__str_puts(out, hdl_tokenizer_token(tokenizer, ids[i]));
    }
    hdl__free(ids);
}
