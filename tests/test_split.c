/* test_split.c - where lines are cut: sentence ends in several languages, limits, and what must never be lost. */
#include "text/char_class.h"
#include "text_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Text that holds white space which ends no line; the rest stands in tests/data/text/split_sentences.txt. A row is the
 * line with its pieces parted by '|'; a piece glued to the one before it by '~'. */
static const char *const ROWS[] = {
    "One\xE2\x80\xA8two. |Three\x0B"
    "four.\xC2\x85|Five.",
    "One.\x0C|Two.",
    "\xC2\xA0One.\xE3\x80\x80|Two.\xE2\x80\xAF",
    "  Spaces.   |Around.  ",
    "",
    "   ",
};

static void expect_pieces(const char *name, const hdl__pieces *pieces, const char *line, size_t n,
                          const char *expected)
{
    hdl__str found = {0};
    hdl__str_add(&found, "", 0);
    for (size_t i = 0; i < pieces->n; i++) {
        hdl__piece p = pieces->items[i];
        cr_assert(p.begin < p.end && p.end <= n);
        if (i > 0) hdl__str_puts(&found, p.glued ? "~" : "|");
        hdl__str_add(&found, line + p.begin, p.end - p.begin);
    }
    cr_expect_str_eq(found.data, expected, "%s: found %s, expected %s", name, found.data, expected);
    hdl__str_free(&found);
}

/* "Hello. |How?" to the line "Hello. How?" and the expectation "Hello.|How?". */
static void read_row(const char *row, hdl__str *line, hdl__str *expected)
{
    hdl__str_clear(line);
    hdl__str_clear(expected);
    hdl__str_add(line, "", 0);
    hdl__str_add(expected, "", 0);
    size_t pending = 0, n = strlen(row);
    for (size_t i = 0; i < n;) {
        int length;
        uint32_t c = hdl__utf8_decode(row + i, n - i, &length);
        bool parts = c == '|' || c == '~';
        if (!parts) hdl__str_add(line, row + i, (size_t)length);
        if (hdl__char_is_space(c)) {
            pending += (size_t)length;
        } else {
            if (!parts && expected->n > 0) hdl__str_add(expected, row + i - pending, pending);
            if (!parts || i + 1 < n) hdl__str_add(expected, row + i, (size_t)length);
            pending = 0;
        }
        i += (size_t)length;
    }
}

static void check_sentences(const char *row)
{
    hdl__str line = {0}, expected = {0};
    hdl__pieces pieces = {0};
    read_row(row, &line, &expected);
    cr_assert_eq(hdl__split_line(NULL, line.data, line.n, HDL__SPLIT_SENTENCES, 0, &pieces), HDL_OK);
    expect_pieces("sentences", &pieces, line.data, line.n, expected.data);
    hdl__str_free(&line);
    hdl__str_free(&expected);
    hdl__pieces_free(&pieces);
}

Test(split, sentences)
{
    hdl__file file = fixture_open("tests/data/text/split_sentences.txt");
    size_t at = 0, n, n_rows = 0;
    const char *line;
    while (fixture_line(&file, &at, &line, &n)) {
        if (n == 0 || line[0] == '#') continue;
        char *row = hdl__strndup(line, n);
        check_sentences(row);
        hdl__free(row);
        n_rows++;
    }
    cr_expect_geq(n_rows, 100, "%zu rows", n_rows);
    hdl__file_close(&file);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) check_sentences(ROWS[i]);
}

typedef struct limit_row {
    hdl__split how;
    int32_t max_tokens;
    const char *row;
} limit_row;

