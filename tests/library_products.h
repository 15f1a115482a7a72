/*
 * library_products.h - for tests of products by cuBLASLt: a world that has it, weights that are packed there, products of them.
 */
#ifndef HEDDLE_TESTS_LIBRARY_PRODUCTS_H
#define HEDDLE_TESTS_LIBRARY_PRODUCTS_H

#include "cublaslt_doubles.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { MOST_ROWS = 2100, WIDEST = 640 };       /* of what such tests multiply */

/* A world whose products are the library's: the double of that name on the stand-in, the real one on a GPU. */
static inline bool open_with(op_world *w, op_place place, const char *name, uint64_t seed)
{
    const bool simt = place <= OP_SIMT_F16;
    if ((simt && !has_double(name)) || !op_open_at(w, place, seed)) return false;
    w->backend->stream_close(w->stream);
    w->backend->close(w->device);
    const hdl_status status = open_device(w->backend, simt ? folder_of(name) : NULL, &w->device);
    if (!simt && status == HDL_EBACKEND) {
        printf("skipped: %s\n", op_services_line());
        return false;
    }
    cr_assert_eq(status, HDL_OK, "%s", op_services_line());
    cr_assert_eq(w->backend->stream_create(w->device, &w->stream), HDL_OK);
    const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = MOST_ROWS, .K = WIDEST, .N = WIDEST};
    op_reserve(w, &limits);
    return true;
}

static inline hdl_device_info info_of(const op_world *w)
{
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    cr_assert_eq(w->backend->describe(w->device, &info), HDL_OK);
    return info;
}

static inline hdl_status pack_for(op_world *w, const float *values, int32_t N, int32_t K, hdl_pack_use use, hdl_weight **out)
{
    const hdl_pack_part part = {values, HDL_F32, N, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part, args.n_parts = 1, args.N = N, args.K = K, args.compute = w->compute, args.use = use;
    return w->backend->pack(w->device, &args, out);
}

typedef struct product { int32_t M, K, N; float *x, *values; hdl_weight *w; } product;

static inline product make_product(op_world *w, int32_t M, int32_t K, int32_t N)
{
    product p = {M, K, N, op_normals(w, (size_t)(M * K)), op_normals(w, (size_t)(N * K)), NULL};
    op_act_round(w, p.x, (size_t)(M * K));
    op_act_round(w, p.values, (size_t)(N * K));
    cr_assert_eq(pack_for(w, p.values, N, K, HDL_PACK_FOR_GEMM, &p.w), HDL_OK, "%s", op_services_line());
    return p;
}

static inline hdl_gemm_args args_of(const op_world *w, const product *p, const void *x, void *y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = x, a.ldx = p->K, a.w = p->w, a.y = y, a.ldy = p->N;
    a.M = p->M, a.N = p->N, a.K = p->K, a.act_dtype = w->act;
    return a;
}

static inline void run(op_world *w, const hdl_gemm_args *a)
{
    cr_assert_eq(w->backend->gemm(w->stream, a), HDL_OK, "%s: %s", op_place_name(w->place), op_error(w));
}

#endif
