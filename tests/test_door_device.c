/* test_door_device.c - the doors that take a device: packed weights, embedding tables, pools of pages. */
#include "fake_backend.h"

#include <criterion/criterion.h>
#include <math.h>

Test(door, weights)
{
    static const float data[64], one[1] = {2}, scales[4] = {1, 2, -3, 4}, zero[4] = {1, 1, 0, 1};
    static const float wild[4] = {1, NAN, 1, 1};
    const hdl_pack_args init = HDL_PACK_ARGS_INIT;
    const hdl_pack_part good = {data, HDL_F32, 4, 0, NULL, 0}, i8 = {data, HDL_I8, 4, 1, one, 1},
                        i16 = {data, HDL_I16, 4, 0, scales, 4}, no_rows = {data, HDL_F32, 0, 0, NULL, 0},
                        no_data = {NULL, HDL_F32, 4, 0, NULL, 0}, i32 = {data, HDL_I32, 4, 0, NULL, 0},
                        turned = {data, HDL_F32, 4, 2, NULL, 0}, three = {data, HDL_I8, 4, 0, scales, 3},
                        with_zero = {data, HDL_I8, 4, 0, zero, 4}, with_nan = {data, HDL_I8, 4, 0, wild, 4};
    /* the first part; a second one is good */
    const struct {
        hdl_status status;
        const hdl_pack_part *part;
        int32_t n_parts, N, K, compute, rank, ranks, use;
        const char *words;
    } rows[] = {
        {HDL_OK, &good, 2, 8, 16, 1, 0, 1, 0, ""},
        {HDL_OK, &i8, 1, 4, 16, 4, 0, 1, 2, ""},
        {HDL_OK, &i16, 1, 4, 16, 2, 0, 1, 1, ""},
        {HDL_EINVAL, &good, 1, 0, 16, 1, 0, 1, 0, "pack: N = 0, allowed 1 and more"},
        {HDL_EINVAL, &good, 1, 4, -1, 1, 0, 1, 0, "pack: K = -1, allowed 1 and more"},
        {HDL_EINVAL, &good, 0, 4, 16, 1, 0, 1, 0, "pack: n_parts = 0, allowed 1 and more"},
        {HDL_EINVAL, &good, 1, 4, 16, 0, 0, 1, 0, "pack: compute = 0, allowed 1 to 4"},
        {HDL_EINVAL, &good, 1, 4, 16, 5, 0, 1, 0, "pack: compute = 5, allowed 1 to 4"},
        {HDL_EINVAL, &good, 1, 4, 16, 1, 0, 1, 3, "pack: use = 3, allowed 0 to 2"},
        {HDL_ENOSUPPORT, &good, 1, 4, 16, 1, 1, 2, 0, "pack: rank 1 of 2, only 0 of 1 is offered so far"},
        {HDL_ENOSUPPORT, &good, 1, 4, 16, 1, 0, 2, 0, "pack: rank 0 of 2, only 0 of 1 is offered so far"},
        {HDL_ESHAPE, &good, 2, 9, 16, 1, 0, 1, 0, "pack: N = 9, but the sum of the parts' rows = 8"},
        {HDL_EINVAL, &no_rows, 2, 4, 16, 1, 0, 1, 0, "pack: parts[0].rows = 0, allowed 1 and more"},
        {HDL_EINVAL, &no_data, 2, 8, 16, 1, 0, 1, 0, "pack: parts[0].data is NULL"},
        {HDL_EDTYPE, &i32, 2, 8, 16, 1, 0, 1, 0, "pack: parts[0].dtype = 4 (i32), allowed f32, f16, bf16, i8, i16"},
        {HDL_EINVAL, &turned, 2, 8, 16, 1, 0, 1, 0, "pack: parts[0].transposed = 2, allowed 0 and 1"},
        {HDL_ESHAPE, &three, 2, 8, 16, 1, 0, 1, 0, "pack: parts[0].n_scale = 3, allowed 1 and rows = 4"},
        {HDL_ENUMERIC, &with_zero, 2, 8, 16, 1, 0, 1, 0,
         "pack: parts[0].scale[2] = 0, allowed finite values other than 0"},
        {HDL_ENUMERIC, &with_nan, 2, 8, 16, 1, 0, 1, 0,
         "pack: parts[0].scale[1] = nan, allowed finite values other than 0"},
    };
    fake f;
    fake_open(&f, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl_pack_part parts[2] = {*rows[i].part, good};
        hdl_pack_args a = init;
        a.parts = parts;
        a.n_parts = rows[i].n_parts;
        a.N = rows[i].N;
        a.K = rows[i].K;
        a.compute = (hdl_compute)rows[i].compute;
        a.rank = rows[i].rank;
        a.ranks = rows[i].ranks;
        a.use = (hdl_pack_use)rows[i].use;
        hdl_weight *w = NULL;
        f.n_calls = 0;
        cr_expect_eq(hdl_weight_pack(&f.device, &a, &w), rows[i].status, "row %zu", i);
        cr_expect_eq(f.n_calls, rows[i].status == HDL_OK, "row %zu", i);
        cr_expect_eq(w != NULL, rows[i].status == HDL_OK, "row %zu", i);
        if (rows[i].status != HDL_OK) cr_expect_str_eq(hdl_error_detail(), rows[i].words);
        else cr_expect_eq(hdl_weight_bytes(&f.device, w), 1000);
        hdl_weight_close(&f.device, w);
    }
    hdl_pack_args a = init;
    hdl_weight *w = NULL;
    a.n_parts = a.N = a.K = 1;
    cr_expect_eq(hdl_weight_pack(&f.device, &a, &w), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "pack: parts is NULL");
    cr_expect_eq(hdl_weight_pack(&f.device, &a, NULL), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "pack: the pointer for the result is NULL");
    cr_expect_eq(hdl_weight_pack(NULL, &a, &w), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "pack: device is NULL");
    cr_expect_eq(hdl_weight_bytes(&f.device, NULL), 0);
    hdl_weight_close(&f.device, NULL);
    f.table.pack = NULL;
    cr_expect_eq(hdl_weight_pack(&f.device, &a, &w), HDL_ENOSUPPORT);
    cr_expect_eq(f.n_open, 0);
}