/* One token a word. */
Test(split, limits)
{
    static const limit_row rows[] = {
        {HDL__SPLIT_NEVER, 2, " One two. Three four, five six. "},
        {HDL__SPLIT_LONG, 0, "One two. Three four."},
        {HDL__SPLIT_LONG, 4, "One two. Three four."}, /* fits: not cut */
        {HDL__SPLIT_LONG, 3, "One two. |Three four."},
        {HDL__SPLIT_LONG, 4, "One two. Three four. |Five six."}, /* neighbours joined again */
        {HDL__SPLIT_LONG, 4, "One two. |Three four five. |Six seven. Eight."},
        {HDL__SPLIT_LONG, 3, "One, two three, |four five six. |Seven."},
        {HDL__SPLIT_LONG, 3, "One two; |three four: |five six, |seven eight nine"},
        {HDL__SPLIT_LONG, 4, "One \"two,\" |three four five. Six."},
        {HDL__SPLIT_LONG, 3, "One two three |four five six |seven. Eight."},
        {HDL__SPLIT_LONG, 2, "Pay 1,000 |at 12:30 |or 3.5 |now"}, /* no cut inside numbers */
        {HDL__SPLIT_LONG, 1, "One |two"},
        {HDL__SPLIT_SENTENCES, 4, "One two. |Three four. |Five."},
        {HDL__SPLIT_SENTENCES, 2,
         "One two. |Three, |four five |six. |Seven."}, /* not joined over the sentence end */
        {HDL__SPLIT_SENTENCES, 3, "One, two, three. |Four."},
        {HDL__SPLIT_SENTENCES, 2, "One, two, |three. |Four."},
        {HDL__SPLIT_LONG, 5, ""},
        {HDL__SPLIT_SENTENCES, 5, "  \xE3\x80\x80"},
        {HDL__SPLIT_NEVER, 5, " "},
    };
    hdl__vocabulary v = fixture_words("<unk>");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, NULL, NULL);
    hdl__str line = {0}, expected = {0};
    hdl__pieces pieces = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        read_row(rows[i].row, &line, &expected);
        cr_assert_eq(hdl__split_line(t, line.data, line.n, rows[i].how, rows[i].max_tokens, &pieces), HDL_OK);
        expect_pieces("limits", &pieces, line.data, line.n, expected.data);
    }
    hdl__str_free(&line);
    hdl__str_free(&expected);
    hdl__pieces_free(&pieces);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}

static bool same_without_space(const char *line, size_t n, const hdl__pieces *pieces)
{
    size_t at = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        hdl__piece p = pieces->items[i];
        if (!hdl__text_is_blank(line + at, p.begin - at) || p.begin >= p.end) return false;
        if (p.glued != (i > 0 && p.begin == at)) return false;
        int length;
        size_t before;
        if (hdl__char_is_space(hdl__utf8_decode(line + p.begin, n - p.begin, &length))) return false;
        if (hdl__char_is_space(hdl__char_before(line, p.end, &before))) return false;
        at = p.end;
    }
    return hdl__text_is_blank(line + at, n - at);
}

/* Random lines of words, marks and scripts: no character but white space lies outside the pieces; no piece is longer
 * than the limit unless it is one character. */
