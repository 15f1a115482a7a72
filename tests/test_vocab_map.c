/* test_vocab_map.c - CTranslate2's vmap.txt: n-grams, fixed words, duplicates, bad lines. */
#include "text_fixture.h"
#include "text/token_map.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

typedef struct lookup_row {
    const char *map, *source, *allowed;
} lookup_row;

static hdl__file borrow(const char *text) { return (hdl__file){(const uint8_t *)text, strlen(text), 0, 0}; }

static void expect_lookup(const lookup_row *row, const hdl__token_map *target, const hdl__vocabulary *v)
{
    hdl__file file = borrow(row->map);
    hdl__vocab_map *map = NULL;
    hdl__vocabulary source = fixture_words(row->source);
    hdl__str found = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    static const int32_t always[] = {0, 2, 0, -1, 999}; /* ids outside the vocabulary are passed over */
    cr_assert_eq(hdl__vocab_map_open(&file, "vmap.txt", target, &map), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(
        hdl__vocab_map_lookup(map, (const char *const *)source.tokens, (size_t)source.n, always, 5, &ids, &n),
        HDL_OK);
    for (size_t i = 0; i < n; i++) {
        cr_assert(i == 0 || ids[i] > ids[i - 1], "sorted, distinct");
        if (i > 0) hdl__str_puts(&found, " ");
        hdl__str_puts(&found, v->tokens[ids[i]]);
    }
    cr_expect_str_eq(found.data, row->allowed, "map %s source %s: %s, not %s", row->map, row->source, found.data,
                     row->allowed);
    hdl__free(ids);
    hdl__str_free(&found);
    fixture_free_vocabulary(&source);
    hdl__vocab_map_close(map);
}

Test(vocab_map, lookup)
{
    static const lookup_row rows[] = {
        {"", "a b", "<unk> </s>"},
        {"a\tA\nb\tB C\n", "a", "<unk> </s> A"},
        {"a\tA\nb\tB C\n", "b a b", "<unk> </s> A B C"},
        {"a b\tD\na\tA", "a b", "<unk> </s> A D"}, /* no line feed at the end */
        {"a b\tD\na\tA\n", "a c b", "<unk> </s> A"},
        {"a b c\tD\n", "x a b c y", "<unk> </s> D"},
        {"a b c\tD\n", "a b", "<unk> </s>"},
        {"\tA B\n", "zzz", "<unk> </s> A B"}, /* allowed for every sentence */
        {"\tA\n\tB\n", "", "<unk> </s> A B"},
        {"a\tA\na\tB\n", "a", "<unk> </s> B"}, /* of equal n-grams the last counts */
        {"a\tmissing B <s>\n", "a", "<unk> <s> </s> B"},
        {"a\tA\r\nb\tB\r\n", "a b", "<unk> </s> A B"},
        {"\n\na\tA\n\n", "a", "<unk> </s> A"},
        {"a\t\n", "a", "<unk> </s>"},
        {"ab\tA\n", "a b", "<unk> </s>"},
        {"\xC3\xA4 \xC3\xB6\tD\n", "\xC3\xA4 \xC3\xB6", "<unk> </s> D"},
    };
    hdl__vocabulary v = fixture_words("<unk> <s> </s> A B C D");
    hdl__token_map *target = NULL;
    cr_assert_eq(hdl__token_map_open(&v, &target), HDL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect_lookup(&rows[i], target, &v);
    hdl__token_map_close(target);
    fixture_free_vocabulary(&v);
}

Test(vocab_map, bad_lines)
{
    static const struct {
        const char *map, *says;
    } rows[] = {
        {"a A\n", "vmap.txt: line 1 has no tab"},
        {"a\tA\nb\n", "line 2"},
        {"a\tA\tB\n", "line 1 has two tabs"},
    };
    hdl__vocabulary v = fixture_words("A");
    hdl__token_map *target = NULL;
    cr_assert_eq(hdl__token_map_open(&v, &target), HDL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl__file file = borrow(rows[i].map);
        hdl__vocab_map *map = NULL;
        cr_expect_eq(hdl__vocab_map_open(&file, "vmap.txt", target, &map), HDL_EFORMAT);
        cr_expect(map == NULL && strstr(hdl_error_detail(), rows[i].says) != NULL, "%s", hdl_error_detail());
    }
    hdl__token_map_close(target);
    fixture_free_vocabulary(&v);
}

Test(vocab_map, token_map)
{
    hdl__vocabulary v = fixture_words("a b a bb <unk>"), big = {hdl__calloc(5000, sizeof(char *)), 0};
    hdl__token_map *map = NULL;
    cr_assert_eq(hdl__token_map_open(&v, &map), HDL_OK);
    cr_expect_eq(hdl__token_map_find(map, "a", 1), 0, "of duplicates the first counts");
    cr_expect_eq(hdl__token_map_find(map, "bb", 2), 3);
    cr_expect_eq(hdl__token_map_find(map, "bb", 1), 1);
    cr_expect_eq(hdl__token_map_find_joined(map, "b", 1, "b", 1), 3);
    cr_expect_eq(hdl__token_map_find(map, "b\0", 2), -1);
    cr_expect_eq(hdl__token_map_find(map, "", 0), -1);
    cr_expect_eq(hdl__token_map_find(map, "abc", 3), -1);
    hdl__token_map_close(map);
    for (; big.n < 5000; big.n++) {
        char token[16];
        snprintf(token, sizeof token, "t%d", big.n);
        big.tokens[big.n] = hdl__strdup(token);
    }
    cr_assert_eq(hdl__token_map_open(&big, &map), HDL_OK);
    for (int32_t i = 0; i < big.n; i++)
        cr_assert_eq(hdl__token_map_find(map, big.tokens[i], strlen(big.tokens[i])), i);
    hdl__token_map_close(map);
    hdl__vocabulary none = {NULL, 0};
    cr_assert_eq(hdl__token_map_open(&none, &map), HDL_OK);
    cr_expect_eq(hdl__token_map_find(map, "a", 1), -1);
    hdl__token_map_close(map);
    fixture_free_vocabulary(&v);
    fixture_free_vocabulary(&big);
}

Test(vocab_map, every_allocation_fails_once)
{
    hdl__vocabulary v = fixture_words("A B");
    hdl__file file = borrow("a\tA\na b\tB\n");
    const char *source[] = {"a", "b"};
    for (uint64_t k = 1, failures = 0;; k++, failures++) {
        hdl__token_map *target = NULL;
        hdl__vocab_map *map = NULL;
        int32_t *ids = NULL;
        size_t n = 0;
        hdl__alloc_fail_at(k);
        hdl_status status = hdl__token_map_open(&v, &target);
        if (status == HDL_OK) status = hdl__vocab_map_open(&file, "vmap.txt", target, &map);
        if (status == HDL_OK) status = hdl__vocab_map_lookup(map, source, 2, NULL, 0, &ids, &n);
        hdl__alloc_fail_at(0);
        hdl__free(ids);
        hdl__vocab_map_close(map);
        hdl__token_map_close(target);
        if (status == HDL_OK) {
            cr_expect(failures >= 8 && n == 2, "%d failures", (int)failures);
            break;
        }
        cr_assert_eq(status, HDL_ENOMEM, "allocation %d: %s", (int)k, hdl_error_detail());
    }
    fixture_free_vocabulary(&v);
}
