/* test_safetensors.c - the safetensors reader: headers, offsets, overlaps, gaps, shards. */
#include "format_models.h"

#include "formats/safetensors.h"

/* Headers of a file with 16 bytes of data. */
static const struct { const char *label, *header; hdl_status status; const char *words; } headers[] = {
    {"two tensors", "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                    "\"b\":{\"dtype\":\"I8\",\"shape\":[2,4],\"data_offsets\":[8,16]}", HDL_OK, NULL},
    {"metadata is no tensor", "\"__metadata__\":{\"format\":\"pt\"},"
                              "\"a\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[0,16]}", HDL_OK, NULL},
    {"scalar and empty", "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[8,8]},"
                         "\"c\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,16]}", HDL_OK, NULL},
    {"overlap", "\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", HDL_EFORMAT, "overlaps"},
    {"the same bytes twice", "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                             "\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}", HDL_EFORMAT,
     "overlaps"},
    {"gap", "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", HDL_EFORMAT, "gap"},
    {"bytes left over", "\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}", HDL_EFORMAT,
     "tensors end at 12, the data at 16"},
    {"past the end", "\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]}", HDL_EFORMAT,
     "the file has 0 to 16"},
    {"backwards", "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}", HDL_EFORMAT, "data_offsets"},
    {"negative", "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}", HDL_EFORMAT, "data_offsets"},
    {"one offset", "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}", HDL_EFORMAT, "not a pair"},
    {"no offsets", "\"a\":{\"dtype\":\"F32\",\"shape\":[4]}", HDL_EFORMAT, "not a pair"},
    {"shape needs more", "\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}", HDL_EFORMAT,
     "16 bytes of data, its shape needs 20"},
    {"shape overflows", "\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,16]}",
     HDL_EFORMAT, "tensor a"},
    {"negative dimension", "\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}", HDL_EFORMAT,
     "dimension 0"},
    {"rank 5", "\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,4],\"data_offsets\":[0,16]}", HDL_EFORMAT, "rank 5"},
    {"dtype F64", "\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}", HDL_ENOSUPPORT, "dtype F64"},
    {"no dtype", "\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}", HDL_EFORMAT, "no \"dtype\""},
    {"dtype is a number", "\"a\":{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,16]}", HDL_EFORMAT, "no \"dtype\""},
    {"no shape", "\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}", HDL_EFORMAT, "no \"shape\""},
    {"entry is a list", "\"a\":[]", HDL_EFORMAT, "not an object"},
    {"name twice", "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                   "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", HDL_EFORMAT, "duplicate"},
    {"offset 1e400", "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,1e400]}", HDL_EFORMAT, "line 1"},
    {"cut JSON", "\"a\":{\"dtype\":", HDL_EFORMAT, "line 1"},
};

Test(safetensors, headers)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        model_files m = {0};
        hdl__str data = {0};
        hdl__tensor_set set = {0};
        hdl__str_add(&data, "0123456789abcdef", 16);
        put_safetensors(&m, "x.safetensors", headers[i].header, &data);
        const hdl__file file = {.data = m.files[0].data, .n = m.files[0].n_bytes};
        hdl_status status = hdl__safetensors_read(&file, "x.safetensors", &set, NULL);
        cr_expect_eq(status, headers[i].status, "%s: %s (%s)", headers[i].label, hdl_status_name(status),
                     hdl_error_detail());
        if (status != HDL_OK)
            cr_expect(strstr(hdl_error_detail(), headers[i].words) != NULL, "%s: \"%s\"", headers[i].label,
                      hdl_error_detail());
        hdl__tensor_set_close(&set);
        hdl__str_free(&data);
        free_files(&m);
    }
}

