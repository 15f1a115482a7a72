/* glu_rows.h - y = act(up) * gate over one row. */
#ifndef HEDDLE_HOST_SIMD_GLU_ROWS_H
#define HEDDLE_HOST_SIMD_GLU_ROWS_H

#include "cpu/op_kernels.h"
#include "cpu/simd/vec_activation.h"

static void glu_row(const float *up, const float *gate, float *y, int32_t n, hdl_activation act)
{
    int32_t i = 0;
    for (; i + HDL__VF_LANES <= n; i += HDL__VF_LANES)
        vf_store(y + i, vf_activate(vf_load(up + i), act) * vf_load(gate + i));
    if (i < n) vf_store_part(y + i, vf_activate(vf_load_part(up + i, n - i), act) * vf_load_part(gate + i, n - i), n - i);
}

#endif
