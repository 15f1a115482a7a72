/*
 * kernel_table.h - the kernels of one instruction set: two tables of functions, filled in host/cpu/simd/.
 *
 * Every instruction set exports hdl__gemm_kernels_<isa> and hdl__op_kernels_<isa>; opening a device copies the pair it
 * uses into its own hdl__cpu_kernels. Call as device->kernels->gemm.finish(...), device->kernels->ops.norm(...).
 */
#ifndef HEDDLE_HOST_KERNEL_TABLE_H
#define HEDDLE_HOST_KERNEL_TABLE_H

#include "cpu/op_kernels.h"

#include <heddle/gemm.h>

#include <stdbool.h>

#define HDL__ROW_BLOCK  64      /* rows of one tile call: 64 of K = 2048 and a strip of weights share an L2 of 1 MiB */
#define HDL__MAX_WIDTH  64      /* widest strip of any method */
#define HDL__K_CHUNK    256     /* family "chunk": docs/numerics.md */

/* y = act(tile + bias) + residual, for M rows of `columns` live columns. residual may be y. */
typedef struct hdl__gemm_finish {
    const float   *tile;        /* f32 [M, columns], row stride ld_tile */
    int64_t        ld_tile;
    const float   *bias;        /* f32 [columns] or NULL */
    const float   *residual;    /* f32 [M, columns] or NULL, row stride ldr */
    int64_t        ldr;
    float         *y;           /* f32 [M, columns], row stride ldy */
    int64_t        ldy;
    int32_t        M, columns;
    hdl_activation act;
} hdl__gemm_finish;

/* One strip of weights times up to HDL__ROW_BLOCK prepared rows: y[m, 0..columns) raw sums (int8: scaled to real
 * values). */
typedef struct hdl__gemm_tile {
    const void    *x;           /* prepared rows [M, K], row stride ldx elements */
    int64_t        ldx;
    const float   *x_unscale;   /* int8: f32 [M], real = stored * unscale */
    const void    *w;           /* packed strip: [K / group, columns, group] */
    const float   *w_unscale;   /* int8: f32 [columns], real = stored * unscale */
    const int32_t *w_start;     /* int8 with an offset of 128: i32 [columns], minus 128 times the sum of the row */
    float         *y;           /* f32 [M, columns], row stride ldy; written whole, padding columns included */
    int64_t        ldy;
    int32_t        M, K;        /* K: padded as the method wants it */
    int32_t        columns;     /* a multiple of lanes, at most width */
    const void    *next;        /* what will be multiplied next, likely; methods may fetch it meanwhile */
    bool           sums;        /* y takes the sums as they are, i32, in whole blocks of row_step rows: methods with `sums` */
    const hdl__gemm_finish *finish; /* for methods that finish: y is not written then, and tile not read; or NULL */
} hdl__gemm_tile;

/* How one compute type is multiplied on one instruction set. */
typedef struct hdl__gemm_method {
    int32_t width;              /* columns of a full strip; divides HDL__PANEL_COLUMNS */
    int32_t lanes;              /* the last strip is padded to a multiple of this */
    int32_t group;              /* consecutive k kept side by side in a strip */
    int32_t k_step;             /* K is padded to a multiple of it, itself a multiple of group; 0: of group */
    int32_t row_step;           /* prepared rows are read in whole multiples of it, whatever stands there; 0: of 1 */
    int32_t w_bytes, x_bytes;   /* of one stored weight, of one prepared input */
    int32_t planes;             /* a prepared row is so many rows of `padded` inputs, one behind the other; 0: 1 */
    bool    offset;             /* some rows are multiplied plus 128: strips carry w_start */
    bool    halves;             /* strips are laid out as gemm_halves.h says */
    bool    sums;               /* can leave int8 sums as they are */
    bool    finishes;           /* bias, activation and residual are done on the way to y */
    /* One row into prepared form, zero from K to padded; scale: int8 only. NULL: rows are used as they are. */
    void  (*prepare)(const float *x, int32_t K, int32_t padded, void *out, float *scale);
    void  (*multiply)(const hdl__gemm_tile *);
} hdl__gemm_method;

typedef struct hdl__gemm_kernels {
    const hdl__gemm_method *f32, *bf16, *int8;
    const hdl__gemm_method *bf16_native, *int8_native;  /* need AVX512_BF16, VNNI; NULL: not on this instruction set */
    const hdl__gemm_method *bf16_tiles, *int8_tiles;    /* need AMX; NULL likewise */
    const hdl__gemm_method *f32_halves;     /* likewise, for weights that have halves: gemm_halves.h */
    void (*finish)(const hdl__gemm_finish *);
    /* q = rint(x * scale), scale = 127 / max|x|; scale 1 and q 0 for a zero row; scale NaN and q 0 for a row that
     * is not finite. */
    void (*quantise)(const float *x, int32_t K, int8_t *q, float *scale);
} hdl__gemm_kernels;

extern const hdl__gemm_kernels hdl__gemm_kernels_plain, hdl__gemm_kernels_avx2, hdl__gemm_kernels_avx512;

struct hdl__cpu_kernels {
    hdl__gemm_kernels gemm;
    hdl__op_kernels   ops;      /* op_kernels.h declares hdl__op_kernels_plain, _avx2, _avx512 likewise */
};

#endif
