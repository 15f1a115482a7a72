/* buckets.h - row counts for which a decode step is recorded. */
#ifndef HEDDLE_DETAIL_BUCKETS_H
#define HEDDLE_DETAIL_BUCKETS_H

#include <heddle/detail/portable.h>

#define HDL_N_BUCKETS 19

/* The i-th bucket, ascending. */
HDL_FN int32_t hdl_bucket(int32_t i)
{
    const int32_t rows[HDL_N_BUCKETS] = {1,   2,   4,   8,   16,  32,   64,   96,   128, 192,
                                         256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096};
    return rows[i];
}

/* Index of the smallest bucket that holds `n` rows; HDL_N_BUCKETS when none does. */
HDL_FN int32_t hdl_bucket_index(int32_t n)
{
    int32_t i = 0;
    while (i < HDL_N_BUCKETS && hdl_bucket(i) < n) i++;
    return i;
}

#endif /* HEDDLE_DETAIL_BUCKETS_H */
