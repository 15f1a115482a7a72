/* test_ct2_scalars.c - single values, strings and old names of CTranslate2 files. */
#include "format_models.h"

#include "formats/ct2_file.h"

#include <math.h>

/* Names of OpenNMT-tf, as the first revision stored them. */
static const char *const names[][2] = {
    {"transformer/encoder/w_embs:0", "encoder/embeddings/weight"},
    {"transformer/encoder/layer_0/multi_head/conv1d/kernel:0", "encoder/layer_0/self_attention/linear_0/weight"},
    {"transformer/encoder/layer_0/multi_head/LayerNorm/beta:0", "encoder/layer_0/self_attention/layer_norm/beta"},
    {"transformer/encoder/layer_0/ffn/conv1d_1/bias:0", "encoder/layer_0/ffn/linear_1/bias"},
    {"transformer/decoder/layer_1/masked_multi_head/conv1d_1/kernel:0",
     "decoder/layer_1/self_attention/linear_1/weight"},
    {"transformer/decoder/layer_1/multi_head/conv1d_2/kernel:0", "decoder/layer_1/attention/linear_2/weight"},
    {"transformer/decoder/dense/kernel:0", "decoder/projection/weight"},
    {"encoder/layer_norm/gamma", "encoder/layer_norm/gamma"},
    {"x", "x"},
};

Test(ct2_scalars, old_names)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        hdl__str modern = {0};
        hdl__ct2_modern_name(names[i][0], strlen(names[i][0]), &modern);
        cr_expect_str_eq(modern.data, names[i][1]);
        hdl__str_free(&modern);
    }
}

static const struct {
    const char *label;
    hdl_dtype   dtype;
    uint8_t     bytes[8];       /* little endian */
    size_t      n;
    hdl_status  status;
    double      value;
} values[] = {
    {"f32 0.5", HDL_F32, {0, 0, 0, 0x3F}, 4, HDL_OK, 0.5},
    {"f32 NaN", HDL_F32, {0, 0, 0xC0, 0x7F}, 4, HDL_EFORMAT, 0.0},
    {"i32 -2", HDL_I32, {0xFE, 0xFF, 0xFF, 0xFF}, 4, HDL_OK, -2.0},
    {"i16 300", HDL_I16, {0x2C, 0x01}, 2, HDL_OK, 300.0},
    {"i8 -1", HDL_I8, {0xFF}, 1, HDL_OK, -1.0},
    {"f16 1.5", HDL_F16, {0x00, 0x3E}, 2, HDL_OK, 1.5},
    {"f16 -2", HDL_F16, {0x00, 0xC0}, 2, HDL_OK, -2.0},
    {"f16 smallest", HDL_F16, {0x01, 0x00}, 2, HDL_OK, 5.9604644775390625e-8},
    {"f16 largest", HDL_F16, {0xFF, 0x7B}, 2, HDL_OK, 65504.0},
    {"f16 infinity", HDL_F16, {0x00, 0x7C}, 2, HDL_EFORMAT, 0.0},
    {"f16 NaN", HDL_F16, {0x01, 0x7C}, 2, HDL_EFORMAT, 0.0},
    {"bf16 1", HDL_BF16, {0x80, 0x3F}, 2, HDL_OK, 1.0},
    {"bf16 infinity", HDL_BF16, {0x80, 0x7F}, 2, HDL_EFORMAT, 0.0},
    {"two values", HDL_F32, {0}, 8, HDL_EFORMAT, 0.0},
    {"no value", HDL_F32, {0}, 0, HDL_EFORMAT, 0.0},
};

static void one_variable(hdl__ct2_file *file, hdl_dtype dtype, const void *data, size_t n)
{
    const hdl__raw_tensor tensor = {.data = data, .bytes = n, .dtype = dtype};
    *file = (hdl__ct2_file){.name = "model.bin", .version = 5, .revision = 7};
    cr_assert_eq(hdl__tensor_set_add(&file->variables, &tensor, "v", 1), HDL_OK);
    cr_assert_eq(hdl__tensor_set_sort(&file->variables), HDL_OK);
}

Test(ct2_scalars, numbers_of_every_dtype)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        hdl__ct2_file file;
        double value = -99.0;
        one_variable(&file, values[i].dtype, values[i].bytes, values[i].n);
        cr_expect_eq(hdl__ct2_number(&file, "v", 7.0, &value), values[i].status, "%s", values[i].label);
        cr_expect_eq(value, values[i].status == HDL_OK ? values[i].value : -99.0, "%s: %g", values[i].label, value);
        cr_expect_eq(hdl__tensor_set_unused(&file.variables) == NULL, values[i].status == HDL_OK);
        cr_expect_eq(hdl__ct2_number(&file, "absent", 7.0, &value), HDL_OK);
        cr_expect_eq(value, 7.0);
        hdl__ct2_close(&file);
    }
}

Test(ct2_scalars, integers_keep_their_range)
{
    static const struct { float stored; hdl_status status; } rows[] = {
        {2.0f, HDL_OK}, {2.5f, HDL_EFORMAT}, {-1.0f, HDL_EFORMAT}, {4.0f, HDL_EFORMAT}, {1e30f, HDL_EFORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hdl__ct2_file file;
        int32_t value = -99;
        one_variable(&file, HDL_F32, &rows[i].stored, sizeof rows[i].stored);
        cr_expect_eq(hdl__ct2_int(&file, "v", 0, 3, 1, &value), rows[i].status, "%g", (double)rows[i].stored);
        cr_expect_eq(value, rows[i].status == HDL_OK ? 2 : -99);
        hdl__ct2_close(&file);
    }
}

Test(ct2_scalars, strings)
{
    static const struct { hdl_dtype dtype; const char *bytes; size_t n; hdl_status status; const char *text; } rows[] = {
        {HDL_I8, "<s>", 3, HDL_OK, "<s>"},
        {HDL_I8, "", 0, HDL_OK, ""},
        {HDL_I8, "a\0b", 3, HDL_EFORMAT, NULL},
        {HDL_F32, "abcd", 4, HDL_EFORMAT, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hdl__ct2_file file;
        char *text = NULL, *absent = NULL;
        one_variable(&file, rows[i].dtype, rows[i].bytes, rows[i].n);
        cr_expect_eq(hdl__ct2_text(&file, "v", "f", &text), rows[i].status, "row %zu", i);
        if (rows[i].text == NULL) cr_expect_null(text);
        else cr_expect_str_eq(text, rows[i].text);
        cr_expect_eq(hdl__ct2_text(&file, "absent", "fallback", &absent), HDL_OK);
        cr_expect_str_eq(absent, "fallback");
        hdl__free(text);
        hdl__free(absent);
        hdl__ct2_close(&file);
    }
}