Test(door, tables_and_pools)
{
    static const float data[64];
    fake f;
    fake_open(&f, 1);
    hdl_pack_part part = {data, HDL_F32, 4, 0, NULL, 0};
    hdl_embedding *e = NULL;
    cr_expect_eq(hdl_embedding_open(&f.device, &part, 16, &e), HDL_OK);
    hdl_embedding_close(&f.device, e);
    cr_expect_eq(hdl_embedding_open(&f.device, &part, 0, &e), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "embedding: E = 0, allowed 1 to 16384");
    cr_expect_eq(hdl_embedding_open(&f.device, NULL, 16, &e), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "embedding: part is NULL");
    part.data = NULL;
    cr_expect_eq(hdl_embedding_open(&f.device, &part, 16, &e), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "embedding: parts[0].data is NULL");
    cr_expect_eq(hdl_embedding_of_weight(&f.device, (const hdl_weight *)(const void *)data, 16, &e), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(), "embedding of a weight: not offered by the fake backend");
    cr_expect_eq(hdl_embedding_of_weight(NULL, NULL, 16, &e), HDL_EINVAL);

    static const struct { hdl_status status; const char *words; int32_t n_pages, n_layers, Hkv, D; } rows[] = {
        {HDL_OK, "", 7, 6, 8, 64},
        {HDL_EINVAL, "kv_pool: n_pages = 0, allowed 1 and more", 0, 6, 8, 64},
        {HDL_EINVAL, "kv_pool: n_layers = 0, allowed 1 and more", 7, 0, 8, 64},
        {HDL_EINVAL, "kv_pool: Hkv = -1, allowed 1 and more", 7, 6, -1, 64},
        {HDL_EINVAL, "kv_pool: D = 512, allowed 4 to 256", 7, 6, 8, 512},
        {HDL_EINVAL, "kv_pool: D = 66 is not a multiple of 4", 7, 6, 8, 66},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl_kv_pool_desc desc = {sizeof desc, rows[i].n_pages, rows[i].n_layers, rows[i].Hkv,
                                       rows[i].D, HDL_F32, 0};
        size_t bytes = 1;
        hdl_kv_pool *pool = NULL;
        cr_expect_eq(hdl_kv_pool_bytes(&f.device, &desc, &bytes), rows[i].status, "row %zu", i);
        cr_expect_eq(bytes, rows[i].status == HDL_OK ? 70 : 1, "row %zu", i);
        if (rows[i].status != HDL_OK) cr_expect_str_eq(hdl_error_detail(), rows[i].words);
        cr_expect_eq(hdl_kv_pool_open(&f.device, &desc, &pool), rows[i].status, "row %zu", i);
        if (rows[i].status != HDL_OK) cr_expect_str_eq(hdl_error_detail(), rows[i].words);
        hdl_kv_pool_close(&f.device, pool);
    }
    hdl_kv_pool_desc desc = HDL_KV_POOL_DESC_INIT;
    size_t bytes;
    desc.struct_bytes = 3;
    cr_expect_eq(hdl_kv_pool_bytes(&f.device, &desc, &bytes), HDL_EINVAL);
    f.table.kv_pool_open = NULL;
    f.table.embedding_open = NULL;
    desc = (hdl_kv_pool_desc)HDL_KV_POOL_DESC_INIT;
    cr_expect_eq(hdl_kv_pool_bytes(&f.device, &desc, &bytes), HDL_ENOSUPPORT);
    cr_expect_eq(hdl_embedding_open(&f.device, &part, 16, &e), HDL_ENOSUPPORT);
    cr_expect_eq(f.n_open, 0);
}
