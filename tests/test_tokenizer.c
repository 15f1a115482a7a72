/* test_tokenizer.c - SentencePiece and words behind hdl_tokenizer: goldens, ids, unknown pieces, faults. */
#include "text_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MODEL "tests/data/spm/google_test_model.model"
#define SHIPPED_MODEL "models/en-de/source.spm"

static const char TELESCOPE[] = "I saw a girl with a telescope.";

Test(tokenizer, published_example)
{
    static const int32_t expected[] = {9, 459, 11, 939, 44, 11, 4, 142, 82, 8, 28, 21, 132, 6};
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary vocabulary = fixture_vocabulary(&spm, false);
    hdl_tokenizer *t = fixture_tokenizer(&vocabulary, &spm, NULL, "<unk>");
    int32_t ids[32];
    size_t n = 0;
    cr_assert_eq(hdl_tokenizer_encode(t, TELESCOPE, strlen(TELESCOPE), ids, 32, &n), HDL_OK);
    cr_assert_eq(n, 14);
    for (size_t i = 0; i < n; i++) cr_expect_eq(ids[i], expected[i], "ids[%zu] is %d", i, ids[i]);
    cr_expect_str_eq(hdl_tokenizer_kind(t), "sentencepiece");
    cr_expect_eq(hdl_tokenizer_size(t), 1000);
    cr_expect_str_eq(hdl_tokenizer_token(t, 9), "\xE2\x96\x81I");
    cr_expect_null(hdl_tokenizer_token(t, 1000));
    cr_expect_null(hdl_tokenizer_token(t, -1));
    cr_expect_eq(hdl_tokenizer_id(t, "\xE2\x96\x81I"), 9);
    cr_expect_eq(hdl_tokenizer_id(t, "no such token"), -1);
    char text[64];
    cr_assert_eq(hdl_tokenizer_decode(t, ids, n, text, sizeof text, &n), HDL_OK);
    cr_expect_str_eq(text, TELESCOPE);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&vocabulary);
    hdl__file_close(&spm);
}

/* The vocabulary's order is its own: the pieces must not change, only their ids. */
Test(tokenizer, ids_are_the_vocabularys)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary forwards = fixture_vocabulary(&spm, false), backwards = fixture_vocabulary(&spm, true);
    hdl_tokenizer *a = fixture_tokenizer(&forwards, &spm, NULL, "<unk>");
    hdl_tokenizer *b = fixture_tokenizer(&backwards, &spm, NULL, "<unk>");
    int32_t ids_a[64], ids_b[64];
    size_t n_a = 0, n_b = 0;
    const char *text = "That is a \xE2\x98\x83 test."; /* with a snowman that no piece holds */
    cr_assert_eq(hdl_tokenizer_encode(a, text, strlen(text), ids_a, 64, &n_a), HDL_OK);
    cr_assert_eq(hdl_tokenizer_encode(b, text, strlen(text), ids_b, 64, &n_b), HDL_OK);
    cr_assert_eq(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) cr_expect_eq(ids_a[i], 999 - ids_b[i]);
    char text_a[64], text_b[64];
    cr_assert_eq(hdl_tokenizer_decode(a, ids_a, n_a, text_a, 64, &n_a), HDL_OK);
    cr_assert_eq(hdl_tokenizer_decode(b, ids_b, n_b, text_b, 64, &n_b), HDL_OK);
    cr_expect_str_eq(text_a, "That is a  \xE2\x81\x87  test.");
    cr_expect_str_eq(text_b, text_a);
    hdl__tokenizer_close(a);
    hdl__tokenizer_close(b);
    fixture_free_vocabulary(&forwards);
    fixture_free_vocabulary(&backwards);
    hdl__file_close(&spm);
}

