/* test_bpe.c - subword-nmt: the published corpus, both versions, small cases worked by hand, a slow reference. */
#include "text_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every piece that a corpus' reference segmentation holds, sorted; the unknown token last. */
static int compare_words(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static hdl__vocabulary corpus_vocabulary(const hdl__file *corpus)
{
    hdl__str all = {0};
    hdl__str_add(&all, (const char *)corpus->data, corpus->n);
    for (size_t i = 0; i < all.n; i++) {
        if (all.data[i] == '\n') all.data[i] = ' ';
    }
    hdl__vocabulary v = fixture_words(all.data);
    qsort(v.tokens, (size_t)v.n, sizeof v.tokens[0], compare_words);
    int32_t n = 0;
    for (int32_t i = 0; i < v.n; i++) {
        if (n > 0 && strcmp(v.tokens[n - 1], v.tokens[i]) == 0)
            hdl__free(v.tokens[i]);
        else
            v.tokens[n++] = v.tokens[i];
    }
    v.n = n;
    v.tokens[v.n++] = hdl__strdup("<unk>");
    hdl__str_free(&all);
    return v;
}

Test(bpe, published_corpus)
{
    hdl__file codes = fixture_open("tests/data/bpe/bpe.ref"), text = fixture_open("tests/data/bpe/corpus.en");
    hdl__file expected = fixture_open("tests/data/bpe/corpus.bpe.ref.en");
    hdl__vocabulary v = corpus_vocabulary(&expected);
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, &codes, NULL);
    hdl__str out = {0};
    size_t at_text = 0, at_expected = 0, n, n_wanted, number = 0, equal = 0;
    const char *line, *wanted;
    while (fixture_line(&expected, &at_expected, &wanted, &n_wanted) && fixture_line(&text, &at_text, &line, &n)) {
        fixture_segment(t, line, n, &out);
        /* the corpus keeps double spaces, the pieces are the same */
        equal += out.n == n_wanted && memcmp(out.data, wanted, n_wanted) == 0;
        cr_expect(out.n == n_wanted && memcmp(out.data, wanted, n_wanted) == 0, "line %zu: %s, not %.*s",
                  number + 1, out.data, (int)n_wanted, wanted);
        number++;
    }
    cr_expect_eq(number, 1015);
    cr_expect_eq(equal, 1015);
    cr_expect_str_eq(hdl_tokenizer_kind(t), "bpe");
    hdl__str_free(&out);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&codes);
    hdl__file_close(&text);
    hdl__file_close(&expected);
}

typedef struct bpe_row {
    const char *codes, *text, *pieces;
} bpe_row;

#define V2 "#version: 0.2\n"

static const bpe_row ROWS[] = {
    {V2 "a b\nab c</w>\n", "abc", "abc"},
    {V2 "a b\nab c</w>\n", "ab", "a@@ b"},  /* "b</w>" is another symbol than "b" */
    {V2 "b c</w>\na b\n", "abc", "a@@ bc"}, /* priority, not position */
    {V2 "a b\nb c</w>\n", "abc", "ab@@ c"},
    {V2 "x x\n", "xxxxx", "xx@@ xx@@ x"}, /* overlapping pairs: left to right */
    {V2 "x x\n", "xxxx", "xx@@ x@@ x"},   /* the last is "x</w>" */
    {V2 "x x\nxx xx\n", "xxxxxxxxx", "xxxx@@ xxxx@@ x"},
    {V2 "ab c\na b\n", "abcabc", "abc@@ ab@@ c"}, /* a merge listed before the one it builds on */
    {V2 "a b\na b\n", "abz", "ab@@ z"},
    {V2 "a b\n", "a", "a"}, /* one character is never looked up */
    {V2 "a b\n", "  a   ab  ", "a a@@ b"},
    {V2 "\xC3\xA4 \xC3\xB6</w>\n", "\xC3\xA4\xC3\xB6 \xC3\xB6\xC3\xA4", "\xC3\xA4\xC3\xB6 \xC3\xB6@@ \xC3\xA4"},
    {V2 "a b\n", "a\tb", "a@@ \t@@ b"}, /* only U+0020 parts words */
    {"#version: 0.2.0\na b</w>", "ab", "ab"},
    {"#version: 0.2\r\na b</w>\r\n", "ab", "ab"},
    {"a b\nab </w>\n", "ab", "ab"}, /* 0.1: the end of the word is a symbol */
    {"a b\n", "ab", "ab"},
    {"b </w>\na b</w>\n", "ab", "ab"},
    {"a b\nc </w>\n", "abc abx", "ab@@ c ab@@ x"},
    {"#version: 0.1\nx x\n", "xxx", "xx@@ x"},
};

