/* gemm_simd.h - names of this instruction set's product kernels, and how rows are dealt to register tiles. */
#ifndef HEDDLE_HOST_SIMD_GEMM_SIMD_H
#define HEDDLE_HOST_SIMD_GEMM_SIMD_H

#include "cpu/kernel_table.h"
#include "cpu/simd/vec_math.h"

#if defined(HDL__ISA_AVX512)
#  define HDL__GEMM_KERNELS     hdl__gemm_kernels_avx512
#  define HDL__GEMM_F32         hdl__gemm_f32_avx512
#  define HDL__GEMM_BF16        hdl__gemm_bf16_avx512
#  define HDL__GEMM_INT8        hdl__gemm_int8_avx512
#  define HDL__GEMM_FINISH      hdl__gemm_finish_avx512
#  define HDL__QUANTISE         hdl__quantise_avx512
#elif defined(HDL__ISA_AVX2)
#  define HDL__GEMM_KERNELS     hdl__gemm_kernels_avx2
#  define HDL__GEMM_F32         hdl__gemm_f32_avx2
#  define HDL__GEMM_BF16        hdl__gemm_bf16_avx2
#  define HDL__GEMM_INT8        hdl__gemm_int8_avx2
#  define HDL__GEMM_FINISH      hdl__gemm_finish_avx2
#  define HDL__QUANTISE         hdl__quantise_avx2
#else
#  define HDL__GEMM_KERNELS     hdl__gemm_kernels_plain
#  define HDL__GEMM_F32         hdl__gemm_f32_plain
#  define HDL__GEMM_BF16        hdl__gemm_bf16_plain
#  define HDL__GEMM_INT8        hdl__gemm_int8_plain
#  define HDL__GEMM_FINISH      hdl__gemm_finish_plain
#  define HDL__QUANTISE         hdl__quantise_plain
#endif

extern const hdl__gemm_method HDL__GEMM_F32, HDL__GEMM_BF16, HDL__GEMM_INT8;
#if defined(HDL__ISA_AVX512)
extern const hdl__gemm_method hdl__gemm_bf16_dot, hdl__gemm_int8_vnni, hdl__gemm_bf16_amx, hdl__gemm_int8_amx,
                              hdl__gemm_f32_halves;

/* What gemm_native.c and gemm_amx.c share (prepare_int8_... are gemm_quantise.c's): processors with AMX have VNNI and
 * AVX512_BF16 too. Halves have a prepare of their own. */
void hdl__prepare_int8_offset(const float *x, int32_t K, int32_t padded, void *out, float *scale);
void hdl__prepare_int8_signed(const float *x, int32_t K, int32_t padded, void *out, float *scale);
void hdl__prepare_bf16_pairs(const float *x, int32_t K, int32_t padded, void *out, float *scale);
void hdl__multiply_int8_signed(const hdl__gemm_tile *);      /* rows as prepare_int8_signed leaves them */

/* Gives this thread's tiles the shape that ours have, all of them whole: for gemm_amx.c and gemm_halves_amx.c. */
void hdl__shape_tiles(void);
#endif

void HDL__GEMM_FINISH(const hdl__gemm_finish *);
void HDL__QUANTISE(const float *x, int32_t K, int8_t *q, float *scale);

/*
 * Register tile: ROWS rows times VECTORS vectors of columns; accumulators, one row of weights and a broadcast input
 * fit the register file (32 registers on AVX-512, 16 elsewhere).
 */
#define HDL__TILE_ROWS 6
#if defined(HDL__ISA_AVX512)
#  define HDL__TILE_VECTORS 4
#else
#  define HDL__TILE_VECTORS 2
#endif
#define HDL__TILE_WIDTH (HDL__TILE_VECTORS * HDL__VF_LANES)

/* Rows of the next register tile when `left` remain: tiles of nearly equal height rather than a full one and a
 * thin one. */
static inline int32_t deal_rows(int32_t left)
{
    const int32_t tiles = (left + HDL__TILE_ROWS - 1) / HDL__TILE_ROWS;
    return (left + tiles - 1) / tiles;
}

#endif
