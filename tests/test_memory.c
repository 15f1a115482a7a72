/* test_memory.c - the counted allocator, checked sizes, growing strings. */
#include "base/memory.h"

#include <criterion/criterion.h>
#include <string.h>

Test(memory, blocks_are_zero_and_aligned)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = hdl__calloc(sizes[i], 1);
        cr_assert_not_null(block);
        cr_expect_eq((uintptr_t)block % HDL__CACHE_LINE, 0u);
        for (size_t j = 0; j < sizes[i]; j++) cr_assert_eq(block[j], 0);
        memset(block, 0xff, sizes[i]);
        hdl__free(block);
    }
    hdl__free(NULL);
}

Test(memory, products_that_overflow)
{
    size_t out = 7;
    cr_expect_null(hdl__calloc(SIZE_MAX, 2));
    cr_expect_null(hdl__calloc(SIZE_MAX, 1));
    cr_expect_not(hdl__mul_size(SIZE_MAX, 2, &out));
    cr_expect_not(hdl__add_size(SIZE_MAX, 1, &out));
    cr_expect_eq(out, 7u);
    cr_expect(hdl__mul_size(3, 5, &out));
    cr_expect_eq(out, 15u);
    cr_expect(hdl__add_size(3, 5, &out));
    cr_expect_eq(out, 8u);
}

Test(memory, the_nth_allocation_fails_once)
{
    for (uint64_t n = 1; n <= 3; n++) {
        hdl__alloc_fail_at(n);
        for (uint64_t i = 1; i <= 4; i++) {
            void *block = hdl__calloc(1, 8);
            cr_expect_eq(block == NULL, i == n, "the %d. allocation of %d", (int)i, (int)n);
            hdl__free(block);
        }
    }
    hdl__alloc_fail_at(1);
    hdl__alloc_fail_at(0);
    void *block = hdl__calloc(1, 8);
    cr_expect_not_null(block);
    hdl__free(block);
}

Test(memory, counts)
{
    const uint64_t before = hdl__alloc_count();
    void *a = hdl__calloc(1, 8), *b = hdl__pages_take(1 << 20);
    cr_expect_eq(hdl__alloc_count() - before, 2u);
    hdl__free(a);
    hdl__pages_give(b, 1 << 20);
    hdl__pages_give(NULL, 1 << 20);
}

Test(memory, regrow_keeps_and_zeroes)
{
    char *block = hdl__regrow(NULL, 0, 4);
    memcpy(block, "abcd", 4);
    block = hdl__regrow(block, 4, 200);
    cr_expect_arr_eq(block, "abcd", 5);
    hdl__alloc_fail_at(1);
    cr_expect_null(hdl__regrow(block, 200, 400));
    cr_expect_arr_eq(block, "abcd", 5);
    block = hdl__regrow(block, 200, 2);
    cr_expect_arr_eq(block, "ab", 2);
    hdl__free(block);
}

Test(memory, strings_grow)
{
    hdl__str s = {0};
    cr_expect_null(s.data);
    for (int i = 0; i < 100; i++) hdl__str_printf(&s, "%d,", i);
    cr_expect_eq(s.n, 290u);
    cr_expect_str_eq(s.data + s.n - 6, "98,99,");
    hdl__str_add(&s, "a\0b", 3);
    cr_expect_eq(s.n, 293u);
    hdl__str_clear(&s);
    hdl__str_puts(&s, "again");
    cr_expect_str_eq(s.data, "again");
    hdl__str_free(&s);
    cr_expect_null(s.data);
}

/* After one failure a string stays failed, and keeps what it had. */
Test(memory, string_failure_sticks)
{
    hdl__str s = {0};
    char longer[100];
    memset(longer, 'x', sizeof longer);
    hdl__str_puts(&s, "short");
    hdl__alloc_fail_at(1);
    for (int i = 0; i < 3; i++) hdl__str_add(&s, longer, sizeof longer);    /* above the first capacity, 64 */
    cr_expect(s.failed);
    cr_expect_str_eq(s.data, "short");
    hdl__str_puts(&s, "x");
    hdl__str_printf(&s, "%d", 1);
    cr_expect_str_eq(s.data, "short");
    hdl__str_free(&s);
}