/* A vocabulary that lacks pieces, and one that holds a token which SentencePiece does not know. */
Test(tokenizer, pieces_and_vocabulary_differ)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary v = fixture_words("</s> <unk> \xE2\x96\x81I \xE2\x96\x81saw \xE2\x98\x83 . <pad> \xE2\x96\x81");
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    hdl__str out = {0};
    fixture_segment(t, "I saw a.", 8, &out);
    cr_expect_str_eq(out.data, "\xE2\x96\x81I \xE2\x96\x81saw <unk> .");
    fixture_segment(t, "I \xE2\x98\x83 saw", 9, &out);
    cr_expect_str_eq(out.data, "\xE2\x96\x81I \xE2\x96\x81 \xE2\x98\x83 \xE2\x96\x81saw");
    static const int32_t ids[] = {0, 2, 6, 1, 3, 5, 4, 0};
    char text[64];
    size_t n;
    cr_assert_eq(hdl_tokenizer_decode(t, ids, 8, text, sizeof text, &n), HDL_OK);
    cr_expect_str_eq(text, "I \xE2\x81\x87  saw.\xE2\x98\x83");
    hdl__str_free(&out);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}

/* Text that looks like a control token is text. */
Test(tokenizer, text_makes_no_control_tokens)
{
    hdl__vocabulary v = fixture_words("</s> <s> <unk> a <pad>");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, NULL, "<unk>");
    hdl__str out = {0};
    fixture_segment(t, "a </s> <s> a <pad> <unk>", 24, &out);
    cr_expect_str_eq(out.data, "a <unk> <unk> a <unk> <unk>");
    cr_expect_eq(hdl_tokenizer_id(t, "</s>"), 0, "but --tokens may name them");
    hdl__str_free(&out);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}

static void check_golden_line(const hdl_tokenizer *t, const char *line, size_t n, size_t number)
{
    const char *tab = memchr(line, '\t', n), *tab2 = memchr(tab + 1, '\t', n - (size_t)(tab + 1 - line));
    int32_t ids[512];
    size_t n_ids = 0, n_text = 0, k = 0;
    char text[2048];
    cr_assert_eq(hdl_tokenizer_encode(t, line, (size_t)(tab - line), ids, 512, &n_ids), HDL_OK);
    char *at = (char *)(uintptr_t)(tab + 1);
    while (at < tab2) {
        int32_t expected = (int32_t)strtol(at, &at, 10);
        if (k < n_ids && ids[k] != expected)
            cr_assert_fail("line %zu: id %zu is %d, not %d", number, k, ids[k], expected);
        k++;
    }
    cr_expect_eq(n_ids, k, "line %zu: %zu ids, not %zu", number, n_ids, k);
    cr_assert_eq(hdl_tokenizer_decode(t, ids, n_ids, text, sizeof text, &n_text), HDL_OK);
    size_t n_expected = n - (size_t)(tab2 + 1 - line);
    cr_expect(n_text == n_expected && memcmp(text, tab2 + 1, n_text) == 0, "line %zu: \"%s\", not \"%.*s\"", number,
              text, (int)n_expected, tab2 + 1);
}

/* Made by the sentencepiece package (tests/peers/make_spm_golden.py). */
Test(tokenizer, sentencepiece_goldens)
{
    hdl__file spm = fixture_open(SHIPPED_MODEL), golden = fixture_open("tests/data/text/spm_golden.tsv");
    hdl__vocabulary v = fixture_vocabulary(&spm, false);
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    size_t at = 0, n, number = 0;
    const char *line;
    while (fixture_line(&golden, &at, &line, &n)) check_golden_line(t, line, n, ++number);
    cr_expect_eq(number, 216);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&golden);
    hdl__file_close(&spm);
}

Test(tokenizer, newstest_pieces)
{
    hdl__file spm, text, expected;
    if (!fixture_open_data("spm/wmtende.model", &spm)) return;
    fixture_open_data("text/newstest2017/newstest2017-ende.en", &text);
    fixture_open_data("spm/newstest2017.first1000.pieces.en", &expected);
    hdl__vocabulary v = fixture_vocabulary(&spm, true);
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    hdl__str out = {0};
    size_t at_text = 0, at_expected = 0, n, n_wanted, number = 0, equal = 0;
    const char *line, *wanted;
    while (fixture_line(&expected, &at_expected, &wanted, &n_wanted) && fixture_line(&text, &at_text, &line, &n)) {
        fixture_segment(t, line, n, &out);
        bool same = out.n == n_wanted && memcmp(out.data, wanted, n_wanted) == 0;
        cr_expect(same, "line %zu: %s, not %.*s", number + 1, out.data, (int)n_wanted, wanted);
        equal += same;
        number++;
    }
    printf("newstest2017: %zu of %zu lines equal\n", equal, number);
    cr_expect_eq(number, 1000);
    hdl__str_free(&out);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
    hdl__file_close(&text);
    hdl__file_close(&expected);
}

