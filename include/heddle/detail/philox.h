/*
 * philox.h - counter-based random numbers: Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
 * Key: the seed. Counter: (draw, step). The same number whatever the batch, the order or the threads.
 */
#ifndef HEDDLE_DETAIL_PHILOX_H
#define HEDDLE_DETAIL_PHILOX_H

#include <heddle/detail/portable.h>

HDL_FN void hdl_philox4x32(const uint32_t counter[4], uint64_t key, uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;      /* golden ratio */
        k1 += 0xBB67AE85u;      /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Uniform in [0, 1) with 24 bits. */
HDL_FN float hdl_uniform(uint64_t seed, uint32_t draw, uint32_t step)
{
    const uint32_t counter[4] = {draw, step, 0, 0};
    uint32_t out[4];
    hdl_philox4x32(counter, seed, out);
    return (float)(out[0] >> 8) * (1.0f / 16777216.0f);
}

#endif /* HEDDLE_DETAIL_PHILOX_H */
