/* test_door.c - every rule of every door: one argument changed, its status and its words; and that nothing refused gets through. */
#include "door_rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void run_op(const door_op *op)
{
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    door_set set;

    door_fill(&set);
    hdl_status status = op->call(stream, &set);
    cr_assert_eq(status, HDL_OK, "%s as it should be: %s", op->name, hdl_error_detail());
    cr_assert_eq(f.n_calls, 1, "%s: %d calls", op->name, f.n_calls);
    cr_assert_str_eq(f.calls[0], op->name);

    for (size_t i = 0; i < op->n_rows; i++) {
        const door_row *row = &op->rows[i];
        door_fill(&set);
        door_change(&set, row);
        f.n_calls = 0;
        status = op->call(stream, &set);
        const char *detail = status == HDL_OK ? "" : hdl_error_detail();
        cr_expect_eq(status, row->status, "%s, row %zu (%s): %s, %s", op->name, i, row->words, hdl_status_name(status), detail);
        if (row->status != HDL_OK) cr_expect_str_eq(detail, row->words);
        /* an empty problem is fine and goes nowhere; so says an empty text */
        const int passes = row->status == HDL_OK && strcmp(row->words, "empty") != 0;
        cr_expect_eq(f.n_calls, passes, "%s, row %zu (%s): %d calls", op->name, i, row->words, f.n_calls);
    }

    f.n_calls = 0;
    char words[128];
    for (size_t wrong = op->args_bytes - 8; wrong <= op->args_bytes + 8; wrong += 16) {
        door_fill(&set);
        memcpy((char *)&set + op->args_at, &wrong, sizeof wrong);
        cr_expect_eq(op->call(stream, &set), HDL_EINVAL);
        snprintf(words, sizeof words, "%s: struct_bytes = %zu, this library expects %zu (set it with the _INIT macro)", op->name,
                 wrong, op->args_bytes);
        cr_expect_str_eq(hdl_error_detail(), words);
    }
    cr_expect_eq(op->call(NULL, &set), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "stream is NULL") != NULL, "%s", hdl_error_detail());
    door_fill(&set);
    set.no_args = 1;
    cr_expect_eq(op->call(stream, &set), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "args is NULL") != NULL, "%s", hdl_error_detail());
    cr_expect_eq(f.n_calls, 0);
    hdl_stream_close(stream);
    cr_expect_eq(f.n_open, 0);
}

Test(door, every_rule_of_every_op)
{
    size_t n_ops, n_rows = 0;
    const door_op *ops = door_ops(&n_ops);
    for (size_t i = 0; i < n_ops; i++) {
        run_op(&ops[i]);
        n_rows += ops[i].n_rows;
    }
    cr_expect_eq(n_ops, 12);
    cr_expect_gt(n_rows, 100);
}

Test(door, what_a_backend_does_not_offer)
{
    size_t n_ops;
    const door_op *ops = door_ops(&n_ops);
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
#define X(op) f.table.op = NULL;
    HDL__OP_MAP(X)
#undef X
    for (size_t i = 0; i < n_ops; i++) {
        door_set set;
        char words[64];
        door_fill(&set);
        cr_expect_eq(ops[i].call(stream, &set), HDL_ENOSUPPORT);
        snprintf(words, sizeof words, "%s: not offered by the fake backend", ops[i].name);
        cr_expect_str_eq(hdl_error_detail(), words);
    }
    hdl_stream_close(stream);
}

Test(door, a_device_error_loses_the_stream)
{
    size_t n_ops;
    const door_op *ops = door_ops(&n_ops);
    for (size_t i = 0; i < n_ops; i++) {
        fake f;
        fake_open(&f, 1);
        hdl_stream *stream = fake_stream(&f);
        door_set set;
        door_fill(&set);
        f.answer = HDL_ENUMERIC;    /* any other failure does not */
        cr_expect_eq(ops[i].call(stream, &set), HDL_ENUMERIC);
        f.answer = HDL_EDEVICE;
        cr_expect_eq(ops[i].call(stream, &set), HDL_EDEVICE);
        cr_expect_str_eq(hdl_error_detail(), "fake: the device says no");
        f.answer = HDL_OK;
        f.n_calls = 0;
        for (size_t k = 0; k < n_ops; k++) {
            char words[96];
            snprintf(words, sizeof words, "%s: the stream was lost earlier: fake: the device says no", ops[k].name);
            cr_expect_eq(ops[k].call(stream, &set), HDL_EDEVICE);
            cr_expect_str_eq(hdl_error_detail(), words);
        }
        cr_expect_eq(f.n_calls, 0);
        hdl_stream_close(stream);
        cr_expect_eq(f.n_open, 0);
    }
}