Test(safetensors, values_and_shapes)
{
    model_files m = {0};
    hdl__str data = {0};
    hdl__tensor_set set = {0};
    hdl__str_add(&data, "0123456789abcdef", 16);
    put_safetensors(&m, "x.safetensors", headers[0].header, &data);
    const hdl__file file = {.data = m.files[0].data, .n = m.files[0].n_bytes};
    cr_assert_eq(hdl__safetensors_read(&file, "x.safetensors", &set, NULL), HDL_OK);
    cr_assert_eq(hdl__tensor_set_sort(&set), HDL_OK);
    const hdl__raw_tensor *b = hdl__tensor_set_find(&set, "b");
    cr_assert_not_null(b);
    cr_expect_eq(b->dtype, HDL_I8);
    cr_expect_eq(b->rank, 2);
    cr_expect_eq(b->shape[1], 4);
    cr_expect_eq(memcmp(b->data, "89abcdef", 8), 0);
    hdl__tensor_set_close(&set);
    hdl__str_free(&data);
    free_files(&m);
}

/* Header lengths that do not fit the file. */
Test(safetensors, header_lengths)
{
    static const uint64_t lengths[] = {0, 3, 1000, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t bytes[64] = {0};
        hdl__tensor_set set = {0};
        memcpy(bytes, &lengths[i], sizeof lengths[i]);
        memcpy(bytes + 8, "{}", 2);
        const hdl__file file = {.data = bytes, .n = sizeof bytes};
        cr_expect_eq(hdl__safetensors_read(&file, "x", &set, NULL), HDL_EFORMAT, "length %lu",
                     (unsigned long)lengths[i]);
        hdl__tensor_set_close(&set);
    }
}

/* The tiny MarianMT model cut into two shards. */
static void make_sharded(model_files *m, const char *index)
{
    make_marianmt(m, NULL);
    drop_file(m, "model.safetensors");
    safetensors_writer w = {0};
    put_tensor(&w, "model.shared.weight", TINY_V, TINY_E);
    put_marianmt_layer(&w, "encoder", 0);
    finish_safetensors(&w, m, "part-1.safetensors");
    put_marianmt_layer(&w, "decoder", 0);
    finish_safetensors(&w, m, "part-2.safetensors");
    put_text(m, "model.safetensors.index.json", index);
}

static const struct { const char *label, *index; hdl_status status; const char *words; } indexes[] = {
    {"two shards", "{\"weight_map\": {\"model.shared.weight\": \"part-1.safetensors\", "
                   "\"model.decoder.layers.0.fc1.bias\": \"part-2.safetensors\"}}", HDL_OK, NULL},
    {"one shard not named", "{\"weight_map\": {\"model.shared.weight\": \"part-1.safetensors\"}}", HDL_EFORMAT,
     "model.decoder.layers.0.self_attn.q_proj.weight is missing"},
    {"tensor in no file", "{\"weight_map\": {\"zz\": \"part-1.safetensors\"}}", HDL_EFORMAT, "zz"},
    {"shard outside", "{\"weight_map\": {\"a\": \"../part-1.safetensors\"}}", HDL_EFORMAT, "plain file name"},
    {"absolute shard", "{\"weight_map\": {\"a\": \"/etc/passwd\"}}", HDL_EFORMAT, "plain file name"},
    {"shard is a number", "{\"weight_map\": {\"a\": 1}}", HDL_EFORMAT, "plain file name"},
    {"absent shard", "{\"weight_map\": {\"a\": \"part-9.safetensors\"}}", HDL_EIO, "part-9"},
    {"no map", "{}", HDL_EFORMAT, "weight_map"},
    {"a list", "[]", HDL_EFORMAT, "weight_map"},
};

Test(safetensors, shards)
{
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        model_files m = {0};
        make_sharded(&m, indexes[i].index);
        expect_load(&m, indexes[i].label, indexes[i].status, indexes[i].words);
        free_files(&m);
    }
}

Test(safetensors, every_allocation_of_a_sharded_load_fails_once)
{
    model_files m = {0};
    make_sharded(&m, indexes[0].index);
    expect_every_allocation_reported(&m);
    free_files(&m);
}
