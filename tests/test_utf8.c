/* test_utf8.c - cleaning, validity, decoding, blank text; against a slow reference. */
#include "text/char_class.h"
#include "text/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define R "\xEF\xBF\xBD"

typedef struct clean_row {
    const char *in;
    size_t n;
    const char *out;
    size_t n_replaced;
} clean_row;

Test(utf8, clean_table)
{
    static const clean_row rows[] = {
        {"", 0, "", 0},
        {"plain ascii, longer than a word", 31, "plain ascii, longer than a word", 0},
        {"a\0b", 3, "a" R "b", 1},
        {"\0\0", 2, R R, 2},
        {"12345678\0", 9, "12345678" R, 1},
        {"caf\xC3\xA9", 5, "caf\xC3\xA9", 0},
        {"\xE2\x82\xAC\xF0\x9F\x98\x80", 7, "\xE2\x82\xAC\xF0\x9F\x98\x80", 0},
        {"\x80", 1, R, 1},
        {"\xC0\xAF", 2, R R, 2}, /* overlong: no byte may start it */
        {"\xE0\x80\xAF", 3, R R R, 3},
        {"\xED\xA0\x80", 3, R R R, 3},                                         /* a surrogate */
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9, R R R R R "A" R R "B", 7}, /* Unicode 15, table 3-8 .. 3-11 */
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9, R R R R R R R R "A", 8},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9, R R R R R R R R "A", 8},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, R R R R "A", 4},
        {"\xF0\x9F\x98", 3, R, 1}, /* cut at the end */
        {"\xF0\x9F\x98 x", 5, R " x", 1},
        {"\xF5\x80\x80\x80", 4, R R R R, 4},
        {"\xEF\xBF\xBD", 3, R, 0}, /* already U+FFFD: not counted */
        {"x\xC2\x85y\xE2\x80\xA8z\x0B\x0C", 10, "x\xC2\x85y\xE2\x80\xA8z\x0B\x0C", 0},
    };
    hdl__str out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n_replaced = 99;
        cr_assert_eq(hdl__utf8_clean(rows[i].in, rows[i].n, &out, &n_replaced), HDL_OK);
        cr_expect_eq(out.n, strlen(rows[i].out), "row %zu: %zu bytes", i, out.n);
        cr_expect_str_eq(out.data, rows[i].out, "row %zu", i);
        cr_expect_eq(n_replaced, rows[i].n_replaced, "row %zu: %zu replaced", i, n_replaced);
    }
    hdl__str_free(&out);
}

static int encode(uint32_t c, char *out)
{
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xC0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    int n = c < 0x10000 ? 3 : 4;
    out[0] = (char)(n == 3 ? 0xE0 | c >> 12 : 0xF0 | c >> 18);
    for (int i = 1; i < n; i++) out[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 63));
    return n;
}

Test(utf8, every_code_point)
{
    for (uint32_t c = 0; c <= 0x110001; c++) {
        char bytes[5] = {0};
        int n = encode(c, bytes), length = 0;
        bool valid = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        if (hdl__utf8_valid(bytes, (size_t)n) != valid) cr_assert_fail("U+%04X: valid is %d", c, !valid);
        if (!valid) continue;
        if (hdl__utf8_decode(bytes, (size_t)n, &length) != c || length != n) cr_assert_fail("U+%04X", c);
        for (int cut = 1; cut < n; cut++) cr_assert_not(hdl__utf8_valid(bytes, (size_t)cut));
        size_t begin = 9;
        if (hdl__char_before(bytes, (size_t)n, &begin) != c || begin != 0) cr_assert_fail("before U+%04X", c);
    }
}

/* Length of the longest prefix that begins some valid sequence: tried byte by byte against all valid continuations. */
static size_t invalid_subpart(const char *bytes, size_t n)
{
    for (size_t k = n < 3 ? n : 3; k > 1; k--) {
        for (uint32_t c = 0x80; c <= 0x10FFFF; c += c < 0x800 ? 1 : 0x40) { /* the last byte is free */
            char full[5];
            if (c >= 0xD800 && c <= 0xDFFF) continue;
            if (encode(c, full) > (int)k && memcmp(full, bytes, k) == 0) return k;
        }
    }
    return 1;
}