/* The doors that take a device: weights, tables, pools. */
Test(door, weights)
{
    static const float data[64], one[1] = {2.0f}, scales[4] = {1.0f, 2.0f, -3.0f, 4.0f}, zero[4] = {1.0f, 1.0f, 0.0f, 1.0f},
                       wild[4] = {1.0f, NAN, 1.0f, 1.0f};
    const hdl_pack_part good = {data, HDL_F32, 4, 0, NULL, 0};
    const hdl_pack_args init = HDL_PACK_ARGS_INIT;
    /* N, K, n_parts and the first part; the second part is good */
    static const struct {
        hdl_status status; const char *words; int32_t N, K, n_parts, compute, rank, ranks, use; hdl_pack_part part;
    } rows[] = {
        {HDL_OK, "", 8, 16, 2, 1, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_OK, "", 4, 16, 1, 4, 0, 1, 2, {data, HDL_I8, 4, 1, one, 1}},
        {HDL_OK, "", 4, 16, 1, 2, 0, 1, 1, {data, HDL_I16, 4, 0, scales, 4}},
        {HDL_EINVAL, "pack: N = 0, allowed 1 and more", 0, 16, 1, 1, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: K = -1, allowed 1 and more", 4, -1, 1, 1, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: n_parts = 0, allowed 1 and more", 4, 16, 0, 1, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: compute = 0, allowed 1 to 4", 4, 16, 1, 0, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: compute = 5, allowed 1 to 4", 4, 16, 1, 5, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: use = 3, allowed 0 to 2", 4, 16, 1, 1, 0, 1, 3, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_ENOSUPPORT, "pack: rank 1 of 2, only 0 of 1 is offered so far", 4, 16, 1, 1, 1, 2, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_ESHAPE, "pack: N = 9, but the sum of the parts' rows = 8", 9, 16, 2, 1, 0, 1, 0, {data, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: parts[0].rows = 0, allowed 1 and more", 4, 16, 2, 1, 0, 1, 0, {data, HDL_F32, 0, 0, NULL, 0}},
        {HDL_EINVAL, "pack: parts[0].data is NULL", 8, 16, 2, 1, 0, 1, 0, {NULL, HDL_F32, 4, 0, NULL, 0}},
        {HDL_EDTYPE, "pack: parts[0].dtype = 4 (i32), allowed f32, f16, bf16, i8, i16", 8, 16, 2, 1, 0, 1, 0, {data, HDL_I32, 4, 0, NULL, 0}},
        {HDL_EINVAL, "pack: parts[0].transposed = 2, allowed 0 and 1", 8, 16, 2, 1, 0, 1, 0, {data, HDL_F32, 4, 2, NULL, 0}},
        {HDL_ESHAPE, "pack: parts[0].n_scale = 3, allowed 1 and rows = 4", 8, 16, 2, 1, 0, 1, 0, {data, HDL_I8, 4, 0, scales, 3}},
        {HDL_ENUMERIC, "pack: parts[0].scale[2] = 0, allowed finite values other than 0", 8, 16, 2, 1, 0, 1, 0, {data, HDL_I8, 4, 0, zero, 4}},
        {HDL_ENUMERIC, "pack: parts[0].scale[1] = nan, allowed finite values other than 0", 8, 16, 2, 1, 0, 1, 0, {data, HDL_I8, 4, 0, wild, 4}},
    };
    fake f;
    fake_open(&f, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl_pack_part parts[2] = {rows[i].part, good};
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

    static const struct { hdl_status status; const char *words; int32_t n_pages, n_layers, Hkv, D; } rows[] = {
        {HDL_OK, "", 7, 6, 8, 64},
        {HDL_EINVAL, "kv_pool: n_pages = 0, allowed 1 and more", 0, 6, 8, 64},
        {HDL_EINVAL, "kv_pool: n_layers = 0, allowed 1 and more", 7, 0, 8, 64},
        {HDL_EINVAL, "kv_pool: Hkv = -1, allowed 1 and more", 7, 6, -1, 64},
        {HDL_EINVAL, "kv_pool: D = 512, allowed 4 to 256", 7, 6, 8, 512},
        {HDL_EINVAL, "kv_pool: D = 66 is not a multiple of 4", 7, 6, 8, 66},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl_kv_pool_desc desc = {sizeof desc, rows[i].n_pages, rows[i].n_layers, rows[i].Hkv, rows[i].D};
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

/* What overlaps what: x [M, K] and y [M, N] placed in one buffer of floats. */
Test(door, overlap_is_seen_by_element)
{
    static const struct { int32_t M, K, N; int64_t x, ldx, y, ldy; hdl_status status; } rows[] = {
        {4, 8, 8, 0, 8, 0, 8, HDL_EINVAL},
        {4, 8, 8, 0, 8, 32, 8, HDL_OK},         /* right behind */
        {4, 8, 8, 0, 8, 31, 8, HDL_EINVAL},     /* the last element */
        {4, 8, 8, 32, 8, 0, 8, HDL_OK},
        {4, 8, 8, 31, 8, 0, 8, HDL_EINVAL},
        {4, 8, 8, 0, 16, 8, 16, HDL_OK},        /* left and right columns of one buffer */
        {4, 8, 8, 8, 16, 0, 16, HDL_OK},
        {4, 8, 8, 0, 16, 7, 16, HDL_EINVAL},
        {4, 8, 8, 1, 16, 8, 16, HDL_EINVAL},
        {4, 8, 9, 0, 17, 8, 17, HDL_OK},
        {4, 8, 8, 0, 16, 24, 16, HDL_OK},       /* columns, a row further down */
        {4, 8, 8, 0, 16, 25, 16, HDL_EINVAL},   /* its last column is the next row's first */
        {4, 8, 8, 0, 8, 40, 16, HDL_OK},
        {4, 8, 8, 0, 8, 24, 16, HDL_EINVAL},
    };
    static float buffer[256];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
        a.x = buffer + rows[i].x;
        a.ldx = rows[i].ldx;
        a.y = buffer + rows[i].y;
        a.ldy = rows[i].ldy;
        a.w = (const hdl_weight *)(const void *)buffer;
        a.M = rows[i].M;
        a.N = rows[i].N;
        a.K = rows[i].K;
        cr_expect_eq(hdl_gemm(stream, &a), rows[i].status, "row %zu", i);
    }
    hdl_stream_close(stream);
}

/* May y be the residual, x, the gate? Same and elsewhere; never shifted. */
Test(door, what_may_be_the_same_buffer)
{
    static float b[256];
    fake f;
    fake_open(&f, 1);
    hdl_stream *stream = fake_stream(&f);

    hdl_norm_args n = HDL_NORM_ARGS_INIT;
    n.x = b;
    n.gamma = b + 200;
    n.M = 4;
    n.E = 8;
    n.eps = 1e-5f;
    const struct { float *residual, *y, *sum; const char *words; } norms[] = {
        {NULL, b, NULL, ""}, {b, b, NULL, ""}, {b + 32, b + 32, NULL, ""}, {b + 32, b, b + 32, ""}, {b + 32, b + 32, b, ""},
        {b + 32, b + 64, b, ""},
        {NULL, b + 1, NULL, "norm: y overlaps x without being the same"},
        {b + 32, b + 33, NULL, "norm: y overlaps residual without being the same"},
        {NULL, b + 64, b + 1, "norm: sum overlaps x without being the same"},
        {b + 32, b + 96, b + 40, "norm: sum overlaps residual without being the same"},
        {NULL, b + 64, b + 64, "norm: sum overlaps y"}, {NULL, b + 64, b + 65, "norm: sum overlaps y"},
    };
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
        n.residual = norms[i].residual;
        n.y = norms[i].y;
        n.sum = norms[i].sum;
        cr_expect_eq(hdl_norm(stream, &n), norms[i].words[0] == '\0' ? HDL_OK : HDL_EINVAL, "norm, row %zu", i);
        if (norms[i].words[0] != '\0') cr_expect_str_eq(hdl_error_detail(), norms[i].words);
    }

    hdl_glu_args g = HDL_GLU_ARGS_INIT;
    g.up = b;
    g.gate = b + 8;
    g.ldu = g.ldg = g.ldy = 16;
    g.M = 4;
    g.F = 8;
    g.y = b;
    cr_expect_eq(hdl_glu(stream, &g), HDL_OK);
    g.y = b + 8;
    cr_expect_eq(hdl_glu(stream, &g), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "glu: y overlaps gate");
    hdl_stream_close(stream);
}
