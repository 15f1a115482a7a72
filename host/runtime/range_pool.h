/* range_pool.h - hands out ranges of [0, size), first fit; neighbours that come back are joined. Never allocates after open. */
#ifndef HEDDLE_HOST_RANGE_POOL_H
#define HEDDLE_HOST_RANGE_POOL_H

#include "base/memory.h"

typedef struct hdl__range { uint64_t begin, size; } hdl__range;

typedef struct hdl__range_pool {
    hdl__range *holes;      /* sorted by begin, never touching */
    int32_t     n, capacity;
} hdl__range_pool;

/* At most `max_ranges` ranges are out at a time. */
hdl_status hdl__range_pool_open(uint64_t size, int32_t max_ranges, hdl__range_pool *out);
void       hdl__range_pool_close(hdl__range_pool *pool);
/* false: no hole is large enough. size > 0. */
bool       hdl__range_take(hdl__range_pool *pool, uint64_t size, uint64_t *begin);
void       hdl__range_give(hdl__range_pool *pool, uint64_t begin, uint64_t size);

#endif