/* The procedure of the paper, as slow as it reads: find the best pair of the word, merge all of it, again. */
typedef struct slow_word {
    char part[80][90];
    int n;
} slow_word;

static int find_rank(const char *codes, const char *left, const char *right)
{
    char wanted[256];
    int rank = 0;
    snprintf(wanted, sizeof wanted, "%s %s", left, right);
    for (const char *line = codes; *line != '\0'; rank++) {
        size_t n = strcspn(line, "\n");
        size_t shown = n > 0 && line[n - 1] == '\r' ? n - 1 : n;
        if (strlen(wanted) == shown && memcmp(line, wanted, shown) == 0) return rank;
        line += n + (line[n] == '\n');
    }
    return 1 << 30;
}

static void merge_slowly(const char *codes, slow_word *w)
{
    for (;;) {
        int best = 1 << 30, at = -1;
        for (int i = 0; i + 1 < w->n; i++) {
            int rank = find_rank(codes, w->part[i], w->part[i + 1]);
            if (rank < best) best = rank, at = i;
        }
        if (at < 0) return;
        char left[90], right[90];
        strcpy(left, w->part[at]);
        strcpy(right, w->part[at + 1]);
        int n = 0;
        for (int i = 0; i < w->n; i++) {
            bool hit = i + 1 < w->n && strcmp(w->part[i], left) == 0 && strcmp(w->part[i + 1], right) == 0;
            char made[180];
            snprintf(made, sizeof made, "%s%s", w->part[i], hit ? w->part[i + 1] : "");
            snprintf(w->part[n++], sizeof w->part[0], "%.89s", made);
            i += hit;
        }
        w->n = n;
    }
}

static void segment_slowly(const char *codes, bool version_1, const char *word, hdl__str *out)
{
    slow_word w = {.n = 0};
    size_t length = strlen(word);
    for (size_t i = 0; i < length; i++) {
        snprintf(w.part[w.n++], sizeof w.part[0], "%c%s", word[i], i + 1 == length && !version_1 ? "</w>" : "");
    }
    if (version_1) strcpy(w.part[w.n++], "</w>");
    if (length > 1) merge_slowly(codes, &w);
    char *last = w.part[w.n - 1];
    if (strcmp(last, "</w>") == 0)
        w.n--;
    else if (strlen(last) > 4 && strcmp(last + strlen(last) - 4, "</w>") == 0)
        last[strlen(last) - 4] = '\0';
    for (int i = 0; i < w.n; i++) {
        if (out->n > 0) hdl__str_puts(out, " ");
        hdl__str_puts(out, w.part[i]);
        if (i + 1 < w.n) hdl__str_puts(out, "@@");
    }
}

/* A tokenizer whose vocabulary is exactly the pieces expected. */
static void check_row(const char *codes, const char *text, const char *pieces)
{
    hdl__file bpe = {(const uint8_t *)codes, strlen(codes), 0, 0};
    hdl__str with_unknown = {0}, out = {0};
    hdl__str_puts(&with_unknown, pieces);
    hdl__str_puts(&with_unknown, " <unk>");
    hdl__vocabulary v = fixture_words(with_unknown.data);
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, &bpe, NULL);
    fixture_segment(t, text, strlen(text), &out);
    cr_expect_str_eq(out.data, pieces, "codes %s text %s: %s, not %s", codes, text, out.data, pieces);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__str_free(&out);
    hdl__str_free(&with_unknown);
}

Test(bpe, small_cases)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        check_row(ROWS[i].codes, ROWS[i].text, ROWS[i].pieces);
}

/* Random rules over three letters, in both versions, words from short to longer than the stack holds. */
Test(bpe, random_rules_against_the_slow_procedure)
{
    unsigned seed = 97531;
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 400; round++) {
        bool version_1 = round % 2 == 0;
        char rules[2048] = "", word[80], symbols[24][90] = {"a", "b", "c", "a</w>", "b</w>", "</w>"};
        int n_symbols = 6, n_rules = 4 + rand() % 14;
        for (int k = 0; k < n_rules; k++) {
            const char *left = symbols[rand() % n_symbols], *right = symbols[rand() % n_symbols];
            if (strstr(left, "</w>") != NULL || strlen(left) + strlen(right) > 12) continue;
            char line[200];
            snprintf(line, sizeof line, "%s %s\n", left, right);
            strcat(rules, line);
            char made[90];
            snprintf(made, sizeof made, "%.40s%.40s", left, right);
            strcpy(symbols[n_symbols++], made);
        }
        size_t length = 1 + (size_t)(rand() % (round % 5 == 0 ? 75 : 12));
        for (size_t i = 0; i < length; i++) word[i] = (char)('a' + rand() % 3);
        word[length] = '\0';
        hdl__str expected = {0}, codes = {0};
        segment_slowly(rules, version_1, word, &expected);
        hdl__str_puts(&codes, version_1 ? "#version: 0.1\n" : V2);
        hdl__str_puts(&codes, rules);
        check_row(codes.data, word, expected.data);
        hdl__str_free(&expected);
        hdl__str_free(&codes);
    }
}

