/* test_gemm_tiles.c - the choice of a product's tile: what fits, what is cheapest, what shapes are known to want. */
#include "../kernels/gemm_tiles.h"

#include <criterion/criterion.h>

enum { N_TILES = 3, DEVICE_SMS = 132, DEVICE_SHARED = 232448 };     /* of an H200 */

/* A small tile that splits K, a middle one, and a large one: a third of the work for an output each time. */
static const hdl_gemm_tile tiles[N_TILES] = {
    {16, 32, 64, 256, 8, 0, 400, 192, 20480, 2304}, {64, 64, 64, 256, 1, 0, 450, 512, 65536, 17408},
    {128, 128, 64, 256, 1, 0, 1100, 1100, 163840, 67584}};

static hdl_gemm_choice choose(int32_t M, int32_t N, int32_t K, size_t shared)
{
    return hdl_gemm_choose(tiles, N_TILES, M, N, K, DEVICE_SMS, shared);
}

static int64_t cost_of(hdl_gemm_choice c, int32_t M, int32_t N, int32_t K)
{
    return hdl_gemm_cost(&tiles[c.tile], c.groups, M, N, K, DEVICE_SMS, DEVICE_SHARED);
}

/* One row of a decoder wants every group that its chunks can feed; 4096 rows want the large tile. */
Test(gemm_tiles, few_rows_split_and_many_do_not)
{
    cr_expect_eq(choose(1, 512, 2048, DEVICE_SHARED).tile, 0);
    cr_expect_eq(choose(1, 512, 2048, DEVICE_SHARED).groups, 8);
    cr_expect_eq(choose(1, 512, 512, DEVICE_SHARED).groups, 2, "two chunks feed two groups");
    cr_expect_eq(choose(16, 512, 100, DEVICE_SHARED).groups, 1, "one chunk is never split");
    cr_expect_eq(choose(4096, 2048, 512, DEVICE_SHARED).tile, 2);
    cr_expect_eq(choose(4096, 512, 512, DEVICE_SHARED).tile, 2);
}

Test(gemm_tiles, what_is_chosen_fits_and_nothing_that_fits_is_cheaper)
{
    static const int32_t M[] = {1, 3, 16, 17, 64, 100, 256, 1000, 4096, 65536}, E[] = {1, 33, 64, 512, 1000, 4096, 32000};
    static const size_t shared[] = {24 << 10, 48 << 10, 96 << 10, DEVICE_SHARED};
    for (size_t i = 0; i < sizeof M / sizeof *M * 49 * 4; i++) {
        const int32_t m = M[i / 196], n = E[i / 28 % 7], k = E[i / 4 % 7];
        const size_t room = shared[i % 4];
        const hdl_gemm_choice c = choose(m, n, k, room);
        cr_assert(c.tile >= 0 && c.tile < N_TILES && c.groups >= 1 && c.groups <= tiles[c.tile].max_groups);
        cr_assert_leq(hdl_gemm_bytes(&tiles[c.tile], c.groups), room, "M %d N %d K %d in %zu bytes", m, n, k, room);
        for (int32_t t = 0; t < N_TILES && room == DEVICE_SHARED; t++)
            cr_assert_leq(cost_of(c, m, n, k), cost_of((hdl_gemm_choice){t, 1}, m, n, k), "M %d N %d K %d: tile %d", m, n, k, t);
    }
}

/* Work before the first step counts for each block that waits; rows quantised apart cost a launch, and more when they are more. */
Test(gemm_tiles, a_prologue_and_a_launch_more_are_counted)
{
    hdl_gemm_tile slow = tiles[0];
    slow.prologue = 1000;
    cr_expect_gt(hdl_gemm_cost(&slow, 1, 16, 512, 512, DEVICE_SMS, DEVICE_SHARED),
                 hdl_gemm_cost(&tiles[0], 1, 16, 512, 512, DEVICE_SMS, DEVICE_SHARED) + 900);
    cr_expect_gt(hdl_gemm_quantise_cost(1, 64, DEVICE_SMS), HDL_GEMM_LAUNCH);
    cr_expect_gt(hdl_gemm_quantise_cost(65536, 4096, DEVICE_SMS), 10 * hdl_gemm_quantise_cost(64, 512, DEVICE_SMS));
}

Test(gemm_tiles, a_cost_grows_with_every_extent)
{
    for (int32_t t = 0; t < N_TILES; t++) {
        const hdl_gemm_choice c = {t, 1};
        cr_expect_lt(cost_of(c, 128, 512, 512), cost_of(c, 128 * DEVICE_SMS, 512, 512));
        cr_expect_lt(cost_of(c, 128, 512, 512), cost_of(c, 128, 512 * DEVICE_SMS, 512));
        cr_expect_lt(cost_of(c, 128, 512, 512), cost_of(c, 128, 512, 1024));
    }
}
