/* test_philox.c - Philox4x32-10 against Random123's published vectors; the uniform numbers made from it. */
#include <heddle/detail/philox.h>

#include <criterion/criterion.h>

/* kat_vectors of Random123 (Salmon et al. 2011), "philox4x32 10". */
Test(philox, known_answers)
{
    static const struct { uint32_t counter[4]; uint64_t key; uint32_t out[4]; } cases[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
        {{~0u, ~0u, ~0u, ~0u}, ~(uint64_t)0, {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
        {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0x299f31d0a4093822u,
         {0xd16cfe09u, 0x94fdcceBu, 0x5001e420u, 0x24126ea1u}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];
        hdl_philox4x32(cases[i].counter, cases[i].key, out);
        for (int j = 0; j < 4; j++)
            cr_expect_eq(out[j], cases[i].out[j], "case %zu, word %d: %08x, wanted %08x", i, j, out[j], cases[i].out[j]);
    }
}

/* Mean 1/2 and variance 1/12 within five standard errors, never 1; draw, step and seed all matter. */
Test(philox, uniform)
{
    enum { N = 200000 };
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < N; i++) {
        const double u = (double)hdl_uniform(42, i % 64, i / 64);
        cr_assert(u >= 0.0 && u < 1.0);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
    }
    cr_expect_float_eq(sum / N, 0.5, 5 * 0.2887 / 447.2);
    cr_expect_float_eq(squares / N, 1.0 / 12.0, 5 * 0.0745 / 447.2);
    cr_expect_neq(hdl_uniform(1, 0, 0), hdl_uniform(2, 0, 0));
    cr_expect_neq(hdl_uniform(1, 0, 0), hdl_uniform(1, 1, 0));
    cr_expect_neq(hdl_uniform(1, 0, 0), hdl_uniform(1, 0, 1));
    cr_expect_neq(hdl_uniform(1, 0, 0), hdl_uniform((uint64_t)1 << 32 | 1, 0, 0));
}
