/* gemm_finish.c - what follows a product while its tile is in the L1: bias, activation, residual. */
#include "cpu/simd/gemm_simd.h"
#include "cpu/simd/vec_activation.h"

/* `act` is a constant at every call, so that the choice is made once a tile. */
HDL__INLINE void finish_tile(const hdl__gemm_finish *f, const hdl_activation act)
{
    const int32_t whole = f->columns - f->columns % HDL__VF_LANES, rest = f->columns - whole;
    for (int32_t m = 0; m < f->M; ++m) {
        const float *from = f->tile + m * f->ld_tile;
        const float *residual = f->residual ? f->residual + m * f->ldr : NULL;
        float *to = f->y + m * f->ldy;
        for (int32_t n = 0; n < whole; n += HDL__VF_LANES) {
            vf v = vf_load(from + n);
            if (f->bias) v += vf_load(f->bias + n);
            v = vf_activate(v, act);
            if (residual) v += vf_load(residual + n);
            vf_store(to + n, v);
        }
        if (rest == 0) continue;
        vf v = vf_load_part(from + whole, rest);
        if (f->bias) v += vf_load_part(f->bias + whole, rest);
        v = vf_activate(v, act);
        if (residual) v += vf_load_part(residual + whole, rest);
        vf_store_part(to + whole, v, rest);
    }
}

void HDL__GEMM_FINISH(const hdl__gemm_finish *f)
{
    switch (f->act) {
    case HDL_ACT_NONE:         finish_tile(f, HDL_ACT_NONE); break;
    case HDL_ACT_RELU:         finish_tile(f, HDL_ACT_RELU); break;
    case HDL_ACT_GELU_TANH:    finish_tile(f, HDL_ACT_GELU_TANH); break;
    case HDL_ACT_SWISH:        finish_tile(f, HDL_ACT_SWISH); break;
    case HDL_ACT_GELU_ERF:     finish_tile(f, HDL_ACT_GELU_ERF); break;
    case HDL_ACT_GELU_SIGMOID: finish_tile(f, HDL_ACT_GELU_SIGMOID); break;
    case HDL_ACT_TANH:         finish_tile(f, HDL_ACT_TANH); break;
    case HDL_ACT_SIGMOID:      finish_tile(f, HDL_ACT_SIGMOID); break;
    case HDL_N_ACTIVATIONS:    break;
    }
}
