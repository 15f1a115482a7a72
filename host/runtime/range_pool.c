/* range_pool.c - first-fit allocator of number ranges. */
#include "runtime/range_pool.h"

#include <string.h>

hdl_status hdl__range_pool_open(uint64_t size, int32_t max_ranges, hdl__range_pool *out)
{
    hdl__range_pool pool = {.capacity = max_ranges + 1};    /* n ranges out leave at most n + 1 holes */
    pool.holes = hdl__calloc((size_t)pool.capacity, sizeof *pool.holes);
    if (pool.holes == NULL) return hdl__fail(HDL_ENOMEM, "no memory for a pool of %d ranges", max_ranges);
    pool.holes[0] = (hdl__range){0, size};
    pool.n = size > 0 ? 1 : 0;
    *out = pool;
    return HDL_OK;
}

void hdl__range_pool_close(hdl__range_pool *pool)
{
    hdl__free(pool->holes);
    *pool = (hdl__range_pool){0};
}

static void remove_hole(hdl__range_pool *pool, int32_t i)
{
    memmove(&pool->holes[i], &pool->holes[i + 1], (size_t)(pool->n - i - 1) * sizeof pool->holes[0]);
    pool->n--;
}

bool hdl__range_take(hdl__range_pool *pool, uint64_t size, uint64_t *begin)
{
    for (int32_t i = 0; i < pool->n; i++) {
        hdl__range *hole = &pool->holes[i];
        if (hole->size < size) continue;
        *begin = hole->begin;
        hole->begin += size;
        hole->size -= size;
        if (hole->size == 0) remove_hole(pool, i);
        return true;
    }
    return false;
}

void hdl__range_give(hdl__range_pool *pool, uint64_t begin, uint64_t size)
{
    int32_t i = 0;
    while (i < pool->n && pool->holes[i].begin < begin) i++;
    const bool joins_left = i > 0 && pool->holes[i - 1].begin + pool->holes[i - 1].size == begin;
    const bool joins_right = i < pool->n && begin + size == pool->holes[i].begin;
    if (joins_left && joins_right) {
        pool->holes[i - 1].size += size + pool->holes[i].size;
        remove_hole(pool, i);
    } else if (joins_left) {
        pool->holes[i - 1].size += size;
    } else if (joins_right) {
        pool->holes[i].begin = begin;
        pool->holes[i].size += size;
    } else {
        memmove(&pool->holes[i + 1], &pool->holes[i], (size_t)(pool->n - i) * sizeof pool->holes[0]);
        pool->holes[i] = (hdl__range){begin, size};
        pool->n++;
    }
}
