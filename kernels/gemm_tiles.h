/*
 * gemm_tiles.h - which tile a product takes: a pure function of its shape and of the device. Plain C.
 *
 * The bits of a product do not depend on the tile, so the choice is one of speed alone.
 */
#ifndef HEDDLE_KERNELS_GEMM_TILES_H
#define HEDDLE_KERNELS_GEMM_TILES_H

#include <heddle/detail/portable.h>

#include <stddef.h>

/* One tile that a kernel was made for. Costs are clocks, estimated from the instructions of a step of inputs. */
typedef struct hdl_gemm_tile {
    int32_t rows, columns;
    int32_t step;               /* inputs that are copied and multiplied at a time */
    int32_t chunk;              /* inputs that a group takes in turn: some steps */
    int32_t max_groups;         /* groups of warps that may take one chunk each */
    int32_t prologue;           /* before the first step, beside HDL_GEMM_FIXED */
    int32_t latency;            /* of a step, when the block has its multiprocessor for itself */
    int32_t work;               /* of a step of one group, when blocks and groups keep the multiprocessor busy */
    size_t  group_bytes;        /* shared memory: stages of one group, and what it hands over */
    size_t  sums_bytes;         /* shared memory of the block beside that */
} hdl_gemm_tile;

typedef struct hdl_gemm_choice { int32_t tile, groups; } hdl_gemm_choice;

#define HDL_GEMM_FIXED 1500     /* clocks until the first slab is there, and to finish the outputs */
#define HDL_GEMM_RESIDENT 8     /* blocks that share a multiprocessor at the most: registers set it */
#define HDL_GEMM_LAUNCH 4000    /* one more kernel before: the gap between two, its reads and its writes */
#define HDL_GEMM_QUANTISED 12   /* inputs that a multiprocessor turns into int8 in a clock: 16 by instructions, 16 by the L2 */

HDL_FN int64_t hdl_gemm_ceil(int64_t n, int64_t by) { return (n + by - 1) / by; }

HDL_FN size_t hdl_gemm_bytes(const hdl_gemm_tile *tile, int32_t groups)
{
    return (size_t)groups * tile->group_bytes + tile->sums_bytes;
}

/*
 * Clocks of a product. Blocks of one multiprocessor run beside each other as far as its shared memory goes; what counts
 * is the longer of what each waits for and of what all compute. The shorter, at a sixteenth, decides between equals.
 */
HDL_FN int64_t hdl_gemm_cost(const hdl_gemm_tile *tile, int32_t groups, int32_t M, int32_t N, int32_t K,
                             int32_t sm_count, size_t shared_bytes)
{
    const int64_t chunks = hdl_gemm_ceil(K, tile->chunk), slabs = hdl_gemm_ceil(K, tile->step);
    const int64_t rounds = hdl_gemm_ceil(chunks, groups) * (tile->chunk / tile->step);
    const int64_t steps = rounds < slabs ? rounds : slabs;
    const int64_t blocks = hdl_gemm_ceil(hdl_gemm_ceil(M, tile->rows) * hdl_gemm_ceil(N, tile->columns), sm_count);
    const int64_t fit = (int64_t)(shared_bytes / hdl_gemm_bytes(tile, groups));
    const int64_t resident = fit < HDL_GEMM_RESIDENT ? fit : HDL_GEMM_RESIDENT;
    const int64_t wait = hdl_gemm_ceil(blocks, resident) * (HDL_GEMM_FIXED + tile->prologue + steps * tile->latency);
    const int64_t work = blocks * slabs * tile->work + HDL_GEMM_FIXED;
    return wait > work ? wait + work / 16 : work + wait / 16;
}

/* Clocks of quantising rows in a kernel of its own. */
HDL_FN int64_t hdl_gemm_quantise_cost(int32_t M, int32_t K, int32_t sm_count)
{
    return HDL_GEMM_LAUNCH + hdl_gemm_ceil((int64_t)M * K, (int64_t)sm_count * HDL_GEMM_QUANTISED);
}

/* The cheapest of n tiles; of equals the first. At least one fits `shared_bytes` with one group. */
HDL_FN hdl_gemm_choice hdl_gemm_choose(const hdl_gemm_tile *tiles, int32_t n, int32_t M, int32_t N, int32_t K,
                                       int32_t sm_count, size_t shared_bytes)
{
    hdl_gemm_choice best = {0, 1};
    int64_t best_cost = -1;
    for (int32_t i = 0; i < n; i++)
        for (int32_t groups = 1; groups <= tiles[i].max_groups; groups *= 2) {
            if (hdl_gemm_bytes(&tiles[i], groups) > shared_bytes) continue;
            if (groups > 1 && groups / 2 >= hdl_gemm_ceil(K, tiles[i].chunk)) continue;     /* too few chunks */
            const int64_t cost = hdl_gemm_cost(&tiles[i], groups, M, N, K, sm_count, shared_bytes);
            if (best_cost >= 0 && cost >= best_cost) continue;
            best.tile = i;
            best.groups = groups;
            best_cost = cost;
        }
    return best;
}

#endif /* HEDDLE_KERNELS_GEMM_TILES_H */