Test(utf8, random_bytes_against_reference)
{
    unsigned seed = 20240611;
    printf("seed %u\n", seed);
    srand(seed);
    static const char pool[] = "aZ\x80\xBF\xC3\xA9\xE2\x82\xAC\xED\xA0\xF0\x9F\x98\x90\xF4\x8F\xC0\xFF\xE0\x9F";
    hdl__str out = {0}, expected = {0};
    for (int round = 0; round < 300; round++) {
        char bytes[24];
        size_t n = (size_t)(rand() % 24), n_expected = 0, n_replaced = 0;
        for (size_t i = 0; i < n; i++) bytes[i] = pool[(size_t)rand() % (sizeof pool - 1)];
        hdl__str_clear(&expected);
        hdl__str_add(&expected, "", 0);
        for (size_t i = 0; i < n;) {
            size_t k = 1;
            while (k <= 4 && (i + k > n || !hdl__utf8_valid(bytes + i, k))) k++;
            if (k <= 4) {
                hdl__str_add(&expected, bytes + i, k);
                i += k;
                continue;
            }
            i += invalid_subpart(bytes + i, n - i);
            hdl__str_puts(&expected, R);
            n_expected++;
        }
        cr_assert_eq(hdl__utf8_clean(bytes, n, &out, &n_replaced), HDL_OK);
        cr_assert_eq(out.n, expected.n, "round %d", round);
        cr_assert_eq(memcmp(out.data, expected.data, out.n), 0, "round %d", round);
        cr_assert_eq(n_replaced, n_expected, "round %d", round);
        cr_assert(hdl__utf8_valid(out.data, out.n));
    }
    hdl__str_free(&out);
    hdl__str_free(&expected);
}

Test(utf8, blank)
{
    cr_expect(hdl__text_is_blank("", 0));
    cr_expect(hdl__text_is_blank(" \t\x0B\x0C\r", 5));
    cr_expect(hdl__text_is_blank(
        "\xC2\x85\xC2\xA0\xE1\x9A\x80\xE2\x80\x80\xE2\x80\xA8\xE2\x80\xAF\xE2\x81\x9F\xE3\x80\x80", 22));
    cr_expect_not(hdl__text_is_blank(" x ", 3));
    cr_expect_not(hdl__text_is_blank("\xE2\x80\x8B", 3), "U+200B is no white space");
    cr_expect_not(hdl__text_is_blank("\0", 1), "NUL is no white space");
}

Test(utf8, ends_in_cjk)
{
    cr_expect(hdl__text_ends_in_cjk("a\xE3\x80\x82", 4) && hdl__text_ends_in_cjk("\xE4\xBD\xA0", 3));
    cr_expect(!hdl__text_ends_in_cjk("", 0) && !hdl__text_ends_in_cjk("\xE4\xBD\xA0.", 4));
}

Test(utf8, case_and_classes)
{
    static const uint32_t upper[] = {'A', 0xC4, 0x160, 0x178, 0x1C5, 0x393, 0x416, 0x531, 0x1E9E, 0xFF21};
    static const uint32_t lower[] = {'z', 0xDF, 0xFF, 0x161, 0x3C2, 0x436, 0x450, 0x561, 0x1E9F, 0xFF41};
    static const uint32_t neither[] = {'1', '.', ' ', 0xD7, 0xF7, 0x5D0, 0x4E00, 0x3042, 0x1F600, 0x2019};
    for (size_t i = 0; i < 10; i++) {
        cr_expect(hdl__char_is_upper(upper[i]) && !hdl__char_is_lower(upper[i]), "U+%04X", upper[i]);
        cr_expect(hdl__char_is_lower(lower[i]) && !hdl__char_is_upper(lower[i]), "U+%04X", lower[i]);
        cr_expect(!hdl__char_is_upper(neither[i]) && !hdl__char_is_lower(neither[i]), "U+%04X", neither[i]);
    }
    cr_expect(hdl__char_is_cjk(0x4E2D) && hdl__char_is_cjk(0x3042) && hdl__char_is_cjk(0x3002) &&
              hdl__char_is_cjk(0xFF01));
    cr_expect(!hdl__char_is_cjk(0xAC00) && !hdl__char_is_cjk('a') && !hdl__char_is_cjk(0x3000));
    cr_expect(hdl__char_is_extender(0x301) && hdl__char_is_extender(0xFE0F) && !hdl__char_is_extender('a'));
}

Test(utf8, no_memory)
{
    char *line = malloc(1000);
    memset(line, 'x', 1000);
    hdl__str out = {0};
    size_t n_replaced = 77;
    hdl__alloc_fail_at(1);
    cr_expect_eq(hdl__utf8_clean(line, 1000, &out, &n_replaced), HDL_ENOMEM);
    hdl__alloc_fail_at(0);
    cr_expect_eq(n_replaced, 77);
    hdl__str_free(&out);
    free(line);
}