Test(bpe, decoding)
{
    hdl__vocabulary v = fixture_words("a@@ b c@@ <unk> </s> d");
    hdl__file bpe = {(const uint8_t *)V2 "a b\n", strlen(V2 "a b\n"), 0, 0};
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, &bpe, "<unk>");
    static const struct {
        int32_t ids[6];
        size_t n;
        const char *text;
    } rows[] = {
        {{0, 1, 5}, 3, "ab d"}, {{0, 2, 1, 4}, 4, "acb"}, {{5, 2}, 2, "d c"}, {{0, 3, 5}, 3, "a\xE2\x81\x87 d"},
        {{4}, 1, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        size_t n;
        cr_assert_eq(hdl_tokenizer_decode(t, rows[i].ids, rows[i].n, text, sizeof text, &n), HDL_OK);
        cr_expect_str_eq(text, rows[i].text, "row %zu: %s", i, text);
    }
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}

Test(bpe, bad_codes)
{
    static const struct {
        const char *codes;
        const char *says;
    } rows[] = {
        {"", "empty"},
        {V2 "ab\n", "line 2"},
        {V2 "a b\n\n", "line 3"},
        {V2 "a b c\n", "line 2"},
        {V2 "a  b\n", "line 2"},
        {"#version: 0.3\n", "version 0.3"},
        {"#version:\n", "version"},
        {V2 "\xFF b\n", "UTF-8"},
        {V2 " \n", "line 2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl__segmenter *segmenter = NULL;
        hdl_status status =
            hdl__bpe_open((const uint8_t *)rows[i].codes, strlen(rows[i].codes), "bpe.codes", &segmenter);
        cr_expect_eq(status, HDL_EFORMAT, "row %zu", i);
        cr_expect_null(segmenter);
        cr_expect(strstr(hdl_error_detail(), rows[i].says) != NULL &&
                      strncmp(hdl_error_detail(), "bpe.codes: ", 11) == 0,
                  "row %zu: %s", i, hdl_error_detail());
    }
}

Test(bpe, long_word_is_quick)
{
    enum { N = 200000 };
    char *word = malloc(N);
    for (size_t i = 0; i < N; i++) word[i] = (char)('a' + i % 2);
    hdl__file bpe = {(const uint8_t *)V2 "a b\nab ab\nabab abab\n", strlen(V2 "a b\nab ab\nabab abab\n"), 0, 0};
    hdl__vocabulary v = fixture_words("abababab@@ <unk>");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, &bpe, NULL);
    size_t n = 0;
    cr_assert_eq(hdl_tokenizer_encode(t, word, N, NULL, 0, &n), HDL_OK);
    cr_expect_eq(n, N / 8 + 3, "the last eight hold the end of the word: %zu", n);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    free(word);
}

Test(bpe, every_allocation_fails_once)
{
    char text[400];
    memset(text, 'a', sizeof text);
    hdl__file bpe = {(const uint8_t *)V2 "a b\nab c\n", strlen(V2 "a b\nab c\n"), 0, 0};
    hdl__vocabulary v = fixture_words("a@@ a <unk>");
    for (uint64_t k = 1, failures = 0;; k++, failures++) {
        hdl__tokenizer_source source = {.vocabulary = &v, .bpe = &bpe, .unknown_id = 2};
        hdl_tokenizer *t = NULL;
        size_t n = 0;
        hdl__alloc_fail_at(k);
        hdl_status status = hdl__tokenizer_open(&source, &t);
        if (status == HDL_OK) status = hdl_tokenizer_encode(t, text, sizeof text, NULL, 0, &n);
        hdl__alloc_fail_at(0);
        hdl__tokenizer_close(t);
        if (status == HDL_OK) {
            cr_expect_geq(failures, 8);
            break;
        }
        cr_assert_eq(status, HDL_ENOMEM, "allocation %d: %s", (int)k, hdl_error_detail());
    }
    fixture_free_vocabulary(&v);
}
