/* test_range_pool.c - the first-fit allocator of ranges against a byte map. */
#include "result_hash.h"
#include "runtime/range_pool.h"

#include <criterion/criterion.h>

Test(range_pool, first_fit_and_joining)
{
    hdl__range_pool pool;
    uint64_t a, b, c, d;
    cr_assert_eq(hdl__range_pool_open(100, 4, &pool), HDL_OK);
    cr_expect(hdl__range_take(&pool, 30, &a) && a == 0);
    cr_expect(hdl__range_take(&pool, 30, &b) && b == 30);
    cr_expect(hdl__range_take(&pool, 40, &c) && c == 60);
    cr_expect_not(hdl__range_take(&pool, 1, &d));
    hdl__range_give(&pool, a, 30);
    hdl__range_give(&pool, c, 40);
    cr_expect_eq(pool.n, 2);
    cr_expect_not(hdl__range_take(&pool, 41, &d));
    hdl__range_give(&pool, b, 30);      /* joins on both sides */
    cr_expect_eq(pool.n, 1);
    cr_expect(hdl__range_take(&pool, 100, &d) && d == 0);
    hdl__range_pool_close(&pool);
}

Test(range_pool, nothing_to_give)
{
    hdl__range_pool pool;
    uint64_t begin;
    cr_assert_eq(hdl__range_pool_open(0, 1, &pool), HDL_OK);
    cr_expect_not(hdl__range_take(&pool, 1, &begin));
    hdl__range_pool_close(&pool);
    hdl__alloc_fail_at(1);
    cr_expect_eq(hdl__range_pool_open(8, 1, &pool), HDL_ENOMEM);
}

/* Random taking and giving with as many ranges out as the pool was made for: ranges never overlap, and all comes back as one hole. */
Test(range_pool, random_use)
{
    enum { SIZE = 512, MOST = 24 };
    hdl__range_pool pool;
    hdl__range out[MOST];
    int n = 0;
    uint8_t used[SIZE] = {0};
    uint64_t state = 7;
    const uint64_t before = hdl__alloc_count();
    cr_assert_eq(hdl__range_pool_open(SIZE, MOST, &pool), HDL_OK);
    for (int round = 0; round < 100000; round++) {
        const uint64_t size = next_random(&state) % 40 + 1;
        if (n < MOST && next_random(&state) % 2 == 0) {
            uint64_t begin;
            if (!hdl__range_take(&pool, size, &begin)) continue;
            cr_assert(begin + size <= SIZE);
            for (uint64_t i = begin; i < begin + size; i++) cr_assert_eq(used[i]++, 0, "%llu is taken twice", (unsigned long long)i);
            out[n++] = (hdl__range){begin, size};
        } else if (n > 0) {
            const int i = (int)(next_random(&state) % (uint64_t)n);
            for (uint64_t j = out[i].begin; j < out[i].begin + out[i].size; j++) used[j]--;
            hdl__range_give(&pool, out[i].begin, out[i].size);
            out[i] = out[--n];
        }
        cr_assert(pool.n <= pool.capacity);
    }
    while (n > 0) {
        n--;
        hdl__range_give(&pool, out[n].begin, out[n].size);
    }
    cr_expect_eq(pool.n, 1);
    cr_expect_eq(pool.holes[0].size, (uint64_t)SIZE);
    cr_expect_eq(hdl__alloc_count() - before, 1u);
    hdl__range_pool_close(&pool);
}