Test(tokenizer, words)
{
    hdl__vocabulary v = fixture_words("a b <unk> c");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, NULL, "<unk>");
    int32_t ids[8] = {-5, -5, -5, -5, -5, -5, -5, -5};
    size_t n = 99;
    const char *text = " a\tb\xE3\x80\x80zz\xE2\x80\xA8"
                       "c ";
    cr_assert_eq(hdl_tokenizer_encode(t, text, strlen(text), ids, 2, &n), HDL_OK);
    cr_expect_eq(n, 4);
    cr_expect(ids[0] == 0 && ids[1] == 1 && ids[2] == -5, "only the capacity is written");
    cr_assert_eq(hdl_tokenizer_encode(t, text, strlen(text), ids, 8, &n), HDL_OK);
    cr_expect(ids[2] == 2 && ids[3] == 3 && ids[4] == -5);
    cr_expect_str_eq(hdl_tokenizer_kind(t), "words");
    char out[12];
    memset(out, '#', sizeof out);
    cr_assert_eq(hdl_tokenizer_decode(t, ids, 4, out, 9, &n), HDL_OK);
    cr_expect(n == 9 && out[0] == '#', "%zu bytes and NUL do not fit into 9", n);
    cr_assert_eq(hdl_tokenizer_decode(t, ids, 4, out, 10, &n), HDL_OK);
    cr_expect_str_eq(out, "a b \xE2\x81\x87 c");
    cr_assert_eq(hdl_tokenizer_decode(t, ids, 0, out, 10, &n), HDL_OK);
    cr_expect(n == 0 && out[0] == '\0');
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}

