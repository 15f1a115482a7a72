/*
 * gemm_halves.h - f32 weights as sums of two bf16 numbers, four bytes together.
 *
 * A number of 16 significant bits, such as all that were stored as f16 or bf16, is exactly its upper half (8 bits, cut
 * off) plus what is left (8 more). A strip is [K / 32, columns / 16, 2, 16, 16, 2]: steps of 32 k; blocks of columns; upper
 * halves, then what is left; pairs of k; columns; the two k of a pair.
 */
#ifndef HEDDLE_HOST_GEMM_HALVES_H
#define HEDDLE_HOST_GEMM_HALVES_H

#include "cpu/gemm_weight.h"

#define HDL__HALVES_STEP 32

/* Whether the f32 strips of w lose nothing as halves, and the device multiplies those. */
bool hdl__gemm_has_halves(const hdl_weight *w);

/* Turns the strips of w into halves, in place. room: f32 [width, K]. */
void hdl__gemm_halve(hdl_weight *w, float *room);

/* Column n of w as f32 [K], from k to k + count; k is a multiple of HDL__HALVES_STEP. */
void hdl__gemm_join(const hdl_weight *w, int32_t n, int32_t k, int32_t count, float *to);

#endif
