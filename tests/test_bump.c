/* test_bump.c - memory that is given back all at once. */
#include "base/bump.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t count_blocks(const hdl__bump *bump)
{
    size_t n = 0;
    /* a block begins with the pointer to the next */
    for (const void *b = bump->blocks; b != NULL; n++) memcpy(&b, b, sizeof b);
    return n;
}

Test(bump, pieces_are_apart_aligned_and_zero)
{
    hdl__bump bump = {0};
    uint8_t *taken[400];
    size_t sizes[400];
    for (size_t i = 0; i < 400; i++) {
        sizes[i] = i * 7 % 900;
        taken[i] = hdl__bump_take(&bump, sizes[i], 1);
        cr_assert_not_null(taken[i]);
        cr_expect_eq((uintptr_t)taken[i] % 16, 0u);
        for (size_t j = 0; j < sizes[i]; j++) cr_assert_eq(taken[i][j], 0);
        memset(taken[i], (int)(i % 251) + 1, sizes[i]);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t j = 0; j < sizes[i]; j++) cr_assert_eq(taken[i][j], i % 251 + 1, "piece %zu was overwritten", i);
    hdl__bump_free(&bump);
    cr_expect_null(bump.blocks);
}

Test(bump, sizes_that_overflow_are_refused)
{
    hdl__bump bump = {0};
    cr_expect_null(hdl__bump_take(&bump, SIZE_MAX, 2));
    cr_expect_null(hdl__bump_take(&bump, SIZE_MAX - 3, 1));
    cr_expect_null(hdl__bump_copy(&bump, "", SIZE_MAX));
    cr_expect_null(bump.blocks);
    cr_expect_not_null(hdl__bump_take(&bump, 0, 8));
    hdl__bump_free(&bump);
}

Test(bump, copies_end_in_nul)
{
    hdl__bump bump = {0};
    const char *copy = hdl__bump_copy(&bump, "ab\0cd", 5);
    cr_expect_arr_eq(copy, "ab\0cd", 6);
    cr_expect_str_eq(hdl__bump_copy(&bump, NULL, 0), "");
    hdl__bump_free(&bump);
}

/* A failed allocation leaves what was taken before. */
Test(bump, failure_keeps_what_there_is)
{
    hdl__bump bump = {0};
    char *first = hdl__bump_copy(&bump, "kept", 4);
    hdl__alloc_fail_at(1);
    cr_expect_null(hdl__bump_take(&bump, 1 << 20, 1));
    cr_expect_str_eq(first, "kept");
    cr_expect_not_null(hdl__bump_take(&bump, 1 << 20, 1));
    hdl__bump_free(&bump);
}

/* Blocks double: many small pieces need few of them, and a large piece does not waste as much again. */
Test(bump, few_blocks)
{
    hdl__bump bump = {0};
    for (int i = 0; i < 10000; i++) cr_assert_not_null(hdl__bump_take(&bump, 16, 1));
    cr_expect_leq(count_blocks(&bump), 10u);
    hdl__bump_free(&bump);
}
