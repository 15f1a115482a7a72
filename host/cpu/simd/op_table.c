/* op_table.c - the table of the inner loops of this compilation's instruction set. */
#include "cpu/simd/attend_tiles.h"
#include "cpu/simd/glu_rows.h"
#include "cpu/simd/logit_rows.h"
#include "cpu/simd/norm_rows.h"
#include "cpu/simd/widen_rows.h"

#if defined(HDL__ISA_AVX512)
const hdl__op_kernels hdl__op_kernels_avx512 = {
#elif defined(HDL__ISA_AVX2)
const hdl__op_kernels hdl__op_kernels_avx2 = {
#else
const hdl__op_kernels hdl__op_kernels_plain = {
#endif
    .attend_blocks = attend_blocks,
    .attend_keys = attend_keys,
    .add_probabilities = add_probabilities,
    .norm = norm_row,
    .widen = widen_row,
    .narrow = narrow_row,
    .glu = glu_row,
    .scale_sums = scale_sums,
    .logit_scan = logit_scan,
    .logit_add = logit_add,
    .exp_row = exp_row,
};