Test(split, nothing_is_lost)
{
    static const char *const parts[] = {
        " ",
        " ",
        " ",
        "a",
        "Tom",
        "the",
        ". ",
        ".",
        ", ",
        "? ",
        "\xE3\x80\x82",
        "\xE4\xBD\xA0",
        "\xEF\xBC\x8C",
        "\xE3\x80\x8C",
        "\xE3\x80\x8D",
        "\"",
        "(",
        ") ",
        "Mr. ",
        "3",
        "e\xCC\x81",
        "\xE2\x80\xA6 ",
        "\xC2\xA0",
        "\xF0\x9F\x98\x80",
        "superlongword",
        "\xE2\x80\xA8",
        "; ",
        ": ",
        "-",
        "U.S. ",
        "\xC2\xBB ",
        "\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81"};
    unsigned seed = 424242;
    printf("seed %u\n", seed);
    srand(seed);
    hdl__file spm = fixture_open("models/en-de/source.spm");
    hdl__vocabulary v = fixture_vocabulary(&spm, false);
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    hdl__str line = {0};
    hdl__pieces pieces = {0};
    for (int round = 0; round < 1500; round++) {
        int n_parts = rand() % (round % 10 == 0 ? 300 : 40);
        int32_t limit = 2 + rand() % 20;
        hdl__str_clear(&line);
        hdl__str_add(&line, "", 0);
        while (n_parts-- > 0) hdl__str_puts(&line, parts[(size_t)rand() % (sizeof parts / sizeof parts[0])]);
        for (hdl__split how = HDL__SPLIT_LONG; how <= HDL__SPLIT_NEVER; how++) {
            cr_assert_eq(hdl__split_line(t, line.data, line.n, how, limit, &pieces), HDL_OK);
            cr_assert(same_without_space(line.data, line.n, &pieces), "round %d: %s", round, line.data);
            for (size_t i = 0; how != HDL__SPLIT_NEVER && i < pieces.n; i++) {
                hdl__piece p = pieces.items[i];
                size_t n_tokens = 0, n_starts = 0;
                cr_assert_eq(hdl_tokenizer_encode(t, line.data + p.begin, p.end - p.begin, NULL, 0, &n_tokens),
                             HDL_OK);
                int length;
                for (size_t k = p.begin; k < p.end; k += (size_t)length) {
                    n_starts += !hdl__char_is_extender(hdl__utf8_decode(line.data + k, p.end - k, &length));
                }
                cr_assert(n_tokens <= (size_t)limit || n_starts <= 1, "round %d: %zu tokens of %d: %.*s", round,
                          n_tokens, limit, (int)(p.end - p.begin), line.data + p.begin);
            }
        }
    }
    hdl__str_free(&line);
    hdl__pieces_free(&pieces);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}

/* Long lines that hold nothing to cut at, or nothing but places to cut at, take time in proportion. */
Test(split, huge_lines)
{
    enum { MOST = 100000, SHORT = 20000 };
    static const char *const units[] = {"word ", "\xE4\xBD\xA0", "x",  "a, ",  "A. ", "\xE3\x80\x8C",
                                        "?",     "\xCC\x81",     "(.", "Mr. ", "1. ", "\xC2\xBB "};
    hdl__file spm = fixture_open("models/en-de/source.spm");
    hdl__vocabulary v = fixture_vocabulary(&spm, false);
    hdl_tokenizer *t = fixture_tokenizer(&v, &spm, NULL, "<unk>");
    hdl__pieces pieces = {0};
    char *line = malloc(MOST);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t k = strlen(units[u]), n = (u < 3 ? MOST : SHORT) / k * k;
        for (size_t i = 0; i < n; i++) line[i] = units[u][i % k];
        clock_t start = clock();
        for (hdl__split how = HDL__SPLIT_LONG; how <= HDL__SPLIT_SENTENCES; how++) {
            cr_assert_eq(hdl__split_line(t, line, n, how, 64, &pieces), HDL_OK);
            cr_expect(same_without_space(line, n, &pieces), "unit %s", units[u]);
        }
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        printf("%s x %zu bytes: %zu pieces, %.2f s\n", units[u], n, pieces.n, seconds);
        cr_expect_lt(seconds, 20.0);
    }
    free(line);
    hdl__pieces_free(&pieces);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    hdl__file_close(&spm);
}

Test(split, every_allocation_fails_once)
{
    hdl__vocabulary v = fixture_words("<unk>");
    hdl_tokenizer *t = fixture_tokenizer(&v, NULL, NULL, NULL);
    hdl__str line = {0};
    for (int i = 0; i < 60; i++) hdl__str_puts(&line, "Some words stand here, and more. ");
    for (uint64_t k = 1, failures = 0;; k++, failures++) {
        hdl__pieces pieces = {0};
        hdl__alloc_fail_at(k);
        hdl_status status = hdl__split_line(t, line.data, line.n, HDL__SPLIT_LONG, 2, &pieces);
        hdl__alloc_fail_at(0);
        if (status != HDL_OK) cr_expect_eq(pieces.n, 0);
        hdl__pieces_free(&pieces);
        if (status == HDL_OK) {
            cr_expect_geq(failures, 4);
            break;
        }
        cr_assert_eq(status, HDL_ENOMEM, "allocation %d: %s", (int)k, hdl_error_detail());
    }
    hdl__str_free(&line);
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
}