Test(tokenizer, refusals)
{
    hdl__vocabulary v = fixture_words("a b <unk> c");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, NULL, "<unk>"), *none = NULL;
    int32_t ids[2] = {0, 4};
    size_t n = 99;
    char text[8];
    cr_expect_eq(hdl_tokenizer_encode(t, "a\xFF", 2, ids, 2, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_encode(t, NULL, 2, ids, 2, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_encode(t, "a", 1, NULL, 2, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_encode(NULL, "a", 1, ids, 2, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_decode(t, ids, 2, text, 8, &n), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "ids[1] is 4") != NULL, "%s", hdl_error_detail());
    ids[1] = -1;
    cr_expect_eq(hdl_tokenizer_decode(t, ids, 2, text, 8, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_decode(t, NULL, 2, text, 8, &n), HDL_EINVAL);
    cr_expect_eq(hdl_tokenizer_decode(t, ids, 1, NULL, 8, &n), HDL_EINVAL);
    cr_expect_eq(n, 99, "results are untouched on failure");
    hdl__tokenizer_source source = {.vocabulary = &v, .unknown_id = 4};
    cr_expect_eq(hdl__tokenizer_open(&source, &none), HDL_EFORMAT);
    cr_expect_null(none);
    hdl__tokenizer_close(NULL);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}

Test(tokenizer, twin_shares_the_segmenter)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    uint8_t *copy = hdl__calloc(spm.n, 1);
    memcpy(copy, spm.data, spm.n);
    hdl__file other = {copy, spm.n, 0, 0};
    hdl__vocabulary v = fixture_vocabulary(&spm, false);
    hdl_tokenizer *a = fixture_tokenizer(&v, &spm, NULL, "<unk>"), *b = NULL, *c = NULL;
    hdl__tokenizer_source source = {.vocabulary = &v, .spm = &other, .twin = a, .unknown_id = 0};
    uint64_t before = hdl__alloc_count();
    cr_assert_eq(hdl__tokenizer_open(&source, &b), HDL_OK);
    uint64_t shared = hdl__alloc_count() - before;
    copy[spm.n - 1] ^= 1; /* another file now: read again, and perhaps refused */
    before = hdl__alloc_count();
    if (hdl__tokenizer_open(&source, &c) == HDL_OK) hdl__tokenizer_close(c);
    cr_expect_gt(hdl__alloc_count() - before, shared);
    hdl__tokenizer_close(a);
    hdl__free(copy);
    hdl__str out = {0};
    fixture_segment(b, TELESCOPE, strlen(TELESCOPE), &out); /* the segmenter outlives its first owner */
    cr_expect(out.n > 0 && strstr(out.data, "<unk>") == NULL);
    hdl__str_free(&out);
    hdl__tokenizer_close(b);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}

/* What an unknown id stood for, and how a copied source word is shown. */
Test(tokenizer, pieces_by_name)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary v = fixture_words("</s> <unk> \xE2\x96\x81I \xE2\x96\x81saw");
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    hdl__str pieces = {0}, text = {0};
    static const char expected[] = "\xE2\x96\x81I\0\xE2\x96\x81saw\0\xE2\x96\x81\0\xE2\x98\x83";
    cr_assert_eq(hdl__tokenizer_pieces(t, "I saw \xE2\x98\x83", 9, &pieces), HDL_OK);
    cr_expect(pieces.n == sizeof expected && memcmp(pieces.data, expected, sizeof expected) == 0);
    static const char *const tokens[] = {"</s>", "\xE2\x96\x81I", "<unk>", "\xE2\x98\x83", "\xE2\x96\x81saw"};
    cr_assert_eq(hdl__tokenizer_decode_tokens(t, tokens, 5, &text), HDL_OK);
    cr_expect_str_eq(text.data, "I \xE2\x81\x87 \xE2\x98\x83 saw");
    hdl__str_free(&pieces);
    hdl__str_free(&text);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}

/* U+0000 is valid UTF-8; no token holds it. */
Test(tokenizer, nul_in_text)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary v = fixture_vocabulary(&spm, false), words = fixture_words("a <unk>");
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>"), *w = fixture_tokenizer(&words, NULL, NULL, NULL);
    int32_t ids[8];
    size_t n = 0;
    cr_expect_eq(hdl_tokenizer_encode(t, "I\0I", 3, ids, 8, &n), HDL_OK);
    cr_expect_gt(n, 0);
    cr_expect_eq(hdl_tokenizer_encode(w, "a\0 a", 4, ids, 8, &n), HDL_OK);
    cr_expect(n == 2 && ids[0] == 1 && ids[1] == 0);
    hdl__tokenizer_close(t);
    hdl__tokenizer_close(w);
    fixture_free_vocabulary(&v);
    fixture_free_vocabulary(&words);
    hdl__file_close(&spm);
}

/* Every allocation of the C side fails once, reported as such; nothing leaks (the sanitizer looks). */
Test(tokenizer, every_allocation_fails_once)
{
    hdl__file spm = fixture_open(SMALL_MODEL);
    hdl__vocabulary v = fixture_vocabulary(&spm, false);
    int failures = 0;
    for (uint64_t k = 1;; k++) {
        hdl__tokenizer_source source = {.vocabulary = &v, .spm = &spm, .file_name = "source.spm"};
        hdl_tokenizer *t = NULL;
        int32_t ids[32];
        char text[64];
        size_t n = 0;
        hdl__alloc_fail_at(k);
        hdl_status status = hdl__tokenizer_open(&source, &t);
        if (status == HDL_OK) status = hdl_tokenizer_encode(t, TELESCOPE, strlen(TELESCOPE), ids, 32, &n);
        if (status == HDL_OK) status = hdl_tokenizer_decode(t, ids, n, text, sizeof text, &n);
        hdl__alloc_fail_at(0);
        hdl__tokenizer_close(t);
        if (status == HDL_OK) break;
        cr_assert_eq(status, HDL_ENOMEM, "allocation %d: %s: %s", (int)k, hdl_status_name(status),
                     hdl_error_detail());
        failures++;
    }
    cr_expect_geq(failures, 10);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}
